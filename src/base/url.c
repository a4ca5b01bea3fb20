#include "base/url.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool in_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-';
}

/* Allowed in a path unencoded; no query and no fragment. */
static bool in_path(char c)
{
	return c != '\0' && (in_name(c) || strchr("./_~!$&'()*+,;=:@%", c));
}

/* RFC 1123 section 2.1: labels of letters, digits and hyphens. The last one has a letter: what is all digits
 * would be an address, and here it is none. */
static enum rc name_check(const char *name, struct err *e)
{
	bool letter = false;

	for (const char *label = name;; label++) {
		size_t n = strcspn(label, ".");
		letter = false;
		for (size_t i = 0; i < n; i++) {
			if (!in_name(label[i]))
				return err_add(e, RC_MALFORMED,
					"the host '%.100s' of a URL is neither a name (letters, digits, "
					"hyphens, dots) nor an address",
					name);
			letter |= !is_digit(label[i]);
		}
		if (n == 0 || n > URL_LABEL_MAX || label[0] == '-' || label[n - 1] == '-')
			return err_add(e, RC_MALFORMED,
				"the host name '%.100s' of a URL has a part that is empty, longer than %d or "
				"begins or ends with a hyphen",
				name, URL_LABEL_MAX);
		label += n;
		if (*label == '\0')
			break;
	}
	return letter ? RC_OK
		      : err_add(e, RC_MALFORMED,
				"the host '%.100s' of a URL is not an IPv4 address, and no name ends in "
				"a part of digits alone",
				name);
}

static enum rc host_read(struct url *u, const char *text, size_t n, bool brackets, struct err *e)
{
	if (n == 0)
		return err_add(e, RC_MALFORMED, "a URL without a host: expected https://HOST[:PORT][/PATH]");
	if (n >= sizeof u->host)
		return err_add(e, RC_LIMIT, "the host of a URL has %zu bytes, at most %zu are allowed", n,
			sizeof u->host - 1);
	memcpy(u->host, text, n);
	u->host[n] = '\0';
	bool address = addr_parse(&u->address, u->host) == RC_OK;
	if (brackets)
		return address && u->address.family == ADDR_V6
			       ? RC_OK
			       : err_add(e, RC_MALFORMED,
					 "'%.100s' in a URL's brackets is not an IPv6 address", u->host);
	if (address && u->address.family == ADDR_V6)
		return err_add(
			e, RC_MALFORMED, "an IPv6 address in a URL is written in brackets: [%s]", u->host);
	if (address)
		return RC_OK;
	u->address = (struct ip_addr){ 0 };
	return name_check(u->host, e);
}

static enum rc port_read(struct url *u, const char *text, size_t n, struct err *e)
{
	unsigned v = 0;
	bool good = n > 0 && n <= 5 && text[0] != '0';

	for (size_t i = 0; good && i < n; i++) {
		good = is_digit(text[i]);
		v = v * 10 + (unsigned)(text[i] - '0');
	}
	if (!good || v > UINT16_MAX)
		return err_add(e, RC_MALFORMED, "the port '%.*s' of a URL is not a number from 1 to 65535",
			(int)MIN_OF(n, (size_t)20), text);
	u->port = (uint16_t)v;
	return RC_OK;
}

/* "host", "host:port", "[address]:port" */
static enum rc authority_read(struct url *u, const char *text, size_t n, struct err *e)
{
	bool brackets = n > 0 && text[0] == '[';
	const char *end = text + n, *host = text + brackets, *host_end, *after;

	if (memchr(text, '@', n))
		return err_add(e, RC_MALFORMED, "a URL may not contain a user or a password");
	if (brackets) {
		host_end = memchr(host, ']', (size_t)(end - host));
		if (!host_end)
			return err_add(e, RC_MALFORMED, "the bracket '[' of a URL is not closed");
		after = host_end + 1;
	} else {
		/* The last colon: an IPv6 address without brackets is told as such. */
		host_end = memrchr(text, ':', n);
		if (!host_end || memchr(text, ':', n) != host_end)
			host_end = end;
		after = host_end;
	}
	enum rc rc = host_read(u, host, (size_t)(host_end - host), brackets, e);
	if (rc != RC_OK || after == end)
		return rc;
	if (*after != ':')
		return err_add(e, RC_MALFORMED,
			"found '%.20s' after the host of a URL, expected :PORT or a path", after);
	return port_read(u, after + 1, (size_t)(end - after - 1), e);
}

static enum rc prefix_read(struct url *u, const char *text, struct err *e)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '?' || text[i] == '#')
			return err_add(e, RC_MALFORMED,
				"a URL may not contain a %s: expected https://HOST[:PORT][/PATH]",
				text[i] == '?' ? "query ('?')" : "fragment ('#')");
		if (!in_path(text[i]))
			return err_add(e, RC_MALFORMED,
				"the path of a URL contains the octet %02x, which must be written as %%%02X",
				(unsigned char)text[i], (unsigned char)text[i]);
	}
	while (n > 0 && text[n - 1] == '/')
		n--;
	if (n >= sizeof u->prefix)
		return err_add(e, RC_LIMIT, "the path of a URL has %zu bytes, at most %zu are allowed", n,
			sizeof u->prefix - 1);
	memcpy(u->prefix, text, n);
	return RC_OK;
}

enum rc url_parse(struct url *ret_url, const char *text, struct err *e)
{
	struct url u = { .port = 443, .tls = true };

	if (strncmp(text, "https://", 8) == 0) {
		text += 8;
	} else if (strncmp(text, "http://", 7) == 0) {
		text += 7;
		u.tls = false;
		u.port = 80;
	} else {
		return err_add(e, RC_MALFORMED, "'%.100s' does not begin with https:// or http://", text);
	}
	size_t authority_n = strcspn(text, "/?#");
	enum rc rc = authority_read(&u, text, authority_n, e);
	rc = rc ? rc : prefix_read(&u, text + authority_n, e);
	if (rc == RC_OK)
		*ret_url = u;
	return rc;
}
