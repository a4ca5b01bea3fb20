/* HTTP towards a witness: requests, and answers in pieces, spoiled and hostile ones among them. */
#include "witness/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static struct http_answer whole, pieces;

static void requests(void **state)
{
	struct url u;
	char text[512];
	static const char post[] = "POST /w/add-checkpoint HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n"
				   "User-Agent: plaingate\r\n"
				   "Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody";
	static const char get[] = "GET /x/checkpoint HTTP/1.1\r\nHost: witness.example\r\n"
				  "User-Agent: plaingate\r\n\r\n";

	assert_int_equal(url_parse(&u, "http://[2001:db8::1]:8080/w/", NULL), RC_OK);
	assert_int_equal(http_request_text(text, sizeof text, &u, "/add-checkpoint", "text/plain", "body", 4),
		strlen(post));
	assert_memory_equal(text, post, strlen(post));
	for (size_t max = 0; max < strlen(post); max++)
		assert_int_equal(
			http_request_text(text, max, &u, "/add-checkpoint", "text/plain", "body", 4), 0);
	/* each scheme has its own port */
	static const char *const plain[] = { "http://witness.example", "http://witness.example:80",
		"https://witness.example", "https://witness.example:443/" };
	for (size_t i = 0; i < COUNT_OF(plain); i++) {
		assert_int_equal(url_parse(&u, plain[i], NULL), RC_OK);
		assert_int_equal(http_request_text(text, sizeof text, &u, "/x/checkpoint", NULL, NULL, 0),
			strlen(get));
		assert_memory_equal(text, get, strlen(get));
	}
	assert_int_equal(url_parse(&u, "https://witness.example:80", NULL), RC_OK);
	assert_true(http_request_text(text, sizeof text, &u, "/", NULL, NULL, 0) > 0);
	assert_non_null(strstr(text, "\r\nHost: witness.example:80\r\n"));
	assert_true(http_request_text(text, sizeof text, &u, "/", "text/plain", "", 0) > 0);
	assert_non_null(strstr(text, "Content-Length: 0\r\n\r\n"));
}

#define OK "HTTP/1.1 200 OK\r\n"

/* clang-format off */
static const struct row {
	const char *name, *text;
	enum rc want;	/* RC_AGAIN: whole when the connection ends; RC_TRUNCATED: not even then */
	int status;
	const char *body;
	bool keeps_open;
} rows[] = {
	{ "as plaingate-witness answers", "HTTP/1.1 409 Conflict\r\nDate: Mon, 23 Nov 2026 06:43:00 GMT\r\nContent-Type: text/x.tlog.size\r\n"
	  "Cache-Control: no-cache\r\nContent-Length: 2\r\n\r\n5\n", RC_OK, 409, "5\n", true },
	{ "no words", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", RC_OK, 200, "", true },
	{ "closes", OK "Connection: close\r\nContent-Length: 1\r\n\r\na", RC_OK, 200, "a", false },
	{ "closes, other case", OK "CONNECTION:CLOSE \t\r\ncontent-length:1\r\n\r\na", RC_OK, 200, "a", false },
	{ "1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", RC_OK, 200, "a", false },
	{ "length twice, the same", OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", RC_OK, 200, "a", true },
	{ "no content", "HTTP/1.1 204 No Content\r\n\r\n", RC_OK, 204, "", true },
	{ "to the end", OK "\r\nuntil it ends", RC_AGAIN, 200, "until it ends", false },
	{ "chunks", OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", RC_OK, 200, "abc0123456789", true },
	{ "chunks and trailers", OK "Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n00\r\nX: y\r\n\r\n", RC_OK, 200, "a", true },
	{ "interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" OK "Content-Length: 1\r\n\r\na", RC_OK, 200, "a", true },
	{ "nothing", "", RC_TRUNCATED, 0, "", true },
	{ "cut in the status", "HTTP/1.1 20", RC_TRUNCATED, 0, "", true },
	{ "cut in the headers", OK "Content-Len", RC_TRUNCATED, 200, "", true },
	{ "cut in the body", OK "Content-Length: 5\r\n\r\nabc", RC_TRUNCATED, 200, "abc", true },
	{ "cut in a chunk", OK "Transfer-Encoding: chunked\r\n\r\n5\r\nabc", RC_TRUNCATED, 200, "abc", true },
	{ "cut before the last chunk", OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", RC_TRUNCATED, 200, "abc", true },
	{ "no HTTP", "SSH-2.0-x\r\n", RC_MALFORMED, 0, "", true },
	{ "HTTP/2", "HTTP/2.0 200 OK\r\n", RC_MALFORMED, 0, "", true },
	{ "two digits", "HTTP/1.1 20 OK\r\n", RC_MALFORMED, 0, "", true },
	{ "four digits", "HTTP/1.1 2000 OK\r\n", RC_MALFORMED, 0, "", true },
	{ "status 0xx", "HTTP/1.1 099 OK\r\n", RC_MALFORMED, 0, "", true },
	{ "lone LF", "HTTP/1.1 200 OK\n\n", RC_MALFORMED, 0, "", true },
	{ "lone LF behind a header", OK "Content-Length: 11\n\r\na", RC_MALFORMED, 0, "", true },
	{ "lone CR", OK "X: a\rb\r\n\r\n", RC_MALFORMED, 0, "", true },
	{ "no header", OK "nonsense\r\n\r\n", RC_MALFORMED, 0, "", true },
	{ "folded header", OK "X: a\r\n b: c\r\n\r\n", RC_MALFORMED, 0, "", true },
	{ "header without name", OK ": a\r\n\r\n", RC_MALFORMED, 0, "", true },
	{ "two lengths", OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", RC_MALFORMED, 0, "", true },
	{ "a list of lengths", OK "Content-Length: 1, 1\r\n\r\na", RC_MALFORMED, 0, "", true },
	{ "negative length", OK "Content-Length: -1\r\n\r\na", RC_MALFORMED, 0, "", true },
	{ "no length", OK "Content-Length:\r\n\r\na", RC_MALFORMED, 0, "", true },
	{ "length and chunks", OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", RC_MALFORMED, 0, "", true },
	{ "large length", OK "Content-Length: 32769\r\n\r\n", RC_LIMIT, 0, "", true },
	{ "immense length", OK "Content-Length: 99999999999999999999\r\n\r\n", RC_MALFORMED, 0, "", true },
	{ "large chunk", OK "Transfer-Encoding: chunked\r\n\r\n8001\r\n", RC_LIMIT, 0, "", true },
	{ "immense chunk", OK "Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n", RC_MALFORMED, 0, "", true },
	{ "chunk of no size", OK "Transfer-Encoding: chunked\r\n\r\n\r\n", RC_MALFORMED, 0, "", true },
	{ "chunk with a prefix", OK "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n", RC_MALFORMED, 0, "", true },
	{ "chunk too long", OK "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", RC_MALFORMED, 0, "", true },
	{ "gzip", OK "Content-Encoding: gzip\r\n\r\n", RC_UNSUPPORTED, 0, "", true },
	{ "chunks of gzip", OK "Transfer-Encoding: gzip, chunked\r\n\r\n", RC_UNSUPPORTED, 0, "", true },
	{ "chunks of chunks", OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", RC_UNSUPPORTED, 0, "", true },
	{ "another protocol", "HTTP/1.1 101 Switching Protocols\r\n\r\n", RC_UNSUPPORTED, 0, "", true },
};
/* clang-format on */

/* The answer in pieces of this size; what it comes to. */
static enum rc feed(struct http_answer *a, const char *text, size_t n, size_t piece, size_t *ret_used)
{
	enum rc rc = RC_AGAIN;
	size_t used;

	http_answer_begin(a);
	for (*ret_used = 0; rc == RC_AGAIN && *ret_used < n; *ret_used += used)
		rc = http_answer_feed(a, text + *ret_used, MIN_OF(piece, n - *ret_used), &used, NULL);
	return rc;
}

static void answers(void **state)
{
	size_t used, used_again;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct row *r = &rows[i];
		size_t n = strlen(r->text);
		enum rc rc = feed(&whole, r->text, n, n, &used);
		if (rc == RC_AGAIN) {
			rc = http_answer_end(&whole, NULL);
			rc = rc == RC_OK ? RC_AGAIN : rc;
		}
		if (rc != r->want)
			fail_msg("%s: %s", r->name, rc_text(rc));
		for (size_t piece = 1; piece < n; piece++) {
			rc = feed(&pieces, r->text, n, piece, &used_again);
			if (rc == RC_AGAIN) {
				rc = http_answer_end(&pieces, NULL);
				rc = rc == RC_OK ? RC_AGAIN : rc;
			}
			if (rc != r->want || used != used_again)
				fail_msg("%s in pieces of %zu: %s", r->name, piece, rc_text(rc));
			assert_int_equal(pieces.body_n, whole.body_n);
		}
		if (rc != RC_OK && rc != RC_AGAIN && rc != RC_TRUNCATED)
			continue;
		assert_int_equal(whole.status, r->status);
		assert_int_equal(whole.body_n, strlen(r->body));
		assert_memory_equal(whole.body, r->body, whole.body_n);
		if (rc == RC_TRUNCATED)
			continue;
		assert_int_equal(whole.keeps_open, r->keeps_open);
		/* No shorter text is a whole answer, but for one that the end of the connection ends. */
		for (size_t cut = 0; rc == RC_OK && cut < n; cut++) {
			assert_int_equal(feed(&pieces, r->text, cut, cut + 1, &used_again), RC_AGAIN);
			assert_int_equal(http_answer_end(&pieces, NULL), RC_TRUNCATED);
		}
	}
}

#define BUSY "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n"
#define AT   "Date: Sun, 29 Nov 2026 23:59:58 GMT\r\n"

/* clang-format off */
static const struct {
	const char *name, *head;
	uint32_t want;
} retries[] = {
	{ "none", BUSY, 0 },
	{ "seconds", BUSY "Retry-After: 120\r\n", 120 },
	{ "other case, spaces", BUSY "retry-after: \t7 \r\n", 7 },
	{ "at once", BUSY "Retry-After: 0\r\n", 0 },
	{ "eight digits", BUSY "Retry-After: 12345678\r\n", 12345678 },
	{ "more than can be", BUSY "Retry-After: 99999999999999999999999999\r\n", HTTP_RETRY_MAX },
	{ "negative", BUSY "Retry-After: -5\r\n", 0 },
	{ "a fraction", BUSY "Retry-After: 1.5\r\n", 0 },
	{ "words", BUSY "Retry-After: soon\r\n", 0 },
	{ "empty", BUSY "Retry-After:\r\n", 0 },
	{ "a date", BUSY AT "Retry-After: Mon, 30 Nov 2026 00:00:03 GMT\r\n", 5 },
	{ "a date before the answer's", BUSY "Retry-After: Mon, 30 Nov 2026 00:00:03 GMT\r\n" AT, 5 },
	{ "over a leap day", BUSY "Date: Mon, 28 Feb 2028 00:00:00 GMT\r\nRetry-After: Wed, 01 Mar 2028 00:00:00 GMT\r\n", 172800 },
	{ "over no leap day", BUSY "Date: Sun, 28 Feb 2027 00:00:00 GMT\r\nRetry-After: Mon, 01 Mar 2027 00:00:00 GMT\r\n", 86400 },
	{ "over a year", BUSY "Date: Thu, 31 Dec 2026 23:59:59 GMT\r\nRetry-After: Fri, 01 Jan 2027 00:00:00 GMT\r\n", 1 },
	{ "a date that is past", BUSY AT "Retry-After: Sun, 29 Nov 2026 23:00:00 GMT\r\n", 0 },
	{ "a date of no time", BUSY "Retry-After: Mon, 30 Nov 2026 00:00:03 GMT\r\n", 0 },
	{ "a date far away", BUSY AT "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", HTTP_RETRY_MAX },
	{ "an old form", BUSY AT "Retry-After: Monday, 30-Nov-26 00:00:03 GMT\r\n", 0 },
	{ "another zone", BUSY AT "Retry-After: Mon, 30 Nov 2026 00:00:03 CET\r\n", 0 },
	{ "no month", BUSY AT "Retry-After: Mon, 30 Nox 2026 00:00:03 GMT\r\n", 0 },
	{ "no hour", BUSY AT "Retry-After: Mon, 30 Nov 2026 24:00:03 GMT\r\n", 0 },
	{ "another answer's", "HTTP/1.1 103 Early\r\nRetry-After: 9\r\n\r\n" BUSY, 0 },
};
/* clang-format on */

static void when_to_ask_again(void **state)
{
	char text[512];
	size_t used;

	for (size_t i = 0; i < COUNT_OF(retries); i++) {
		int n = snprintf(text, sizeof text, "%s\r\n", retries[i].head);
		http_answer_begin(&whole);
		assert_int_equal(http_answer_feed(&whole, text, (size_t)n, &used, NULL), RC_OK);
		if (whole.retry_after_s != retries[i].want)
			fail_msg("%s: %u", retries[i].name, whole.retry_after_s);
	}
	/* the calendar, by the C library's */
	for (time_t t = 0; t < 4102444800; t += 86400 * 7 + 3601) {
		struct tm tm;
		char now[64], then[64];
		time_t later = t + 60 * 86400;
		gmtime_r(&t, &tm);
		strftime(now, sizeof now, "%a, %d %b %Y %H:%M:%S GMT", &tm);
		gmtime_r(&later, &tm);
		strftime(then, sizeof then, "%a, %d %b %Y %H:%M:%S GMT", &tm);
		int n = snprintf(text, sizeof text, BUSY "Date: %s\r\nRetry-After: %s\r\n\r\n", now, then);
		http_answer_begin(&whole);
		assert_int_equal(http_answer_feed(&whole, text, (size_t)n, &used, NULL), RC_OK);
		if (whole.retry_after_s !=
			(t == 0 ? 0 : 60 * 86400)) /* a date of 1970's first second is none */
			fail_msg("from %s to %s: %u", now, then, whole.retry_after_s);
	}
}

static void next_answer(void **state)
{
	static const char two[] =
		OK "Content-Length: 1\r\n\r\naHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
	size_t used;

	http_answer_begin(&whole);
	assert_int_equal(http_answer_feed(&whole, two, strlen(two), &used, NULL), RC_OK);
	assert_int_equal(two[used], 'H');
	assert_int_equal(http_answer_feed(&whole, two + used, 1, &used, NULL), RC_OK); /* whole is whole */
	assert_int_equal(used, 0);
	http_answer_begin(&whole);
	const char *second = strstr(two, "aHTTP") + 1;
	assert_int_equal(http_answer_feed(&whole, second, strlen(second), &used, NULL), RC_OK);
	assert_int_equal(whole.status, 404);
	assert_int_equal(whole.body_n, 0);
}

/* What goes on for ever ends at a limit, whichever part it is. */
static void endless(void **state)
{
	static const struct {
		const char *name, *head, *more;
	} parts[] = {
		{ "status", "", "HTTP/1.1 200 OK" },
		{ "a header", OK "X: ", "x" },
		{ "headers", OK, "X: y\r\n" },
		{ "interim answers", "", "HTTP/1.1 100 Continue\r\n\r\n" },
		{ "a body to the end", OK "\r\n", "body" },
		{ "chunks", OK "Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n" },
		{ "a chunk's extension", OK "Transfer-Encoding: chunked\r\n\r\n1;", "x" },
		{ "trailers", OK "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n" },
	};
	size_t used, total;

	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		http_answer_begin(&whole);
		enum rc rc = http_answer_feed(&whole, parts[i].head, strlen(parts[i].head), &used, NULL);
		for (total = 0; rc == RC_AGAIN && total < 1 << 20; total += used)
			rc = http_answer_feed(&whole, parts[i].more, strlen(parts[i].more), &used, NULL);
		if (rc != RC_LIMIT)
			fail_msg("%s: %s after %zu bytes", parts[i].name, rc_text(rc), total);
		assert_true(total <= HTTP_HEAD_MAX + 2 * HTTP_BODY_MAX);
	}
	http_answer_begin(&whole);
	assert_int_equal(http_answer_feed(&whole, "HTTP/1.1 200 \0K\r\n", 17, &used, NULL), RC_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(answers),
		cmocka_unit_test(when_to_ask_again),
		cmocka_unit_test(next_answer),
		cmocka_unit_test(endless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
