#include "proc/witness/database.h"
#include "base/bytes.h"
#include "proc/witness/limits.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define APPLICATION_ID 0x50675774 /* "PgWt" */
#define VERSION	       1

static const char schema[] = "CREATE TABLE witness (vkey TEXT NOT NULL) STRICT;"
			     "CREATE TABLE head ("
			     "  origin TEXT PRIMARY KEY,"
			     "  origin_hash BLOB NOT NULL UNIQUE CHECK (length(origin_hash) = 32),"
			     "  size INTEGER NOT NULL CHECK (size >= 0),"
			     "  root BLOB NOT NULL CHECK (length(root) = 32),"
			     "  time INTEGER NOT NULL CHECK (time >= 0),"
			     "  note BLOB NOT NULL) STRICT;"
			     "CREATE TABLE refused ("
			     "  id INTEGER PRIMARY KEY,"
			     "  origin TEXT NOT NULL,"
			     "  forked INTEGER NOT NULL CHECK (forked IN (0, 1)),"
			     "  time INTEGER NOT NULL,"
			     "  body BLOB NOT NULL) STRICT;"
			     "CREATE INDEX refused_origin ON refused (origin, forked);";

/* clang-format off */
#define STATEMENTS(S)	/* id, text */											\
	S(BEGIN,    "BEGIN IMMEDIATE")										\
	S(COMMIT,   "COMMIT")											\
	S(ROLLBACK, "ROLLBACK")											\
	S(GET,      "SELECT size, root, time FROM head WHERE origin = ?1")					\
	S(INSERT,   "INSERT INTO head (origin, origin_hash, size, root, time, note) "				\
		    "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING")					\
	S(UPDATE,   "UPDATE head SET size = ?3, root = ?4, time = ?5, note = ?6 "				\
		    "WHERE origin = ?1 AND origin_hash = ?2 AND size = ?7 AND root = ?8 AND time = ?9")		\
	S(NOTE,     "SELECT note FROM head WHERE origin_hash = ?1")						\
	S(REFUSED,  "INSERT INTO refused (origin, forked, time, body) SELECT ?1, ?2, ?3, ?4 WHERE "		\
		    "(SELECT count(*) FROM refused WHERE origin = ?1 AND forked = ?2) < ?5")			\
	S(KNOWN,    "SELECT EXISTS (SELECT 1 FROM refused WHERE origin = ?1 AND instr(body, ?2) > 0) "		\
		    "OR EXISTS (SELECT 1 FROM head WHERE origin = ?1 AND instr(note, substr(?2, 3)) = 1)")	\
	S(CLEAR,    "DELETE FROM refused WHERE origin = ?1 AND forked = 0 AND instr(body, ?2) > 0")		\
	S(AGAINST,  "SELECT refused.body FROM head JOIN refused USING (origin) "				\
		    "WHERE origin_hash = ?1 ORDER BY forked DESC, refused.id LIMIT 1")				\
	S(COUNTS,   "SELECT (SELECT count(*) FROM head), (SELECT count(*) FROM refused)")
/* clang-format on */

enum statement {
#define E(id, text) Q_##id,
	STATEMENTS(E) Q_COUNT
#undef E
};

static const char *const statement_texts[] = {
#define E(id, text) [Q_##id] = text,
	STATEMENTS(E)
#undef E
};

struct database {
	sqlite3 *db;
	sqlite3_stmt *query[Q_COUNT];
};

static enum rc failed(struct database *s, struct err *e, const char *what)
{
	return err_add(e, RC_IO, "%s: %s", what, sqlite3_errmsg(s->db));
}

static enum rc run(struct database *s, const char *sql, struct err *e)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? RC_OK : failed(s, e, sql);
}

/* The first column of the only row of a pragma or query, as an integer or a text. */
static enum rc ask(
	struct database *s, const char *sql, int64_t *ret_number, char *ret_text, size_t max, struct err *e)
{
	sqlite3_stmt *q = NULL;
	enum rc rc = RC_IO;

	if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(q, 0);
		if (ret_number)
			*ret_number = sqlite3_column_int64(q, 0);
		if (ret_text)
			snprintf(ret_text, max, "%s", text ? text : "");
		rc = RC_OK;
	} else {
		failed(s, e, sql);
	}
	sqlite3_finalize(q);
	return rc;
}

/* One step of a prepared statement that gives no rows; afterwards it is ready for the next time. */
static enum rc step(struct database *s, enum statement id, struct err *e)
{
	int r = sqlite3_step(s->query[id]);

	sqlite3_reset(s->query[id]);
	sqlite3_clear_bindings(s->query[id]);
	return r == SQLITE_DONE ? RC_OK : failed(s, e, statement_texts[id]);
}

static enum rc configure(struct database *s, struct err *e)
{
	static const char *const pragmas[] = {
		"PRAGMA trusted_schema = OFF",
		"PRAGMA cell_size_check = ON",
		"PRAGMA locking_mode = EXCLUSIVE",
		"PRAGMA journal_mode = WAL",
		/* A commit is on the disk when it returns, also after a power cut. */
		"PRAGMA synchronous = FULL",
	};
	char text[32];
	int64_t number;

	for (size_t i = 0; i < COUNT_OF(pragmas); i++)
		if (run(s, pragmas[i], e) != RC_OK)
			return RC_IO;
	/* What SQLite could not do it says in the value, not in an error. */
	enum rc rc = ask(s, "PRAGMA journal_mode", NULL, text, sizeof text, e);
	if (rc == RC_OK && strcmp(text, "wal") != 0)
		rc = err_add(
			e, RC_UNSUPPORTED, "the database has the journal mode '%s', expected 'wal'", text);
	if (rc == RC_OK)
		rc = ask(s, "PRAGMA synchronous", &number, NULL, 0, e);
	if (rc == RC_OK && number != 2)
		rc = err_add(e, RC_UNSUPPORTED, "the database does not sync commits");
	return rc;
}

static enum rc begin_file(struct database *s, const struct note_key *key, struct err *e)
{
	char text[NOTE_VKEY_MAX], sql[128];
	sqlite3_stmt *q = NULL;
	enum rc rc = run(s, "BEGIN EXCLUSIVE", e);

	if (rc == RC_OK)
		rc = run(s, schema, e);
	if (rc != RC_OK)
		return rc;
	note_key_text(text, key);
	if (sqlite3_prepare_v2(s->db, "INSERT INTO witness (vkey) VALUES (?1)", -1, &q, NULL) != SQLITE_OK ||
		sqlite3_bind_text(q, 1, text, -1, SQLITE_STATIC) != SQLITE_OK ||
		sqlite3_step(q) != SQLITE_DONE)
		rc = failed(s, e, "the witness's key could not be stored");
	sqlite3_finalize(q);
	snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
		APPLICATION_ID, VERSION);
	return rc == RC_OK ? run(s, sql, e) : rc;
}

/* Is it ours, whole, and of this key? */
static enum rc check_file(struct database *s, const struct note_key *key, struct err *e)
{
	char text[NOTE_VKEY_MAX], own[NOTE_VKEY_MAX];
	int64_t application = 0, version = 0;
	enum rc rc = ask(s, "PRAGMA application_id", &application, NULL, 0, e);

	if (rc == RC_OK)
		rc = ask(s, "PRAGMA user_version", &version, NULL, 0, e);
	if (rc == RC_OK && (application != APPLICATION_ID || version != VERSION))
		return err_add(e, RC_UNSUPPORTED, "the file is not a witness's database of this version");
	if (rc == RC_OK)
		rc = ask(s, "PRAGMA quick_check(1)", NULL, text, sizeof text, e);
	if (rc == RC_OK && strcmp(text, "ok") != 0)
		return err_add(e, RC_IO, "the database is damaged: %s", text);
	if (rc == RC_OK)
		rc = ask(s, "SELECT vkey FROM witness", NULL, text, sizeof text, e);
	if (rc == RC_OK && strcmp(text, note_key_text(own, key)) != 0)
		return err_add(e, RC_DENIED, "the file belongs to the witness '%s'", text);
	return rc;
}

/* A new file's name is durable as well. */
static enum rc sync_directory(const char *path, struct err *e)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof copy, "%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum rc rc =
		fd >= 0 && fsync(fd) == 0 ? RC_OK : err_errno(e, RC_IO, "sync the directory of '%s'", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

enum rc database_open(struct database **ret_store, const char *path, const struct note_key *key,
	bool *ret_new, struct err *e)
{
	struct database *s = calloc(1, sizeof *s);
	int64_t version = 0;
	enum rc rc = RC_OK;

	if (!s)
		return err_add(e, RC_LIMIT, "out of memory");
	mode_t mask = umask(0077);
	int opened = sqlite3_open_v2(
		path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	/* SQLite opens the file when it first needs it; the lock is taken with it and stays. */
	if (opened != SQLITE_OK)
		rc = failed(s, e, "open the database");
	if (rc == RC_OK)
		rc = configure(s, e);
	if (rc == RC_OK)
		rc = run(s, "BEGIN EXCLUSIVE; COMMIT", e);
	if (rc != RC_OK && (sqlite3_errcode(s->db) & 0xff) == SQLITE_BUSY) {
		err_clear(e);
		rc = err_add(e, RC_EXISTS, "the database is in use by another process");
	}
	if (rc == RC_OK)
		rc = ask(s, "SELECT count(*) FROM sqlite_schema", &version, NULL, 0, e);
	*ret_new = rc == RC_OK && version == 0;
	if (*ret_new)
		rc = begin_file(s, key, e);
	if (*ret_new && rc == RC_OK)
		rc = sync_directory(path, e);
	umask(mask);
	if (rc == RC_OK)
		rc = check_file(s, key, e);
	for (int i = 0; rc == RC_OK && i < Q_COUNT; i++)
		if (sqlite3_prepare_v3(s->db, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT, &s->query[i],
			    NULL) != SQLITE_OK)
			rc = failed(s, e, statement_texts[i]);
	if (rc != RC_OK) {
		database_close(s);
		return err_add(e, rc, "while opening '%s'", path);
	}
	*ret_store = s;
	return RC_OK;
}

void database_close(struct database *s)
{
	if (!s)
		return;
	for (int i = 0; i < Q_COUNT; i++)
		sqlite3_finalize(s->query[i]);
	sqlite3_close(s->db);
	free(s);
}

enum rc database_begin(struct database *s, struct err *e)
{
	return step(s, Q_BEGIN, e);
}

enum rc database_end(struct database *s, bool keep, struct err *e)
{
	enum rc rc = step(s, keep ? Q_COMMIT : Q_ROLLBACK, e);

	if (rc != RC_OK && !sqlite3_get_autocommit(s->db))
		step(s, Q_ROLLBACK, NULL);
	return rc;
}

static enum rc head_get(void *context, const char *origin, struct witness_head *ret_head, struct err *e)
{
	struct database *s = context;
	sqlite3_stmt *q = s->query[Q_GET];
	enum rc rc = RC_OK;

	sqlite3_bind_text(q, 1, origin, -1, SQLITE_STATIC);
	int r = sqlite3_step(q);
	if (r == SQLITE_DONE) {
		rc = err_add(e, RC_NOT_FOUND, "nothing was cosigned for '%s'", origin);
	} else if (r != SQLITE_ROW || sqlite3_column_bytes(q, 1) != SHA256_SIZE) {
		rc = failed(s, e, "read a head");
	} else {
		ret_head->size = (uint64_t)sqlite3_column_int64(q, 0);
		memcpy(ret_head->root.b, sqlite3_column_blob(q, 1), SHA256_SIZE);
		ret_head->time_s = (uint64_t)sqlite3_column_int64(q, 2);
	}
	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
	return rc;
}

static enum rc head_put(void *context, const char *origin, const struct witness_head *was,
	const struct witness_head *now, const char *note, size_t note_n, struct err *e)
{
	struct database *s = context;
	enum statement id = was ? Q_UPDATE : Q_INSERT;
	sqlite3_stmt *q = s->query[id];
	uint8_t hash[SHA256_SIZE];

	sha256(hash, origin, strlen(origin));
	sqlite3_bind_text(q, 1, origin, -1, SQLITE_STATIC);
	sqlite3_bind_blob(q, 2, hash, sizeof hash, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, (int64_t)now->size);
	sqlite3_bind_blob(q, 4, now->root.b, SHA256_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(q, 5, (int64_t)now->time_s);
	sqlite3_bind_blob(q, 6, note, (int)note_n, SQLITE_STATIC);
	if (was) {
		sqlite3_bind_int64(q, 7, (int64_t)was->size);
		sqlite3_bind_blob(q, 8, was->root.b, SHA256_SIZE, SQLITE_STATIC);
		sqlite3_bind_int64(q, 9, (int64_t)was->time_s);
	}
	enum rc rc = step(s, id, e);
	if (rc == RC_OK && sqlite3_changes(s->db) != 1)
		rc = RC_AGAIN;
	return rc;
}

struct witness_store database_interface(struct database *s)
{
	return (struct witness_store){ s, head_get, head_put };
}

/* The one blob that a query by the hash of an origin gives. */
static enum rc blob_by_hash(struct database *s, enum statement id, const uint8_t origin_hash[SHA256_SIZE],
	char *ret_bytes, size_t max, size_t *ret_n, struct err *e)
{
	sqlite3_stmt *q = s->query[id];
	enum rc rc = RC_OK;

	sqlite3_bind_blob(q, 1, origin_hash, SHA256_SIZE, SQLITE_STATIC);
	int r = sqlite3_step(q), n = r == SQLITE_ROW ? sqlite3_column_bytes(q, 0) : 0;
	if (r == SQLITE_DONE) {
		rc = err_add(e, RC_NOT_FOUND, "nothing is kept for this origin");
	} else if (r != SQLITE_ROW || n <= 0 || (size_t)n > max) {
		rc = failed(s, e, statement_texts[id]);
	} else {
		memcpy(ret_bytes, sqlite3_column_blob(q, 0), (size_t)n);
		*ret_n = (size_t)n;
	}
	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
	return rc;
}

enum rc database_note(struct database *s, const uint8_t origin_hash[SHA256_SIZE], char *ret_note,
	size_t *ret_n, struct err *e)
{
	return blob_by_hash(s, Q_NOTE, origin_hash, ret_note, NOTE_BYTES_MAX, ret_n, e);
}

enum rc database_refused(struct database *s, const uint8_t origin_hash[SHA256_SIZE], char *ret_body,
	size_t *ret_n, struct err *e)
{
	return blob_by_hash(s, Q_AGAINST, origin_hash, ret_body, WITNESS_BODY_MAX, ret_n, e);
}

/* What stands in each request with this checkpoint, and nowhere else in one: the empty line before the note,
 * and the note's first three lines. */
static size_t mark_make(char ret_mark[STORE_MARK_MAX], const struct checkpoint *of)
{
	memcpy(ret_mark, "\n\n", 2);
	return 2 + checkpoint_text(ret_mark + 2, STORE_MARK_MAX - 2, of);
}

static void bind_mark(
	sqlite3_stmt *q, const struct checkpoint *of, const char mark[STORE_MARK_MAX], size_t mark_n)
{
	sqlite3_bind_text(q, 1, of->origin, -1, SQLITE_STATIC);
	sqlite3_bind_blob(q, 2, mark, (int)mark_n, SQLITE_STATIC);
}

static enum rc refused_known(struct database *s, const struct checkpoint *of, bool *ret_known, struct err *e)
{
	sqlite3_stmt *q = s->query[Q_KNOWN];
	char mark[STORE_MARK_MAX];
	enum rc rc = RC_OK;

	bind_mark(q, of, mark, mark_make(mark, of));
	if (sqlite3_step(q) == SQLITE_ROW)
		*ret_known = sqlite3_column_int(q, 0);
	else
		rc = failed(s, e, statement_texts[Q_KNOWN]);
	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
	return rc;
}

enum rc database_refused_add(struct database *s, const struct checkpoint *of, bool forked, uint64_t time_s,
	const void *body, size_t n, struct err *e)
{
	sqlite3_stmt *q = s->query[Q_REFUSED];
	bool known = false;
	enum rc rc = refused_known(s, of, &known, e);

	if (rc != RC_OK || known)
		return rc ? rc : RC_EXISTS;
	sqlite3_bind_text(q, 1, of->origin, -1, SQLITE_STATIC);
	sqlite3_bind_int(q, 2, forked);
	sqlite3_bind_int64(q, 3, (int64_t)time_s);
	sqlite3_bind_blob(q, 4, body, (int)n, SQLITE_STATIC);
	sqlite3_bind_int(q, 5, DATABASE_REFUSED_MAX);
	rc = step(s, Q_REFUSED, e);
	return rc == RC_OK && sqlite3_changes(s->db) != 1 ? RC_LIMIT : rc;
}

enum rc database_refused_clear(struct database *s, const struct checkpoint *of, struct err *e)
{
	char mark[STORE_MARK_MAX];

	bind_mark(s->query[Q_CLEAR], of, mark, mark_make(mark, of));
	return step(s, Q_CLEAR, e);
}

enum rc database_counts(struct database *s, uint64_t *ret_logs, uint64_t *ret_refused, struct err *e)
{
	sqlite3_stmt *q = s->query[Q_COUNTS];
	enum rc rc = RC_OK;

	if (sqlite3_step(q) == SQLITE_ROW) {
		*ret_logs = (uint64_t)sqlite3_column_int64(q, 0);
		*ret_refused = (uint64_t)sqlite3_column_int64(q, 1);
	} else {
		rc = failed(s, e, "count logs and requests");
	}
	sqlite3_reset(q);
	return rc;
}
