#include "witness/http.h"

#include <assert.h>
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

size_t http_request_text(char *ret_bytes, size_t max, const struct url *url, const char *path,
	const char *type, const void *body, size_t body_n)
{
	bool brackets = url->address.family == ADDR_V6;
	char length[96] = "", port[8] = "";

	if (body)
		snprintf(length, sizeof length, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, body_n);
	if (url->port != (url->tls ? 443 : 80))
		snprintf(port, sizeof port, ":%u", url->port);
	int n = snprintf(ret_bytes, max,
		"%s %s%s HTTP/1.1\r\nHost: %s%s%s%s\r\nUser-Agent: plaingate\r\n%s\r\n",
		body ? "POST" : "GET", url->prefix, path, brackets ? "[" : "", url->host, brackets ? "]" : "",
		port, length);
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

/* "HTTP/1.1 200 OK"; the words after the number are ignored. */
static enum rc status_read(struct http_answer *a, struct err *e)
{
	const char *l = a->line;
	bool form = strncmp(l, "HTTP/1.", 7) == 0 && (l[7] == '0' || l[7] == '1') && l[8] == ' ';

	for (int i = 9; form && i < 12; i++)
		form = l[i] >= '0' && l[i] <= '9';
	if (!form || l[9] == '0' || (l[12] != ' ' && l[12] != '\0'))
		return err_add(e, RC_MALFORMED, "malformed HTTP answer: expected a status line of HTTP/1.1");
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
			return err_add(e, RC_MALFORMED,
				"malformed HTTP answer: expected one decimal Content-Length");
		v = v * 10 + (uint64_t)(value[i] - '0');
	}
	/* Two lengths, or none: where the answer ends would be a matter of taste. */
	if (n == 0 || (a->has_length && v != a->left))
		return err_add(e, RC_MALFORMED, "malformed HTTP answer: expected one decimal Content-Length");
	a->has_length = true;
	a->left = v;
	return RC_OK;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static unsigned digits(const char *text, unsigned n)
{
	unsigned v = 0;

	while (n-- > 0)
		v = v * 10 + (unsigned)(*text++ - '0');
	return v;
}

/* Days since 1970 of a day in the Gregorian calendar; the year begins in March, so that February is last. */
static uint64_t days_from(unsigned year, unsigned month, unsigned day)
{
	unsigned y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;

	return 365ull * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", the one form that is sent (RFC 9110 section 5.6.7). 0: it is none. */
static uint64_t date_read(const char *text)
{
	static const char form[] = "aaa, dd aaa dddd dd:dd:dd GMT";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	unsigned month = 0;

	if (strlen(text) != sizeof form - 1)
		return 0;
	for (size_t i = 0; i < sizeof form - 1; i++)
		if (form[i] == 'd' ? !is_digit(text[i]) : form[i] != 'a' && text[i] != form[i])
			return 0;
	while (month < 12 && strncmp(months + 3 * month, text + 8, 3) != 0)
		month++;
	unsigned day = digits(text + 5, 2), year = digits(text + 12, 4), hour = digits(text + 17, 2),
		 minute = digits(text + 20, 2), second = digits(text + 23, 2);
	if (month == 12 || day < 1 || day > 31 || year < 1970 || hour > 23 || minute > 59 || second > 60)
		return 0;
	return days_from(year, month + 1, day) * 86400 + hour * 3600 + minute * 60 + second;
}

/* Seconds or a date (RFC 9110 section 10.2.3). What is neither is passed over, as if it were not there. */
static void retry_read(struct http_answer *a, const char *value)
{
	size_t n = strspn(value, "0123456789");

	if (n == 0 || value[n] != '\0') {
		a->retry_at_s = date_read(value);
		return;
	}
	a->retry_after_s = n > 8 ? HTTP_RETRY_MAX : digits(value, (unsigned)n);
}

/* A date is one by the server's clock, so by that it is reckoned. */
static void retry_reckon(struct http_answer *a)
{
	if (a->retry_at_s > a->date_s && a->date_s > 0)
		a->retry_after_s = (uint32_t)MIN_OF(a->retry_at_s - a->date_s, (uint64_t)HTTP_RETRY_MAX);
}

static enum rc header_read(struct http_answer *a, struct err *e)
{
	char *value;

	if (a->line[0] == ' ' || a->line[0] == '\t' || a->line[0] == ':' || !strchr(a->line, ':'))
		return err_add(e, RC_MALFORMED, "malformed HTTP answer: expected a header line");
	if ((value = header_value(a->line, "Content-Length")))
		return length_read(a, value, e);
	if ((value = header_value(a->line, "Transfer-Encoding"))) {
		if (a->chunked || strcasecmp(value, "chunked") != 0)
			return err_add(e, RC_UNSUPPORTED,
				"the HTTP answer has the unsupported transfer encoding '%.60s', expected chunked",
				value);
		a->chunked = true;
	} else if ((value = header_value(a->line, "Content-Encoding"))) {
		if (strcasecmp(value, "identity") != 0)
			return err_add(e, RC_UNSUPPORTED,
				"the HTTP answer has the unsupported content encoding '%.60s', expected identity",
				value);
	} else if ((value = header_value(a->line, "Connection"))) {
		if (strcasestr(value, "close")) /* one of a list, perhaps */
			a->keeps_open = false;
	} else if ((value = header_value(a->line, "Retry-After"))) {
		retry_read(a, value);
	} else if ((value = header_value(a->line, "Date"))) {
		a->date_s = date_read(value);
	}
	return RC_OK;
}

static size_t body_max(const struct http_answer *a)
{
	return a->to ? a->to_max : sizeof a->body;
}

static enum rc too_long(const struct http_answer *a, struct err *e)
{
	return err_add(e, RC_LIMIT, "the HTTP answer is too long, at most %zu octets", body_max(a));
}

/* RFC 9112 section 6.3: where the body ends. */
static enum rc headers_end(struct http_answer *a, struct err *e)
{
	if (a->status < 200) { /* interim: the answer is still to come */
		if (a->status == 101)
			return err_add(e, RC_UNSUPPORTED,
				"the HTTP answer switches protocols, which is not supported");
		const struct http_answer was = { .head_n = a->head_n, .to = a->to, .to_max = a->to_max };
		http_answer_begin(a);
		a->head_n = was.head_n; /* the limit is one for all of them */
		a->to = was.to;
		a->to_max = was.to_max;
		return RC_OK;
	}
	retry_reckon(a);
	if (a->chunked && a->has_length)
		return err_add(e, RC_MALFORMED, "malformed HTTP answer: both Content-Length and chunks");
	if (a->has_length && a->left > body_max(a))
		return too_long(a, e);
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
			return err_add(
				e, RC_MALFORMED, "malformed HTTP answer: expected the size of a chunk");
		v = v << 4 | digit;
	}
	if (n == 0)
		return err_add(e, RC_MALFORMED, "malformed HTTP answer: expected the size of a chunk");
	if (v > body_max(a) - a->body_n)
		return too_long(a, e);
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
		return a->line_n == 0 ? RC_OK
				      : err_add(e, RC_MALFORMED,
						"malformed HTTP answer: a chunk is longer than its size");
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

	if (++a->head_n > HTTP_HEAD_MAX + (a->chunked ? body_max(a) : 0))
		return err_add(e, RC_LIMIT, "the HTTP answer's headers are too long, at most %d octets",
			HTTP_HEAD_MAX);
	if (c == '\0' || (cr && c != '\n') || (c == '\n' && !cr))
		return err_add(
			e, RC_MALFORMED, "malformed HTTP answer: invalid control character in a header");
	if (c != '\n') {
		if (a->line_n == sizeof a->line - 1)
			return err_add(e, RC_LIMIT,
				"a header of the HTTP answer is too long, at most %zu octets",
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

	assert(a->body_n <= body_max(a) && a->line_n < sizeof a->line);
	while (rc == RC_OK && at < n && a->state != WHOLE) {
		if (in_lines(a)) {
			rc = line_octet(a, b[at++], e);
			continue;
		}
		size_t room = body_max(a) - a->body_n, part = MIN_OF(n - at, room);
		if (a->state != BODY_TO_END)
			part = MIN_OF(part, a->left);
		if (part == 0) {
			rc = too_long(a, e);
			break;
		}
		memcpy((a->to ? a->to : a->body) + a->body_n, b + at, part);
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
	return err_add(e, RC_TRUNCATED, "the connection ended before the answer was complete");
}
