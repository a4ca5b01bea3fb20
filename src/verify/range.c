/* What an evidence bundle has beside the log's files: the file `range`, README.txt, names of
 * configurations. */
#include "base/bytes.h"
#include "base/json.h"
#include "ledger/canonical.h"
#include "verify/evidence.h"

#include <stdio.h>

static void take_time(struct canonical *c, const char *key, char ret[VERIFY_TIME_MAX])
{
	struct canonical_text t = { 0 };
	utc_us time;

	canonical_key(c, key);
	canonical_string(c, &t);
	if (!c->bad && t.n < VERIFY_TIME_MAX) {
		memcpy(ret, t.text, t.n);
		ret[t.n] = '\0';
	}
	c->bad = c->bad || t.n >= VERIFY_TIME_MAX || !utc_read(&time, ret);
	canonical_char(c, ',');
}

static void take_number(struct canonical *c, const char *key, uint64_t *ret)
{
	canonical_key(c, key);
	canonical_number(c, ret);
	canonical_char(c, ',');
}

enum rc evidence_range_parse(struct verify_range *ret_range, const char *text, size_t n, struct err *e)
{
	struct canonical c = canonical_over(text, n);
	struct canonical_text version = { 0 };
	struct verify_range r = { 0 };

	canonical_char(&c, '{');
	take_number(&c, "end", &r.end);
	take_number(&c, "first", &r.first);
	take_time(&c, "from", r.from);
	take_time(&c, "made", r.made);
	take_time(&c, "to", r.to);
	canonical_key(&c, "version");
	canonical_string(&c, &version);
	canonical_char(&c, '}');
	canonical_char(&c, '\n');
	if (!canonical_end(&c) || version.n >= sizeof r.version)
		return err_add(e, RC_MALFORMED,
			"malformed range of an evidence bundle: expected canonical JSON with end, first, "
			"from, made, to and version");
	for (size_t i = 0; i < version.n; i++)
		if (version.text[i] < ' ' || version.text[i] > '~' || version.text[i] == '\\')
			return err_add(e, RC_MALFORMED,
				"malformed version: expected printable ASCII without a backslash");
	memcpy(r.version, version.text, version.n);
	if (r.first > r.end || strcmp(r.from, r.to) > 0)
		return err_add(e, RC_RANGE, "the range ends before it begins");
	*ret_range = r;
	return RC_OK;
}

size_t evidence_range_text(const struct verify_range *r, char *ret_text, size_t max)
{
	struct jw w = jw_over(ret_text, max, true);

	jw_object(&w, NULL);
	jw_u64(&w, "end", r->end);
	jw_u64(&w, "first", r->first);
	jw_str(&w, "from", r->from);
	jw_str(&w, "made", r->made);
	jw_str(&w, "to", r->to);
	jw_str(&w, "version", r->version);
	jw_end(&w);
	size_t n = jw_done(&w);
	if (n == 0 || n + 2 > max)
		return 0;
	ret_text[n] = '\n';
	ret_text[n + 1] = '\0';
	return n + 1;
}

size_t evidence_readme_text(const struct verify_range *r, char *ret_text, size_t max)
{
	int n = snprintf(ret_text, max,
		"Evidence from a Plaingate ledger: every entry from %s\n"
		"to %s (UTC, by the machine's clock).\n"
		"\n"
		"  timeline.html    to read, in any browser; it loads nothing\n"
		"  everything else  the proof\n"
		"\n"
		"Check it, on any machine, without the gateway and without a network:\n"
		"\n"
		"  plaingate verify ledger THIS-FILE --key VKEY --explain\n"
		"\n"
		"VKEY is the ledger's verifier key. Take it from where it was noted, not from this file:\n"
		"log.vkey in here only says which one was used. Do not unpack and pack again: what is\n"
		"checked is this file as it is.\n",
		r->from, r->to);

	return n > 0 && (size_t)n < max ? (size_t)n : 0;
}

#define CONFIG_FOLDER "config/"
#define CONFIG_END    ".conf"

void evidence_config_path(char ret_path[EVIDENCE_PATH_MAX], const uint8_t sha256[32])
{
	char hex[2 * SHA256_SIZE + 1];

	snprintf(ret_path, EVIDENCE_PATH_MAX, CONFIG_FOLDER "%s" CONFIG_END,
		hex_from_bytes(hex, sha256, SHA256_SIZE));
}

bool evidence_config_path_parse(const char *path, uint8_t ret_sha256[32])
{
	size_t folder = strlen(CONFIG_FOLDER), digits = 2 * SHA256_SIZE;
	char hex[2 * SHA256_SIZE + 1], again[2 * SHA256_SIZE + 1];

	if (strlen(path) != folder + digits + strlen(CONFIG_END) ||
		memcmp(path, CONFIG_FOLDER, folder) != 0 || strcmp(path + folder + digits, CONFIG_END) != 0)
		return false;
	memcpy(hex, path + folder, digits);
	hex[digits] = '\0';
	return hex_to_bytes(ret_sha256, SHA256_SIZE, hex) &&
	       strcmp(hex_from_bytes(again, ret_sha256, SHA256_SIZE), hex) == 0;
}
