#include "witness/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum state {
	STATUS_LINE,
	HEADERS,
	BODY_LENGTH,
	BODY_TO_END,
	CHUNK_SIZE,
	CHUNK_DATA,
	CHUNK_END,
	TRAILERS,
	WHOLE
};

static bool in_host(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
	       c == '-';
}

/* What may stand in a path as it is; no query and no fragment. */
static bool in_path(char c)
{
	return c != '\0' && (in_host(c) || strchr("/_~!$&'()*+,;=:@%", c));
}

static bool port_good(const char *text)
{
	unsigned v = 0;

	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '9')
			return false;
		v = v * 10 + (unsigned)(*c - '0');
	}
	return text[0] != '\0' && text[0] != '0' && v <= 65535;
}

/* "host", "host:port", "[address]:port" */
static enum rc authority_parse(struct http_url *u, const char *text, size_t n, struct err *e)
{
	const char *end = text + n, *host = text, *host_end, *colon;
	bool brackets = n > 0 && text[0] == '[';

	if (brackets) {
		host++;
		host_end = memchr(text, ']', n);
		colon = host_end ? host_end + 1 : NULL;
	} else {
		colon = memchr(text, ':', n);
		host_end = colon ? colon : end;
	}
	if (!host_end || host_end == host || (brackets && colon != end && *colon != ':'))
		return err_add(e, RC_MALFORMED, "a URL's host reads name, address or [IPv6 address]");
	for (const char *c = host; c < host_end; c++)
		if (!in_host(*c) && !(brackets && *c == ':'))
			return err_add(e, RC_MALFORMED, "a URL's host reads name, address or [IPv6 address]");
	if ((size_t)(host_end - host) >= sizeof u->host)
		return err_add(e, RC_LIMIT, "a URL's host has less than %zu bytes", sizeof u->host);
	memcpy(u->host, host, (size_t)(host_end - host));
	u->host[host_end - host] = '\0';
	if (!colon || colon == end) {
		memcpy(u->port, "80", 3);
		return RC_OK;
	}
	size_t port_n = (size_t)(end - colon - 1);
	if (port_n >= sizeof u->port)
		return err_add(e, RC_MALFORMED, "a URL's port is a number from 1 to 65535");
	memcpy(u->port, colon + 1, port_n);
	u->port[port_n] = '\0';
	return port_good(u->port) ? RC_OK
				  : err_add(e, RC_MALFORMED, "a URL's port is a number from 1 to 65535");
}

enum rc http_url_parse(struct http_url *ret_url, const char *text, struct err *e)
{
	static const char scheme[] = "http://";
	struct http_url u = { 0 };

	if (strncmp(text, "https://", 8) == 0)
		return err_add(
			e, RC_UNSUPPORTED, "'%.200s': TLS is not spoken here; give a proxy's http URL", text);
	if (strncmp(text, scheme, strlen(scheme)) != 0)
		return err_add(e, RC_MALFORMED, "'%.200s' is no http URL", text);
	text += strlen(scheme);
	size_t authority_n = strcspn(text, "/");
	enum rc rc = authority_parse(&u, text, authority_n, e);
	if (rc != RC_OK)
		return rc;
	text += authority_n;
	size_t n = strlen(text);
	while (n > 0 && text[n - 1] == '/')
		n--;
	if (n >= sizeof u.prefix)
		return err_add(e, RC_LIMIT, "a URL's path has less than %zu bytes", sizeof u.prefix);
	for (size_t i = 0; i < n; i++)
		if (!in_path(text[i]))
			return err_add(e, RC_MALFORMED, "a URL's path holds no '%c'", text[i]);
	memcpy(u.prefix, text, n);
	*ret_url = u;
	return RC_OK;
}

size_t http_request_text(char *ret_bytes, size_t max, const struct http_url *url, const char *path,
	const void *body, size_t body_n)
{
	bool brackets = strchr(url->host, ':') != NULL, port = strcmp(url->port, "80") != 0;
	char length[64] = "";

	if (body)
		snprintf(
			length, sizeof length, "Content-Type: text/plain\r\nContent-Length: %zu\r\n", body_n);
	int n = snprintf(ret_bytes, max, "%s %s%s HTTP/1.1\r\nHost: %s%s%s%s%s\r\n%s\r\n",
		body ? "POST" : "GET", url->prefix, path, brackets ? "[" : "", url->host, brackets ? "]" : "",
		port ? ":" : "", port ? url->port : "", length);
	if (n < 0 || (size_t)n >= max || (body && body_n > max - (size_t)n))
		return 0;
	if (body)
		memcpy(ret_bytes + n, body, body_n);
	return (size_t)n + (body ? body_n : 0);
}

void http_answer_begin(struct http_answer *a)
{
	memset(a, 0, sizeof *a);
	a->keeps_open = true;
}

/* "HTTP/1.1 200 OK"; the words behind the number are nobody's business. */
static enum rc status_read(struct http_answer *a, struct err *e)
{
	const char *l = a->line;
	bool form = strncmp(l, "HTTP/1.", 7) == 0 && (l[7] == '0' || l[7] == '1') && l[8] == ' ';

	for (int i = 9; form && i < 12; i++)
		form = l[i] >= '0' && l[i] <= '9';
	if (!form || l[9] == '0' || (l[12] != ' ' && l[12] != '\0'))
		return err_add(e, RC_MALFORMED, "an answer that does not begin as HTTP/1.1 does");
	a->status = (l[9] - '0') * 100 + (l[10] - '0') * 10 + (l[11] - '0');
	a->keeps_open = l[7] == '1';
	a->state = HEADERS;
	return RC_OK;
}

/* The value of a header of this name, without the white space around it; NULL: another one. */
static char *header_value(char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	char *value = line + n + 1;
	value += strspn(value, " \t");
	for (size_t end = strlen(value); end > 0 && (value[end - 1] == ' ' || value[end - 1] == '\t'); end--)
		value[end - 1] = '\0';
	return value;
}

static enum rc length_read(struct http_answer *a, const char *value, struct err *e)
{
	uint64_t v = 0;
	size_t n = strlen(value);

	for (size_t i = 0; i < n; i++) {
		if (value[i] < '0' || value[i] > '9' || n > 15)
			return err_add(e, RC_MALFORMED, "an answer whose length is no number");
		v = v * 10 + (uint64_t)(value[i] - '0');
	}
	/* Two lengths, or none: where the answer ends would be a matter of taste. */
	if (n == 0 || (a->has_length && v != a->left))
		return err_add(e, RC_MALFORMED, "an answer whose length is no number");
	a->has_length = true;
	a->left = v;
	return RC_OK;
}

static enum rc header_read(struct http_answer *a, struct err *e)
{
	char *value;

	if (a->line[0] == ' ' || a->line[0] == '\t' || a->line[0] == ':' || !strchr(a->line, ':'))
		return err_add(e, RC_MALFORMED, "an answer with a line that is no header");
	if ((value = header_value(a->line, "Content-Length")))
		return length_read(a, value, e);
	if ((value = header_value(a->line, "Transfer-Encoding"))) {
		if (a->chunked || strcasecmp(value, "chunked") != 0)
			return err_add(
				e, RC_UNSUPPORTED, "an answer in the transfer encoding '%.60s'", value);
		a->chunked = true;
	} else if ((value = header_value(a->line, "Content-Encoding"))) {
		if (strcasecmp(value, "identity") != 0)
			return err_add(e, RC_UNSUPPORTED, "an answer in the content encoding '%.60s'", value);
	} else if ((value = header_value(a->line, "Connection"))) {
		if (strcasestr(value, "close")) /* one of a list, perhaps */
			a->keeps_open = false;
	}
	return RC_OK;
}

/* RFC 9112 section 6.3: where the body ends. */
static enum rc headers_end(struct http_answer *a, struct err *e)
{
	if (a->status < 200) { /* interim: the answer is still to come */
		if (a->status == 101)
			return err_add(e, RC_UNSUPPORTED, "an answer that changes the protocol");
		size_t head_n = a->head_n; /* the limit is one for all of them */
		http_answer_begin(a);
		a->head_n = head_n;
		return RC_OK;
	}
	if (a->chunked && a->has_length)
		return err_add(e, RC_MALFORMED, "an answer with both a length and chunks");
	if (a->has_length && a->left > HTTP_BODY_MAX)
		return err_add(e, RC_LIMIT, "an answer of more than %d bytes", HTTP_BODY_MAX);
	if (a->status == 204 || a->status == 304)
		a->state = WHOLE;
	else if (a->chunked)
		a->state = CHUNK_SIZE;
	else if (a->has_length)
		a->state = a->left > 0 ? BODY_LENGTH : WHOLE;
	else
		a->state = BODY_TO_END;
	return RC_OK;
}

static enum rc chunk_size_read(struct http_answer *a, struct err *e)
{
	size_t n = strcspn(a->line, "; \t"); /* extensions are passed over */
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++) {
		char c = a->line[i];
		unsigned digit = c >= '0' && c <= '9'	? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
				 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
							: 16;
		if (digit == 16 || n > 8)
			return err_add(e, RC_MALFORMED, "an answer with a chunk of no size");
		v = v << 4 | digit;
	}
	if (n == 0)
		return err_add(e, RC_MALFORMED, "an answer with a chunk of no size");
	if (v > HTTP_BODY_MAX - a->body_n)
		return err_add(e, RC_LIMIT, "an answer of more than %d bytes", HTTP_BODY_MAX);
	a->left = v;
	a->state = v > 0 ? CHUNK_DATA : TRAILERS;
	return RC_OK;
}

/* One line, without its CRLF. */
static enum rc line_read(struct http_answer *a, struct err *e)
{
	switch ((enum state)a->state) {
	case STATUS_LINE:
		return status_read(a, e);
	case HEADERS:
		return a->line_n == 0 ? headers_end(a, e) : header_read(a, e);
	case CHUNK_SIZE:
		return chunk_size_read(a, e);
	case CHUNK_END:
		a->state = CHUNK_SIZE;
		return a->line_n == 0 ? RC_OK : err_add(e, RC_MALFORMED, "an answer with a chunk too long");
	default: /* trailers: passed over */
		if (a->line_n == 0)
			a->state = WHOLE;
		return RC_OK;
	}
}

static bool in_lines(const struct http_answer *a)
{
	return a->state == STATUS_LINE || a->state == HEADERS || a->state == CHUNK_SIZE ||
	       a->state == CHUNK_END || a->state == TRAILERS;
}

/* One octet of a line. Lines end in CRLF; an octet 00 or a lone CR or LF would be read differently elsewhere.
 */
static enum rc line_octet(struct http_answer *a, char c, struct err *e)
{
	bool cr = a->line_n > 0 && a->line[a->line_n - 1] == '\r';

	if (++a->head_n > HTTP_HEAD_MAX + (a->chunked ? HTTP_BODY_MAX : 0))
		return err_add(e, RC_LIMIT, "an answer with headers of more than %d bytes", HTTP_HEAD_MAX);
	if (c == '\0' || (cr && c != '\n') || (c == '\n' && !cr))
		return err_add(
			e, RC_MALFORMED, "an answer with an octet in its headers that cannot be there");
	if (c != '\n') {
		if (a->line_n == sizeof a->line - 1)
			return err_add(e, RC_LIMIT, "an answer with a header of more than %zu bytes",
				sizeof a->line);
		a->line[a->line_n++] = c;
		return RC_OK;
	}
	a->line[--a->line_n] = '\0';
	enum rc rc = line_read(a, e);
	a->line_n = 0;
	return rc;
}

enum rc http_answer_feed(struct http_answer *a, const void *bytes, size_t n, size_t *ret_used, struct err *e)
{
	const char *b = bytes;
	enum rc rc = RC_OK;
	size_t at = 0;

	while (rc == RC_OK && at < n && a->state != WHOLE) {
		if (in_lines(a)) {
			rc = line_octet(a, b[at++], e);
			continue;
		}
		size_t room = sizeof a->body - a->body_n, part = MIN_OF(n - at, room);
		if (a->state != BODY_TO_END)
			part = MIN_OF(part, a->left);
		if (part == 0) {
			rc = err_add(e, RC_LIMIT, "an answer of more than %d bytes", HTTP_BODY_MAX);
			break;
		}
		memcpy(a->body + a->body_n, b + at, part);
		a->body_n += part;
		at += part;
		if (a->state != BODY_TO_END && (a->left -= part) == 0)
			a->state = a->state == CHUNK_DATA ? CHUNK_END : WHOLE;
	}
	*ret_used = at;
	return rc != RC_OK ? rc : a->state == WHOLE ? RC_OK : RC_AGAIN;
}

enum rc http_answer_end(struct http_answer *a, struct err *e)
{
	if (a->state == WHOLE || a->state == BODY_TO_END) {
		a->state = WHOLE;
		a->keeps_open = false;
		return RC_OK;
	}
	return err_add(e, RC_TRUNCATED, "the connection ended before the answer did");
}
