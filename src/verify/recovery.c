/*
 * A log that began in a recovery (ledger_recovery): its name is "<origin>/<time>", so the entry is due as its
 * second one. The entry holds the note of the witness: a head that the ended log's key, which is this one's,
 * has signed and that the disk did not continue. That a witness saw it shows its cosignature. The log that
 * ended lies in before/<time>/, where there was one: it is verified as every other, must be the one that the
 * entry names, and must not hold what the note covers, for then there was nothing to recover from.
 */
#include "base/bytes.h"
#include "ledger/canonical.h"
#include "verify/internal.h"
#include "verify/limits.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define PATH_SEEN  "seen"
#define PATH_MAX_N 192

/* "20151217T180000Z" after the last slash: when the log of this name began. NULL: it is the first of its
 * key. */
static const char *began_at(const char *name)
{
	static const char shape[] = "ddddddddTddddddZ";
	const char *slash = strrchr(name, '/'), *time = slash ? slash + 1 : "";

	for (size_t i = 0; i < sizeof shape; i++)
		if (shape[i] == 'd' ? time[i] < '0' || time[i] > '9' : time[i] != shape[i])
			return NULL;
	return time;
}

/* May the log of this name have ended where ours began: the first of the key, or a later one? */
static bool before_ours(const struct walk *w, const char *origin)
{
	const char *began = began_at(w->key.name);

	assert(began); /* only a log of such a name has a recovery */
	size_t base = (size_t)(began - 1 - w->key.name);

	return strncmp(origin, w->key.name, base) == 0 &&
	       (origin[base] == '\0' || (origin[base] == '/' && began_at(origin) == origin + base + 1)) &&
	       strcmp(origin, w->key.name) != 0;
}

static bool text_field(const struct ledger_entry *entry, const char *key, char *ret, size_t max)
{
	size_t n = 0;
	const char *text = ledger_entry_field(entry, key, &n);

	if (!text || n >= max || memchr(text, '\\', n))
		return false;
	memcpy(ret, text, n);
	ret[n] = '\0';
	return true;
}

/* A note in an entry: of what the writer of entries escapes it holds line feeds alone. False: it is none. */
static bool note_field(const struct ledger_entry *entry, uint8_t **ret, size_t *ret_n)
{
	size_t n = 0;
	const char *text = ledger_entry_field(entry, "seen_note", &n);

	*ret_n = 0;
	if (!text || n == 0)
		return true; /* of an older version, or it was too long */
	*ret = malloc(n);
	for (size_t i = 0; *ret && i < n; i++) {
		bool escaped = text[i] == '\\';
		if (escaped && (++i == n || text[i] != 'n'))
			return false;
		(*ret)[(*ret_n)++] = escaped ? '\n' : (uint8_t)text[i];
	}
	return *ret != NULL;
}

static void recovery_take(
	struct walk *w, const struct ledger_entry *entry, uint64_t index, const uint8_t *text, size_t n)
{
	struct verify_recovery *r = &w->recovery;
	char archive[sizeof r->archive];

	r->any = true;
	r->index = index;
	snprintf(archive, sizeof archive, "%s/%s", LEDGER_PATH_BEFORE, began_at(w->key.name));
	if (!text_field(entry, "archive", r->archive, sizeof r->archive) ||
		strcmp(r->archive, archive) != 0 ||
		!text_field(entry, "origin", r->origin, sizeof r->origin) || !before_ours(w, r->origin) ||
		!ledger_entry_hex(entry, "disk_root", r->disk_root.b, SHA256_SIZE) ||
		!ledger_entry_hex(entry, "seen_root", r->seen_root.b, SHA256_SIZE) ||
		!note_field(entry, &r->note, &r->note_n)) {
		report_finding_at(&w->recovered, VERIFY_RECOVERY, index,
			"its recovery does not match the log's name '%s'", w->key.name);
		return;
	}
	r->disk_size = ledger_entry_number(entry, "disk_size");
	r->seen_size = ledger_entry_number(entry, "seen_size");
	r->seen_time_s = ledger_entry_number(entry, "seen_time");
	r->text = malloc(n);
	if (r->text)
		memcpy(r->text, text, n);
	r->text_n = n;
	r->whole = r->text != NULL;
}

void recovery_entry(
	struct walk *w, const struct ledger_entry *entry, uint64_t index, const uint8_t *text, size_t n)
{
	/* ledger_start, and then this: both in the log's first batch. */
	bool due = index == 1 && began_at(w->key.name);

	if (due && entry->type == LEDGER_LEDGER_RECOVERY)
		recovery_take(w, entry, index, text, n);
	else if (due)
		report_finding_at(&w->recovered, VERIFY_RECOVERY, index,
			"expected ledger_recovery: by its name '%s' the log began in a recovery",
			w->key.name);
	else if (entry->type == LEDGER_LEDGER_RECOVERY)
		report_finding_at(&w->recovered, VERIFY_RECOVERY, index,
			"unexpected ledger_recovery: only a log that is named after a recovery begins with one");
}

/* ---- the witness's note ---- */

static void witness_look(struct walk *w, const struct note *note)
{
	const struct policy *p = w->options->policy;

	for (size_t i = 0; p && i < p->witnesses_n; i++) {
		uint64_t time_s;
		if (!policy_counts(&p->witness[i]))
			continue;
		enum rc rc = cosign_verify(note, &p->witness[i].key, &time_s, NULL);
		if (rc == RC_AUTH)
			report_finding_at(&w->recovered, VERIFY_RECOVERY, w->recovery.index,
				"invalid cosignature of witness '%s' on its note", p->witness[i].name);
		w->report->recovery_witnessed |= rc == RC_OK && time_s == w->recovery.seen_time_s;
	}
}

static void note_look(struct walk *w)
{
	const struct verify_recovery *r = &w->recovery;
	struct note_key ended;
	struct checkpoint c;
	struct note note;
	struct err e = { 0 };

	if (note_key_make(&ended, r->origin, NOTE_ED25519, w->key.public_key) != RC_OK ||
		note_parse_foreign(&note, r->note, r->note_n, &e) != RC_OK ||
		note_verify(&note, &ended, &e) != RC_OK ||
		checkpoint_parse_foreign(&c, note.text, note.text_n, &e) != RC_OK) {
		report_finding_at(&w->recovered, VERIFY_RECOVERY, r->index,
			"its note is not a signed head of '%s': %s", r->origin, e.text);
		return;
	}
	if (strcmp(c.origin, r->origin) != 0 || c.size != r->seen_size ||
		!merkle_equal(&c.root, &r->seen_root)) {
		report_finding_at(&w->recovered, VERIFY_RECOVERY, r->index,
			"its note is of %llu entries of '%s', which is not what its fields state",
			(unsigned long long)c.size, c.origin);
		return;
	}
	w->report->made[VERIFY_CHECK_RECOVERY]++;
	witness_look(w, &note);
}

/* The note is beside the ended log as well; if it was too long for the entry, only there. */
static void note_take(struct walk *w)
{
	struct verify_recovery *r = &w->recovery;
	char path[PATH_MAX_N];
	uint8_t *bytes;
	size_t n;

	snprintf(path, sizeof path, "%s/%s", r->archive, PATH_SEEN);
	if (walk_file_read(w, path, &bytes, &n) == RC_OK && r->note_n == 0) {
		free(r->note);
		r->note = bytes;
		r->note_n = n;
		return;
	}
	if (bytes && (n != r->note_n || memcmp(bytes, r->note, n) != 0))
		report_finding_at(&w->recovered, VERIFY_RECOVERY, r->index, "%s differs from its note", path);
	free(bytes);
}

/* ---- the log that ended ---- */

/* A source for the files in before/<time>/; paths of logs before that one lead beside it. */
struct below {
	const struct verify_source *top;
	const char *folder;
};

static enum rc below_read(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	const struct below *b = context;
	char whole[PATH_MAX_N];

	if (strncmp(path, LEDGER_PATH_BEFORE "/", strlen(LEDGER_PATH_BEFORE "/")) == 0)
		return b->top->read(b->top->context, path, ret_bytes, ret_n);
	snprintf(whole, sizeof whole, "%s/%s", b->folder, path);
	return b->top->read(b->top->context, whole, ret_bytes, ret_n);
}

static void below_pause(void *context)
{
}

static void ended_judge(struct walk *w, enum rc rc, const struct verify_report *ended, const struct err *why)
{
	const struct verify_recovery *r = &w->recovery;

	if (rc == RC_AUTH)
		report_finding(&w->recovered, VERIFY_RECOVERY, "%s: %s", r->archive, ended->finding);
	else if (rc == RC_UNSUPPORTED)
		report_finding_at(&w->newer, VERIFY_ENTRY, r->index, "%s: %s", r->archive, why->text);
	else if (rc != RC_OK)
		report_unread(w, r->archive);
	else if (ended->size != r->disk_size || memcmp(ended->root, r->disk_root.b, sizeof ended->root) != 0)
		report_finding(&w->recovered, VERIFY_RECOVERY,
			"%s contains another log than the one that entry %llu names", r->archive,
			(unsigned long long)r->index);
	else if (ended->made[VERIFY_CHECK_KEPT])
		report_finding(&w->recovered, VERIFY_RECOVERY,
			"%s contains what the witness's note covers: there was no reason for a recovery",
			r->archive);
	else /* what is in an archive, or was left out of a bundle, was not read */
		w->report->ended_logs_verified +=
			(!ended->bundle && ended->entries_unseen == 0) + ended->ended_logs_verified;
}

/* Its own walk: by its own name, with the witnesses of the policy. */
static enum rc ended_walk(struct walk *w, verify_pass_fn *pass, struct err *e)
{
	const struct verify_recovery *r = &w->recovery;
	struct verify_report *ended = calloc(1, sizeof *ended);
	struct policy *policy = w->options->policy ? malloc(sizeof *policy) : NULL;
	struct below below = { w->source, r->archive };
	struct verify_source source = { .context = &below, .read = below_read, .pause = below_pause };
	char vkey[NOTE_VKEY_MAX];
	struct note_key key;
	struct err why = { 0 };

	if (!ended || (w->options->policy && !policy) ||
		note_key_make(&key, r->origin, NOTE_ED25519, w->key.public_key) != RC_OK) {
		free(ended);
		free(policy);
		return err_add(e, RC_LIMIT, "out of memory");
	}
	struct verify_options o = { .vkey = note_key_text(vkey, &key),
		.policy = policy,
		.kept = r->note_n > 0 ? r->note : NULL,
		.kept_n = r->note_n,
		.now_s = w->options->now_s,
		.sealed_starts = w->options->sealed_starts,
		.ended = w->options->ended + 1 };
	if (policy) {
		*policy = *w->options->policy;
		policy->logs_n = 0; /* the key says whose it is */
	}
	ended_judge(w, pass(&source, &o, ended, &why), ended, &why);
	free(policy);
	free(ended);
	return RC_OK;
}

enum rc recovery_end(struct walk *w, verify_pass_fn *pass, struct err *e)
{
	struct verify_recovery *r = &w->recovery;
	char path[PATH_MAX_N];
	uint8_t *bytes;
	size_t n;

	w->report->recovery_expected = began_at(w->key.name) != NULL;
	if (!r->whole || w->recovered.class != VERIFY_NONE)
		return RC_OK;
	w->report->recovery_seen_size = r->seen_size;
	note_take(w);
	if (r->note_n > 0)
		note_look(w);
	if (r->disk_size == 0 || w->recovered.class != VERIFY_NONE || w->options->ended >= VERIFY_ENDED_MAX ||
		w->report->since > 0) /* it was read with what is before */
		return RC_OK;
	snprintf(path, sizeof path, "%s/%s", r->archive, LEDGER_PATH_VKEY);
	enum rc rc = walk_file_read(w, path, &bytes, &n);
	free(bytes);
	return rc == RC_OK ? ended_walk(w, pass, e) : RC_OK;
}

void recovery_free(struct walk *w)
{
	free(w->recovery.note);
	free(w->recovery.text);
}
