#include "proc/keeper/show.h"

#include "base/json.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "ipc/rows.h"

static size_t key_row(char *ret_text, const struct keys_identity_view *v)
{
	struct jw w = jw_over(ret_text, SHOW_ROW_TEXT, false);
	uint8_t digest[32];
	char text[BASE64_SIZE(32)];

	jw_object(&w, NULL);
	jw_str(&w, "name", v->name);
	jw_str(&w, "kind", v->kind);
	if (v->spki_n > 0) {
		size_t n;

		sha256(digest, v->spki, v->spki_n);
		n = base64_from_bytes(text, digest, sizeof digest);
		text[n - 1] = '\0'; /* without padding, as SSH writes it */
		jw_strf(&w, "fingerprint", "SHA256:%s", text);
	}
	jw_str(&w, "state", v->is_short ? "loaded; short" : "loaded");
	jw_end(&w);
	return jw_done(&w);
}

static size_t error_row(char *ret_text, const struct keydir_error *x)
{
	struct jw w = jw_over(ret_text, SHOW_ROW_TEXT, false);

	jw_object(&w, NULL);
	jw_str(&w, "name", x->file);
	jw_str(&w, "kind", "file");
	jw_str(&w, "state", "refused");
	jw_str(&w, "error", x->text);
	jw_end(&w);
	return jw_done(&w);
}

static size_t keys_loaded(const struct keys *keys)
{
	struct keys_identity_view v;
	size_t n = 0;

	while (keys_identity_at(keys, n, &v))
		n++;
	return n;
}

/* Refused files beyond those that are kept. */
static size_t more_row(char *ret_text, size_t n)
{
	struct jw w = jw_over(ret_text, SHOW_ROW_TEXT, false);

	jw_object(&w, NULL);
	jw_str(&w, "name", "");
	jw_str(&w, "kind", "file");
	jw_str(&w, "state", "refused");
	jw_strf(&w, "error", "and %zu more files", n);
	jw_end(&w);
	return jw_done(&w);
}

bool show_keys_row(char ret_text[SHOW_ROW_TEXT], size_t *ret_n, const struct keys *keys,
	const struct keydir *d, size_t i)
{
	struct keys_identity_view v;
	size_t loaded;

	if (keys_identity_at(keys, i, &v)) {
		*ret_n = key_row(ret_text, &v);
		return true;
	}
	loaded = keys_loaded(keys);
	if (i - loaded < MIN_OF(d->errors_n, (size_t)KEYDIR_ERRORS_MAX)) {
		*ret_n = error_row(ret_text, &d->errors[i - loaded]);
		return true;
	}
	if (i - loaded > KEYDIR_ERRORS_MAX || d->errors_n <= KEYDIR_ERRORS_MAX)
		return false;
	*ret_n = more_row(ret_text, d->errors_n - KEYDIR_ERRORS_MAX);
	return true;
}

void show_keys_answer(struct ipc_link *control, uint64_t tag, const struct msg_show *q,
	const struct keys *keys, const struct keydir *d)
{
	static struct rows_piece piece;
	char text[SHOW_ROW_TEXT];
	size_t n;

	_Static_assert(SHOW_ROW_TEXT <= ROW_MAX, "a row fits its message");
	if (q->table != SHOW_KEYS) {
		rows_refuse(control, tag, RC_UNSUPPORTED, "the keeper has no such table");
		return;
	}
	rows_begin(&piece, control, tag, q);
	for (uint32_t i = rows_first(&piece, 0);
		show_keys_row(text, &n, keys, d, i) && rows_look(&piece, 0, i); i++)
		rows_add_text(&piece, text, n);
	rows_end(&piece);
}

void show_warn_short_keys(const struct keys *keys)
{
	struct keys_identity_view v;

	for (size_t at = 0; keys_identity_at(keys, at, &v); at++)
		if (v.is_short)
			log_warn(
				"key file '%s.psk' has fewer than %d octets: a compromised ike process could "
				"guess it off-line; use %d or more random octets",
				v.name, KEYS_PSK_ADVISED, KEYS_PSK_ADVISED);
}

static void warn_missing(const struct keys *keys, const char *peer, const char *name, const char *ending)
{
	struct keys_identity_view v;

	for (size_t at = 0; keys_identity_at(keys, at, &v); at++)
		if (strcmp(v.name, name) == 0 && strcmp(v.ending, ending) == 0)
			return;
	log_warn("peer '%s' cannot authenticate: %s.%s is not in the key directory, or was refused", peer,
		name, ending);
}

void show_warn_missing_keys(const struct keys *keys, const struct snapshot *s)
{
	for (uint32_t i = 0; i < s->peers.count; i++) {
		const struct snap_peer *peer = &snap_peers(s)[i];

		if (!(peer->flags & PEER_PSK_OF_ID))
			warn_missing(keys, peer->name, peer->key_name,
				peer->auth == PEER_AUTH_PSK ? "psk" : "pem");
		if (peer->ppk_name[0])
			warn_missing(keys, peer->name, peer->ppk_name, "ppk");
	}
}
