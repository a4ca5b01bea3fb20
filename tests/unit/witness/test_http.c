/* HTTP towards a witness: URLs, requests, and answers in pieces, spoiled and hostile ones among them. */
#include "witness/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct http_answer whole, pieces;

static void urls(void **state)
{
	static const struct {
		const char *text, *host, *port, *prefix;
		enum rc want;
	}
	/* clang-format off */
	rows[] = {
		{ "http://witness.example", "witness.example", "80", "", RC_OK },
		{ "http://witness.example/", "witness.example", "80", "", RC_OK },
		{ "http://witness.example:8080/some/prefix/", "witness.example", "8080", "/some/prefix", RC_OK },
		{ "http://192.0.2.1:1", "192.0.2.1", "1", "", RC_OK },
		{ "http://[2001:db8::1]", "2001:db8::1", "80", "", RC_OK },
		{ "http://[2001:db8::1]:65535/x", "2001:db8::1", "65535", "/x", RC_OK },
		{ "https://witness.example", NULL, NULL, NULL, RC_UNSUPPORTED },
		{ "", NULL, NULL, NULL, RC_MALFORMED },
		{ "witness.example", NULL, NULL, NULL, RC_MALFORMED },
		{ "HTTP://witness.example", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://", NULL, NULL, NULL, RC_MALFORMED },
		{ "http:///x", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://:80", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://a:", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://a:0", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://a:080", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://a:65536", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://a:800000", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://a:8x", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://user@a", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://[2001:db8::1", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://[]", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://[::1]80", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://2001:db8::1", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://a b", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://a/x y", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://a/x?y", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://a/x#y", NULL, NULL, NULL, RC_MALFORMED },
		{ "http://a/\r\nX: y", NULL, NULL, NULL, RC_MALFORMED },
	};
	/* clang-format on */
	struct http_url u;
	char text[1024];

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct err e = { 0 };
		if (http_url_parse(&u, rows[i].text, &e) != rows[i].want || e.rc != rows[i].want)
			fail_msg("'%s': %s", rows[i].text, e.text);
		if (rows[i].want != RC_OK)
			continue;
		assert_string_equal(u.host, rows[i].host);
		assert_string_equal(u.port, rows[i].port);
		assert_string_equal(u.prefix, rows[i].prefix);
	}
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	memcpy(text, "http://", 7);
	assert_int_equal(http_url_parse(&u, text, NULL), RC_LIMIT);
	text[100] = '/';
	assert_int_equal(http_url_parse(&u, text, NULL), RC_LIMIT);
}

static void requests(void **state)
{
	struct http_url u;
	char text[512];
	static const char post[] = "POST /w/add-checkpoint HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n"
				   "Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody";
	static const char get[] = "GET /x/checkpoint HTTP/1.1\r\nHost: witness.example\r\n\r\n";

	assert_int_equal(http_url_parse(&u, "http://[2001:db8::1]:8080/w/", NULL), RC_OK);
	assert_int_equal(
		http_request_text(text, sizeof text, &u, "/add-checkpoint", "body", 4), strlen(post));
	assert_memory_equal(text, post, strlen(post));
	for (size_t max = 0; max < strlen(post); max++)
		assert_int_equal(http_request_text(text, max, &u, "/add-checkpoint", "body", 4), 0);
	assert_int_equal(http_url_parse(&u, "http://witness.example", NULL), RC_OK);
	assert_int_equal(http_request_text(text, sizeof text, &u, "/x/checkpoint", NULL, 0), strlen(get));
	assert_memory_equal(text, get, strlen(get));
	assert_true(http_request_text(text, sizeof text, &u, "/", "", 0) > 0);
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
		cmocka_unit_test(urls),
		cmocka_unit_test(requests),
		cmocka_unit_test(answers),
		cmocka_unit_test(next_answer),
		cmocka_unit_test(endless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
