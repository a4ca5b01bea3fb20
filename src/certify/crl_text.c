#include "certify/crl_text.h"

#include <stdlib.h>

static const char begins[] = "-----BEGIN X509 CRL-----", ends[] = "-----END X509 CRL-----",
		  dashes[] = "-----";

/* A line of the text without its end; *at goes behind it. */
static size_t line_next(const char *text, size_t n, size_t *at, const char **ret_line)
{
	const char *feed = memchr(text + *at, '\n', n - *at);
	size_t length = (feed ? (size_t)(feed - text) : n) - *at;

	*ret_line = text + *at;
	*at += length + (feed ? 1 : 0);
	while (length > 0 && ((*ret_line)[length - 1] == '\r' || (*ret_line)[length - 1] == ' '))
		length--;
	return length;
}

static bool line_is(const char *line, size_t n, const char *what)
{
	return n == strlen(what) && memcmp(line, what, n) == 0;
}

static bool begins_with_dashes(const char *line, size_t n)
{
	return n >= sizeof dashes - 1 && memcmp(line, dashes, sizeof dashes - 1) == 0;
}

/* The base64 of one CRL, up to its end line; *at is then behind that. */
static enum rc digits_gather(
	const char *text, size_t n, size_t *at, char *ret_digits, size_t *ret_n, struct err *e)
{
	const char *line;

	for (*ret_n = 0; *at < n;) {
		size_t length = line_next(text, n, at, &line);
		if (line_is(line, length, ends))
			return RC_OK;
		if (begins_with_dashes(line, length))
			break;
		memcpy(ret_digits + *ret_n, line, length);
		*ret_n += length;
	}
	return err_add(e, RC_MALFORMED, "a CRL is cut off: expected '%s'", ends);
}

static enum rc text_read(const char *text, size_t n, char *digits, uint8_t *ret_octets,
	struct certify_der *ret_crls, size_t max, size_t *ret_n, struct err *e)
{
	size_t used = 0, digits_n, der_n;
	const char *line;

	for (size_t at = 0; at < n;) {
		size_t length = line_next(text, n, &at, &line);
		if (!begins_with_dashes(line, length))
			continue; /* what openssl prints around it */
		if (!line_is(line, length, begins))
			return err_add(e, RC_MALFORMED, "it holds '%.*s', expected CRLs alone ('%s')",
				(int)MIN_OF(length, (size_t)40), line, begins);
		enum rc rc = digits_gather(text, n, &at, digits, &digits_n, e);
		if (rc != RC_OK)
			return rc;
		if (*ret_n == max)
			return err_add(e, RC_LIMIT, "it holds more than %zu CRLs", max);
		if (!base64_to_bytes(ret_octets + used, n - used, &der_n, digits, digits_n) || der_n == 0)
			return err_add(e, RC_MALFORMED, "a CRL is not base64");
		ret_crls[(*ret_n)++] = (struct certify_der){ ret_octets + used, der_n };
		used += der_n;
	}
	return *ret_n > 0 ? RC_OK
			  : err_add(e, RC_MALFORMED, "it holds no CRL: expected one in DER, or '%s'", begins);
}

enum rc crls_read(const uint8_t *file, size_t n, uint8_t *ret_octets, struct certify_der *ret_crls,
	size_t max, size_t *ret_n, struct err *e)
{
	enum rc rc = RC_OK;

	*ret_n = 0;
	if (n > 0 && file[0] == 0x30) {
		memcpy(ret_octets, file, n);
		ret_crls[(*ret_n)++] = (struct certify_der){ ret_octets, n };
	} else {
		char *digits = malloc(n + 1);
		rc = digits ? text_read((const char *)file, n, digits, ret_octets, ret_crls, max, ret_n, e)
			    : err_add(e, RC_INTERNAL, "out of memory");
		free(digits);
	}
	for (size_t i = 0; rc == RC_OK && i < *ret_n; i++)
		if (ret_crls[i].n > CERTIFY_CRL_BYTES_MAX)
			rc = err_add(e, RC_LIMIT, "a CRL has %zu octets, at most %u are allowed",
				ret_crls[i].n, CERTIFY_CRL_BYTES_MAX);
	return rc;
}
