#include "release/release.h"

#include "merkle/lines.h"

#include <string.h>

/* One line that is being read. */
struct words {
	const char *at, *end;
};

static void skip_blanks(struct words *w)
{
	while (w->at < w->end && (*w->at == ' ' || *w->at == '\t'))
		w->at++;
}

static bool word(struct words *w, char *ret, size_t max)
{
	size_t n = 0;

	skip_blanks(w);
	while (w->at + n < w->end && w->at[n] != ' ' && w->at[n] != '\t')
		n++;
	if (n == 0 || n >= max)
		return false;
	memcpy(ret, w->at, n);
	ret[n] = '\0';
	w->at += n;
	return true;
}

static const char *const role_words[RELEASE_ROLE_COUNT] = { "maintainer", "rebuilder" };

static enum rc signer_add(
	struct release_signers *s, struct words *w, enum release_role role, unsigned line, struct err *e)
{
	struct release_signer next = { .role = (uint8_t)role };
	enum rc rc;

	if (!word(w, next.name, sizeof next.name))
		return err_add(e, RC_MALFORMED, "line %u: a name of up to %zu octets is missing behind '%s'",
			line, sizeof next.name - 1, role_words[role]);
	skip_blanks(w);
	rc = ssh_key_parse(&next.key, w->at, (size_t)(w->end - w->at), NULL, NULL, e);
	if (rc != RC_OK)
		return err_add(e, rc, "line %u: the key of '%s'", line, next.name);
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->signer[i].name, next.name) == 0 || ssh_key_equal(&s->signer[i].key, &next.key))
			return err_add(e, RC_EXISTS,
				"line %u: the name or the key of '%s' stands there already, as '%s'", line,
				next.name, s->signer[i].name);
	if (s->n == RELEASE_SIGNERS_MAX)
		return err_add(e, RC_LIMIT, "line %u: at most %d signers", line, RELEASE_SIGNERS_MAX);
	s->signer[s->n++] = next;
	return RC_OK;
}

static enum rc needed_set(
	uint32_t *ret, bool *given, struct words *w, const char *kind, unsigned line, struct err *e)
{
	char text[8];
	uint64_t value = 0;

	if (*given)
		return err_add(e, RC_EXISTS, "line %u: '%s' stands there already", line, kind);
	bool read = word(w, text, sizeof text) && line_decimal(text, strlen(text), &value);
	skip_blanks(w);
	if (!read || value > RELEASE_SIGNERS_MAX || w->at != w->end)
		return err_add(e, RC_MALFORMED, "line %u: one number up to %d is expected behind '%s'", line,
			RELEASE_SIGNERS_MAX, kind);
	*given = true;
	*ret = (uint32_t)value;
	return RC_OK;
}

static enum rc line_read(struct release_signers *s, bool given[RELEASE_ROLE_COUNT], struct words *w,
	unsigned line, struct err *e)
{
	char kind[16];

	skip_blanks(w);
	if (w->at == w->end || *w->at == '#')
		return RC_OK;
	if (word(w, kind, sizeof kind)) {
		if (strcmp(kind, "maintainers") == 0)
			return needed_set(
				&s->needed[RELEASE_MAINTAINER], &given[RELEASE_MAINTAINER], w, kind, line, e);
		if (strcmp(kind, "rebuilders") == 0)
			return needed_set(
				&s->needed[RELEASE_REBUILDER], &given[RELEASE_REBUILDER], w, kind, line, e);
		for (unsigned role = 0; role < RELEASE_ROLE_COUNT; role++)
			if (strcmp(kind, role_words[role]) == 0)
				return signer_add(s, w, role, line, e);
	}
	return err_add(e, RC_MALFORMED,
		"line %u: it begins with none of: maintainers N, rebuilders N, maintainer NAME KEY, rebuilder NAME KEY",
		line);
}

enum rc release_signers_parse(struct release_signers *ret_signers, const char *text, size_t n, struct err *e)
{
	const char *at = text, *end = text + n, *begin;
	bool given[RELEASE_ROLE_COUNT] = { false };
	uint32_t there[RELEASE_ROLE_COUNT] = { 0 };
	unsigned line = 0;
	size_t line_n;
	enum rc rc = RC_OK;

	memset(ret_signers, 0, sizeof *ret_signers);
	if (n > RELEASE_SIGNERS_BYTES_MAX)
		return err_add(e, RC_LIMIT, "%zu octets, at most %d are read", n, RELEASE_SIGNERS_BYTES_MAX);
	while (rc == RC_OK && line_take(&at, end, &begin, &line_n)) {
		struct words w = { begin, begin + line_n };
		const char *control = line_control(begin, line_n);
		if (control)
			return err_add(e, RC_MALFORMED,
				"line %u: found the control character %02x, expected text", line + 1,
				(unsigned char)*control);
		rc = line_read(ret_signers, given, &w, ++line, e);
	}
	if (rc != RC_OK)
		return rc;
	if (at != end)
		return err_add(e, RC_MALFORMED, "line %u: its line feed is missing, the file may be cut off",
			line + 1);
	for (size_t i = 0; i < ret_signers->n; i++)
		there[ret_signers->signer[i].role]++;
	for (unsigned role = 0; role < RELEASE_ROLE_COUNT; role++) {
		if (!given[role] || (role == RELEASE_MAINTAINER && ret_signers->needed[role] == 0))
			return err_add(e, RC_MALFORMED,
				"there is no line '%ss N' that says how many signatures are needed",
				role_words[role]);
		if (ret_signers->needed[role] > there[role])
			return err_add(e, RC_RANGE, "%u %ss are needed, and there are %u",
				ret_signers->needed[role], role_words[role], there[role]);
	}
	return RC_OK;
}
