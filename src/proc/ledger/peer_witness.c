#include "proc/ledger/peer_witness.h"
#include "base/bytes.h"
#include "crypto/hkdf.h"
#include "crypto/hash.h"

#include <stdio.h>
#include <stdlib.h>

char *peer_witness_path(char ret_path[PEER_WITNESS_PATH_MAX], const char *origin)
{
	uint8_t hash[SHA256_SIZE];
	char hex[17];

	sha256(hash, origin, strlen(origin));
	snprintf(ret_path, PEER_WITNESS_PATH_MAX, LEDGER_PATH_PEERS "/%s", hex_from_bytes(hex, hash, 8));
	return ret_path;
}

/* The cosignature key of the ledger whose key and seed these are. RC_INTERNAL. */
static enum rc peer_witness_key(struct note_key *ret_key, uint8_t ret_seed[ED25519_SEED_SIZE],
	const struct note_key *ledger, const uint8_t seed[ED25519_SEED_SIZE])
{
	static const char info[] = "plaingate cosignatures for peers v1";
	const struct prf_part material = { seed, ED25519_SEED_SIZE };
	uint8_t key[HKDF_KEY_SIZE], public_key[ED25519_PUBLIC_SIZE], hash[SHA256_SIZE];
	char name[NOTE_NAME_MAX], hex[17];

	/* Not of the origin: that changes with a recovery, and the peers' configurations have this key. */
	sha256(hash, ledger->public_key, sizeof ledger->public_key);
	snprintf(name, sizeof name, "plaingate/witness/%s", hex_from_bytes(hex, hash, 8));
	enum rc rc = hkdf_extract(NULL, 0, &material, 1, key);
	rc = rc ? rc : hkdf_expand(key, info, sizeof info - 1, ret_seed, ED25519_SEED_SIZE);
	bytes_wipe(key, sizeof key);
	if (rc != RC_OK)
		return RC_INTERNAL;
	ed25519_public(public_key, ret_seed);
	return note_key_make(ret_key, name, NOTE_COSIGNATURE_ED25519, public_key);
}

/* ---- what was cosigned last ---- */

/* The note of an origin; RC_NOT_FOUND. The caller frees it. */
static enum rc kept_read(
	const struct peer_witness *v, const char *origin, uint8_t **ret_bytes, size_t *ret_n, struct err *e)
{
	char path[PEER_WITNESS_PATH_MAX];

	return v->files->read(v->files->context, peer_witness_path(path, origin), ret_bytes, ret_n, e);
}

static enum rc head_get(void *context, const char *origin, struct witness_head *ret_head, struct err *e)
{
	const struct peer_witness *v = context;
	struct checkpoint c;
	struct note note;
	uint8_t *bytes;
	size_t n;

	enum rc rc = kept_read(v, origin, &bytes, &n, e);
	if (rc != RC_OK)
		return rc;
	/* If it was changed by another program nothing is cosigned after it. */
	rc = note_parse(&note, bytes, n, e);
	rc = rc ? rc : checkpoint_parse_foreign(&c, note.text, note.text_n, e);
	rc = rc ? rc : cosign_verify(&note, &v->witness.key, &ret_head->time_s, e);
	if (rc == RC_OK && strcmp(c.origin, origin) != 0)
		rc = err_add(e, RC_MALFORMED, "the note kept for '%s' has the origin '%s'", origin, c.origin);
	if (rc == RC_OK) {
		ret_head->size = c.size;
		ret_head->root = c.root;
	}
	free(bytes);
	/* RC_NOT_FOUND says that nothing was cosigned; a note without our line is something else. */
	return rc == RC_NOT_FOUND ? RC_AUTH : rc;
}

static enum rc head_put(void *context, const char *origin, const struct witness_head *was,
	const struct witness_head *now, const char *note, size_t note_n, struct err *e)
{
	const struct peer_witness *v = context;
	struct witness_head is;
	char path[PEER_WITNESS_PATH_MAX];

	enum rc rc = head_get(context, origin, &is, NULL);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return err_add(e, rc, "the note that was cosigned last of '%s' cannot be read", origin);
	if ((rc == RC_NOT_FOUND) != !was ||
		(was && (is.size != was->size || !merkle_equal(&is.root, &was->root))))
		return RC_AGAIN;
	return v->files->replace(v->files->context, peer_witness_path(path, origin), note, note_n, e);
}

/* ---- configuration ---- */

enum rc peer_witness_begin(struct peer_witness *v, const struct ledger_store *files,
	const struct note_key *ledger, const uint8_t seed[ED25519_SEED_SIZE])
{
	*v = (struct peer_witness){ .files = files };
	v->witness.store = (struct witness_store){ .context = v, .get = head_get, .put = head_put };
	return peer_witness_key(&v->witness.key, v->witness.seed, ledger, seed);
}

void peer_witness_done(struct peer_witness *v)
{
	bytes_wipe(v->witness.seed, sizeof v->witness.seed);
}

enum rc peer_witness_set(
	struct peer_witness *v, const struct peer_witness_log *logs, size_t n, mono_ns heartbeat, mono_ns now)
{
	struct peer_witness_log old[PEER_WITNESS_LOGS_MAX];

	if (n > PEER_WITNESS_LOGS_MAX)
		return RC_LIMIT;
	memcpy(old, v->logs, sizeof old);
	for (size_t i = 0; i < n; i++) {
		struct peer_witness_log *log = &v->logs[i];
		*log = (struct peer_witness_log){ .key = logs[i].key, .heard_at = now };
		memcpy(log->peer, logs[i].peer, sizeof log->peer);
		for (size_t k = 0; k < v->logs_n; k++)
			if (strcmp(old[k].peer, log->peer) == 0 &&
				memcmp(&old[k].key, &log->key, sizeof log->key) == 0)
				*log = old[k];
	}
	v->logs_n = n;
	v->heartbeat = heartbeat;
	return RC_OK;
}

/* ---- answers ---- */

static struct peer_witness_log *log_of(struct peer_witness *v, const char *peer)
{
	for (size_t i = 0; i < v->logs_n; i++)
		if (strcmp(v->logs[i].peer, peer) == 0)
			return &v->logs[i];
	return NULL;
}

static size_t answer_put(char *ret, size_t max, unsigned status, const void *body, size_t n)
{
	int head = snprintf(ret, max, "%u\n", status);

	if ((size_t)head + n > max)
		return 0;
	memcpy(ret + head, body, n);
	return (size_t)head + n;
}

static size_t seen_answer(
	const struct peer_witness *v, const struct peer_witness_log *log, char *ret, size_t max)
{
	size_t n = 0, length;
	uint8_t *bytes;

	if (kept_read(v, log->key.name, &bytes, &n, NULL) != RC_OK)
		return answer_put(ret, max, WITNESS_UNKNOWN_LOG, "", 0);
	length = answer_put(ret, max, WITNESS_COSIGNED, bytes, n);
	free(bytes);
	return length;
}

/* The note that shows another history than the one that was cosigned; the first one is enough. */
static void fork_keep(const struct peer_witness *v, struct peer_witness_log *log, const void *ask, size_t n)
{
	char path[PEER_WITNESS_PATH_MAX], fork[PEER_WITNESS_PATH_MAX + 8];
	struct witness_request request;

	if (witness_request_parse(&request, ask, n, NULL) != RC_OK)
		return;
	snprintf(fork, sizeof fork, "%s.fork", peer_witness_path(path, log->key.name));
	log->forked = v->files->replace(v->files->context, fork, request.note, request.note_n, NULL) == RC_OK;
}

size_t peer_witness_answer(struct peer_witness *v, const char *peer, const void *ask, size_t n,
	uint64_t now_s, mono_ns now, char *ret, size_t max, enum peer_witness_news *ret_news,
	const struct peer_witness_log **ret_log)
{
	struct peer_witness_log *log = log_of(v, peer);
	struct witness_answer answer;

	*ret_news = PEER_WITNESS_NOTHING;
	*ret_log = log;
	if (!log)
		return 0;
	if (n == sizeof PEER_WITNESS_ASK_SEEN - 1 && memcmp(ask, PEER_WITNESS_ASK_SEEN, n) == 0)
		return seen_answer(v, log, ret, max);
	v->witness.log = &log->key;
	v->witness.logs_n = 1;
	witness_add_checkpoint(&v->witness, ask, n, now_s, &answer);
	if (answer.forked && !log->forked) {
		fork_keep(v, log, ask, n);
		*ret_news = PEER_WITNESS_FORKED;
	}
	if (answer.status == WITNESS_COSIGNED) {
		if (log->silent)
			*ret_news = PEER_WITNESS_RETURNED;
		log->silent = false;
		log->size = answer.size;
		log->heard_at = now;
	}
	return answer_put(ret, max, answer.status, answer.body, answer.body_n);
}

const struct peer_witness_log *peer_witness_silence(struct peer_witness *v, mono_ns now)
{
	for (size_t i = 0; i < v->logs_n; i++) {
		struct peer_witness_log *log = &v->logs[i];
		if (log->silent || now < log->heard_at + PEER_WITNESS_SILENT_AFTER * v->heartbeat)
			continue;
		log->silent = true;
		return log;
	}
	return NULL;
}
