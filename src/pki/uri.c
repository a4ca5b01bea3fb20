/*
 * Names of keys that are in no file: URIs, by their scheme (PKI_PLACES). Those of PKCS#11 are RFC 7512's: attributes of the path between
 * semicolons, those of the query behind a question mark, octets as %XX. They are kept in an authority's directory, so they hold no PIN.
 */
#include "pki/internal.h"

#include <string.h>

static const char *const schemes[] = { [PKI_IN_FILE] = "",
#define E(id, scheme, provider, package, text) [PKI_IN_##id] = scheme,
	PKI_PLACES(E)
#undef E
};

#define TPM_HANDLE_DIGITS 8 /* 81000000 to 81ffffff are persistent (TPM 2.0 Part 2, 7.4) */

enum pki_place pki_place_of(const char *name)
{
	for (unsigned i = PKI_IN_FILE + 1; i < COUNT_OF(schemes); i++)
		if (strncmp(name, schemes[i], strlen(schemes[i])) == 0)
			return (enum pki_place)i;
	return PKI_IN_FILE;
}

const char *pki_place_rest(const char *name)
{
	return name + strlen(schemes[pki_place_of(name)]);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* n octets of text with %XX. */
static bool decode(char *ret, size_t size, const char *text, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		if (c == '%') {
			if (n - i < 3 || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0)
				return false;
			c = (char)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
			i += 2;
		}
		if (c == '\0' || at + 1 >= size)
			return false;
		ret[at++] = c;
	}
	ret[at] = '\0';
	return true;
}

bool pki_uri_attribute(char *ret, size_t size, const char *uri, const char *attribute)
{
	size_t len = strlen(attribute);
	bool query = false;

	for (const char *at = pki_place_rest(uri);; at++) {
		size_t n = strcspn(at, query ? "&" : ";?");
		if (n >= len && strncmp(at, attribute, len) == 0)
			return decode(ret, size, at + len, n - len);
		at += n;
		query |= *at == '?';
		if (*at == '\0')
			return false;
	}
}

static bool is_handle(const char *text)
{
	size_t n = 0;

	if (strncmp(text, "0x81", 4) != 0)
		return false;
	while (hex_digit(text[2 + n]) >= 0)
		n++;
	return n == TPM_HANDLE_DIGITS && (text[2 + n] == '\0' || strcmp(text + 2 + n, "?pass") == 0);
}

enum rc pki_uri_check(const char *uri, struct err *e)
{
	const enum pki_place place = pki_place_of(uri);
	const char *rest = pki_place_rest(uri);
	char value[PKI_URI_MAX];

	if (strlen(uri) >= PKI_URI_MAX)
		return err_add(
			e, RC_LIMIT, "the name of the key is longer than %d characters", PKI_URI_MAX - 1);
	for (const char *at = uri; *at; at++)
		if (*at < ' ' || *at > '~' || (*at == ' ' && place != PKI_IN_TPM_FILE))
			return err_add(e, RC_MALFORMED,
				"the name of the key: character %zu is not one of a URI, write its octets as %%XX",
				(size_t)(at - uri) + 1);
	if (place == PKI_IN_TPM_HANDLE && !is_handle(rest))
		return err_add(e, RC_MALFORMED,
			"'%.60s' found, expected a persistent handle such as handle:0x81000001, with ?pass behind it where it has a PIN",
			uri);
	if (place == PKI_IN_TPM_FILE && !rest[0])
		return err_add(e, RC_MALFORMED, "%s needs the name of a file behind it", uri);
	if (place == PKI_IN_PKCS11 && (strstr(rest, "pin-value") || strstr(rest, "pin-source")))
		return err_add(e, RC_DENIED,
			"the name of the key has pin-value or pin-source in it: leave it out, the PIN is asked for, or in the file of --pin-file");
	if (place == PKI_IN_PKCS11 && !pki_uri_attribute(value, sizeof value, uri, "token=") &&
		!pki_uri_attribute(value, sizeof value, uri, "serial="))
		return err_add(e, RC_MALFORMED,
			"'%.100s' does not say which token: expected 'pkcs11:token=LABEL;object=LABEL', as pkcs11-tool --list-objects prints it",
			uri);
	return RC_OK;
}
