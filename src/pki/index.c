/*
 * The index of what an authority issued: the text that `openssl ca` keeps, so that one can go on with that. A line is
 *	state TAB end TAB [revoked[,reason]] TAB serial TAB "unknown" TAB subject LF
 * with state V or R, times as YYMMDDHHMMSSZ or, from 2050 on, YYYYMMDDHHMMSSZ. E (expired), which openssl writes, is read as V.
 */
#include "pki/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
	uint32_t number;
	const char *word;
} reasons[] = {
#define E(number, word) { number, word },
	PKI_REASONS(E)
#undef E
};

bool pki_reason(uint32_t *ret_reason, const char *word)
{
	for (size_t i = 0; i < COUNT_OF(reasons); i++) {
		if (strcmp(reasons[i].word, word) == 0) {
			*ret_reason = reasons[i].number;
			return true;
		}
	}
	return false;
}

static const char *reason_word(uint32_t reason)
{
	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		if (reasons[i].number == reason)
			return reasons[i].word;
	return reasons[0].word;
}

/* RFC 5280 4.1.2.5: up to 2049 with two digits of the year. */
static bool time_write(char ret_text[PKI_TIME_TEXT_MAX], int64_t since_1970)
{
	time_t t = (time_t)since_1970;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || tm.tm_year < 70 || tm.tm_year > 8099)
		return false;
	snprintf(ret_text, PKI_TIME_TEXT_MAX,
		tm.tm_year < 150 ? "%02d%02d%02d%02d%02d%02dZ" : "%04d%02d%02d%02d%02d%02dZ",
		tm.tm_year < 150 ? tm.tm_year % 100 : tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		tm.tm_hour, tm.tm_min, tm.tm_sec);
	return true;
}

static bool time_read(int64_t *ret_since_1970, const char *text, size_t n)
{
	ASN1_TIME *t = ASN1_TIME_new();
	char copy[16];
	bool good = false;

	if (t && n < sizeof copy) {
		memcpy(copy, text, n);
		copy[n] = '\0';
		good = ASN1_TIME_set_string_X509(t, copy) == 1 && pki_time_get(ret_since_1970, t);
	}
	ASN1_TIME_free(t);
	return good;
}

enum rc pki_index_add(struct pki_text *index, const struct pki_entry *entry, struct err *e)
{
	char line[PKI_LINE_MAX], end[PKI_TIME_TEXT_MAX], revoked[PKI_TIME_TEXT_MAX];

	if (!time_write(end, entry->until_s) || !time_write(revoked, entry->revoked_s))
		return err_add(e, RC_RANGE, "a time of the index is out of range");
	int n = snprintf(line, sizeof line, "%c\t%s\t%s%s%s\t%s\tunknown\t%s\n", entry->revoked_s ? 'R' : 'V',
		end, entry->revoked_s ? revoked : "", entry->revoked_s && entry->reason ? "," : "",
		entry->revoked_s && entry->reason ? reason_word(entry->reason) : "", entry->serial,
		entry->subject);
	char *at = n > 0 && n < (int)sizeof line && index->n + (size_t)n <= PKI_INDEX_MAX
			   ? realloc(index->at, index->n + (size_t)n + 1)
			   : NULL;
	if (!at)
		return err_add(
			e, RC_LIMIT, "the index is full: at most %u octets are allowed", PKI_INDEX_MAX);
	memcpy(at + index->n, line, (size_t)n + 1);
	index->at = at;
	index->n += (size_t)n;
	return RC_OK;
}

/* One field, up to the tab, which is passed; of the last one up to the end. */
static bool field(const char **at, const char *end, const char **ret, size_t *ret_n, bool last)
{
	const char *tab = memchr(*at, '\t', (size_t)(end - *at));

	if (last != !tab)
		return false;
	*ret = *at;
	*ret_n = (size_t)((tab ? tab : end) - *at);
	*at = tab ? tab + 1 : end;
	return true;
}

static bool revocation_read(struct pki_entry *ret, const char *text, size_t n)
{
	const char *comma = memchr(text, ',', n);
	char word[32] = "";

	if (comma)
		snprintf(word, sizeof word, "%.*s",
			(int)MIN_OF(n - (size_t)(comma + 1 - text), sizeof word - 1), comma + 1);
	return time_read(&ret->revoked_s, text, comma ? (size_t)(comma - text) : n) && ret->revoked_s > 0 &&
	       (!comma || pki_reason(&ret->reason, word));
}

static bool serial_is_one(const char *text, size_t n)
{
	return n > 0 && n < PKI_SERIAL_TEXT && n % 2 == 0 && strspn(text, "0123456789ABCDEF") >= n;
}

static bool line_read(struct pki_entry *ret, const char *at, const char *end)
{
	const char *state, *until, *revoked, *serial, *file, *subject;
	size_t state_n, until_n, revoked_n, serial_n, file_n, subject_n;

	*ret = (struct pki_entry){ 0 };
	if (memchr(at, '\0',
		    (size_t)(end - at))) /* what stands behind it would be lost when it is written again */
		return false;
	if (!field(&at, end, &state, &state_n, false) || !field(&at, end, &until, &until_n, false) ||
		!field(&at, end, &revoked, &revoked_n, false) ||
		!field(&at, end, &serial, &serial_n, false) || !field(&at, end, &file, &file_n, false) ||
		!field(&at, end, &subject, &subject_n, true))
		return false;
	if (state_n != 1 || !strchr("VRE", state[0]) || !time_read(&ret->until_s, until, until_n) ||
		!serial_is_one(serial, serial_n) || subject_n >= sizeof ret->subject)
		return false;
	if (state[0] == 'R' ? !revocation_read(ret, revoked, revoked_n) : revoked_n > 0)
		return false;
	memcpy(ret->serial, serial, serial_n);
	memcpy(ret->subject, subject, subject_n);
	return true;
}

enum rc pki_index_read(
	struct pki_entry **ret_entries, size_t *ret_n, const struct pki_text *index, struct err *e)
{
	size_t lines = 0, n = 0;
	/* A text of no octets may stand nowhere. */
	const char *at = index->at, *last = index->n ? at + index->n : at;

	*ret_entries = NULL;
	*ret_n = 0;
	for (size_t i = 0; i < index->n; i++)
		lines += index->at[i] == '\n';
	struct pki_entry *entries = calloc(lines + 1, sizeof *entries);
	if (!entries)
		return err_add(e, RC_INTERNAL, "out of memory");
	while (at < last) {
		const char *end = memchr(at, '\n', (size_t)(last - at));
		if (!end || !line_read(&entries[n], at, end)) {
			free(entries);
			return err_add(e, RC_MALFORMED,
				"line %zu is not one of an index (state, end, revoked, serial number, file, subject)%s",
				n + 1, end ? "" : ": it has no end");
		}
		n++;
		at = end + 1;
	}
	*ret_entries = entries;
	*ret_n = n;
	return RC_OK;
}
