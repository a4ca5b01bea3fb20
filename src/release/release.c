#include "release/release.h"

#include "ledger/canonical.h"

#include <string.h>

#define FORMAT "plaingate-release v1"

const char *release_class_name(enum release_class class)
{
	static const char *const names[] = {
#define E(id, name) [RELEASE_##id] = name,
		RELEASE_CLASSES(E)
#undef E
	};

	return names[class];
}

/* The reader with the limits of a release: `bad` is sticky in the cursor, the first reason stays in `why`. */
struct reader {
	struct canonical c;
	const char *text;
	const char *why; /* NULL: only that the form is another one */
};

static void refuse(struct reader *r, const char *why)
{
	if (!r->c.bad)
		r->why = why;
	r->c.bad = true;
}

static bool printable(const struct canonical_text *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->text[i] <= ' ' || t->text[i] > '~' || t->text[i] == '\\')
			return false;
	return t->n > 0;
}

static void string(struct reader *r, const char *key, char *ret, size_t max)
{
	struct canonical_text t = { 0 };

	canonical_key(&r->c, key);
	canonical_string(&r->c, &t);
	if (r->c.bad)
		return;
	if (!printable(&t) || t.n >= max) {
		refuse(r, "a text is empty, too long, or has other characters than visible ones of ASCII");
		return;
	}
	memcpy(ret, t.text, t.n);
	ret[t.n] = '\0';
}

static void digest(struct reader *r, const char *key, uint8_t ret[SHA256_SIZE])
{
	char hex[2 * SHA256_SIZE + 1] = "";

	string(r, key, hex, sizeof hex);
	if (!r->c.bad && (strlen(hex) != 2 * SHA256_SIZE || strspn(hex, "0123456789abcdef") != strlen(hex) ||
				 !hex_to_bytes(ret, SHA256_SIZE, hex)))
		refuse(r, "a SHA-256 is not 64 digits of hex in lower case");
}

static void comma(struct reader *r)
{
	canonical_char(&r->c, ',');
}

/* A name beside release.json has no slash, so that no release names a file elsewhere; a program is named by its whole path. */
static bool name_allowed(const char *name, bool program)
{
	if (program)
		return name[0] == '/' && !strstr(name, "/../") && !strstr(name, "//");
	return name[0] != '.' && !strchr(name, '/');
}

static size_t list(struct reader *r, const char *key, struct release_file *ret, size_t max, bool program)
{
	size_t n = 0;

	canonical_key(&r->c, key);
	canonical_char(&r->c, '[');
	while (!r->c.bad && r->c.at < r->c.end && *r->c.at != ']') {
		struct release_file f = { 0 };

		if (n > 0)
			comma(r);
		canonical_char(&r->c, '{');
		if (!program) {
			canonical_key(&r->c, "bytes");
			canonical_number(&r->c, &f.bytes);
			comma(r);
		}
		string(r, "name", f.name, sizeof f.name);
		comma(r);
		digest(r, "sha256", f.sha256);
		canonical_char(&r->c, '}');
		if (r->c.bad)
			break;
		if (n == max)
			refuse(r, "too many files");
		else if (!name_allowed(f.name, program))
			refuse(r, program ? "a program is not named by its path"
					  : "a file's name has a slash or begins with a dot");
		else if (n > 0 && strcmp(ret[n - 1].name, f.name) >= 0)
			refuse(r, "files are not in ascending order of their names, each once");
		else
			ret[n++] = f;
	}
	canonical_char(&r->c, ']');
	return n;
}

enum rc release_parse(struct release *ret_release, const char *text, size_t n, struct err *e)
{
	struct release *ret = ret_release;

	memset(ret, 0, sizeof *ret);
	if (n > RELEASE_TEXT_MAX)
		return err_add(
			e, RC_LIMIT, "release.json has %zu octets, at most %d are read", n, RELEASE_TEXT_MAX);
	struct reader r = { canonical_over(text, n), text, NULL };
	canonical_char(&r.c, '{');
	string(&r, "commit", ret->commit, sizeof ret->commit);
	comma(&r);
	canonical_key(&r.c, "down_to");
	canonical_number(&r.c, &ret->down_to);
	comma(&r);
	ret->files_n = list(&r, "files", ret->file, RELEASE_FILES_MAX, false);
	comma(&r);
	canonical_key(&r.c, "format");
	struct canonical_text kind = { 0 };
	canonical_string(&r.c, &kind);
	if (!r.c.bad && (kind.n != sizeof FORMAT - 1 || memcmp(kind.text, FORMAT, kind.n) != 0))
		refuse(&r, "the format is not '" FORMAT "': it is of another version of Plaingate");
	comma(&r);
	canonical_key(&r.c, "number");
	canonical_number(&r.c, &ret->number);
	comma(&r);
	ret->programs_n = list(&r, "programs", ret->program, RELEASE_PROGRAMS_MAX, true);
	comma(&r);
	digest(&r, "source", ret->source);
	comma(&r);
	string(&r, "version", ret->version, sizeof ret->version);
	canonical_char(&r.c, '}');
	canonical_char(&r.c, '\n');
	if (!r.c.bad && r.c.at < r.c.end)
		refuse(&r, "something follows its last line");
	if (!r.c.bad &&
		(strspn(ret->commit, "0123456789abcdef") != strlen(ret->commit) || strlen(ret->commit) < 40))
		refuse(&r, "the commit is not 40 to 64 digits of hex in lower case");
	if (!r.c.bad && (ret->number < 1 || ret->number > RELEASE_NUMBER_MAX || ret->down_to < 1 ||
				ret->down_to > ret->number))
		refuse(&r, "its number is none from 1 up, or one may not go back to the number that it says");
	if (!r.c.bad && (ret->files_n == 0 || ret->programs_n == 0))
		refuse(&r, "it names no files or no programs");
	if (r.c.bad)
		return err_add(e, RC_MALFORMED, "release.json, octet %zu: %s", (size_t)(r.c.at - text),
			r.why ? r.why : "it is not in the one form that tools/release writes");
	return RC_OK;
}
