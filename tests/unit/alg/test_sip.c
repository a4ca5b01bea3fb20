/*
 * SIP messages: what they let expect, hostile ones, every truncation; and what is rewritten is read again and tells
 * the new addresses.
 */
#include "alg/sip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#define SDP                                                                                                  \
	"v=0\r\no=a 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n"                            \
	"m=audio 49170 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"                                                \
	"m=video 51372 RTP/AVP 31\r\nc=IN IP4 10.0.0.2\r\na=rtcp:53020 IN IP4 10.0.0.2\r\nm=text 0 RTP/AVP 9\r\n"
#define HEAD                                                                                                   \
	"INVITE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1\r\n"               \
	"From: <sip:a@10.0.0.2>;tag=1\r\nTo: <sip:bob@192.0.2.9>\r\nCall-ID: 1@10.0.0.2\r\nCSeq: 1 INVITE\r\n" \
	"Record-Route: <sip:10.0.0.2;lr>\r\n"                                                                  \
	"Contact: \"a <sip:x@10.9.9.9>\" <sip:a@10.0.0.2:5060;transport=udp>\r\nContent-Type: application/sdp\r\n"

static struct endpoint phone = { .port = 5060 }, outside = { .port = 40000 };
static struct ip_addr server;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(addr_parse(&phone.addr, "10.0.0.2"), RC_OK);
	assert_int_equal(addr_parse(&outside.addr, "203.0.113.111"), RC_OK);
	return addr_parse(&server, "192.0.2.9") == RC_OK ? 0 : -1;
}

static bool parse(struct sip_message *m, const char *text)
{
	return sip_parse(m, (const uint8_t *)text, strlen(text));
}

static size_t expected(const char *text, struct expectation ret[SIP_EXPECT_MAX])
{
	struct sip_message m;
	uint8_t place[SIP_EXPECT_MAX];

	return parse(&m, text) ? sip_expectations(&m, &phone.addr, 0, ret, place) : 99;
}

static char *invite(char *text, const char *sdp, int length)
{
	sprintf(text, HEAD "Content-Length: %d\r\n\r\n%s", length < 0 ? (int)strlen(sdp) : length, sdp);
	return text;
}

static void offers(void **state)
{
	static const uint16_t ports[] = { 49170, 51372, 53020 };
	struct expectation e[SIP_EXPECT_MAX];
	char text[2000];

	(void)state;
	assert_int_equal(expected(invite(text, SDP, -1), e), COUNT_OF(ports));
	for (size_t i = 0; i < COUNT_OF(ports); i++) {
		assert_int_equal(e[i].dst_port, ports[i]);
		assert_true(addr_equal(&e[i].dst, &phone.addr) && e[i].src.family == ADDR_NONE);
		assert_int_equal(e[i].pair, i == 0);
		assert_int_equal(e[i].from, 1);
		assert_int_equal(e[i].proto, 17);
	}
	/* a third party's address, a name, a well-known port, no connection line */
	assert_int_equal(
		expected(invite(text, "v=0\r\nc=IN IP4 10.0.0.3\r\nm=audio 49170 RTP/AVP 0\r\n", -1), e), 0);
	assert_int_equal(
		expected(invite(text, "v=0\r\nc=IN IP4 a.example\r\nm=audio 49170 RTP/AVP 0\r\n", -1), e), 0);
	assert_int_equal(
		expected(invite(text, "v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 53 RTP/AVP 0\r\n", -1), e), 0);
	assert_int_equal(expected(invite(text, "v=0\r\nm=audio 49170 RTP/AVP 0\r\n", -1), e), 0);
	assert_int_equal(
		expected(invite(text, "v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 65535 RTP/AVP 0\r\n", -1), e), 1);
	assert_int_equal(
		expected(invite(text, "v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 49170 TCP/BFCP 0\r\n", -1), e), 0);
	/* RTCP of a stream that is not followed */
	assert_int_equal(expected(invite(text,
					  "v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 0 RTP/AVP 0\r\n"
					  "c=IN IP4 10.0.0.2\r\na=rtcp:53020\r\nm=image 4000 TCP t38\r\n"
					  "c=IN IP4 10.0.0.2\r\na=rtcp:53021\r\n",
					  -1),
				 e),
		0);
	/* a body of another type whose name begins alike */
	sprintf(text, "INVITE sip:bob@192.0.2.9 SIP/2.0\r\nc: %s\r\n\r\n" SDP, "application/sdp-x");
	assert_int_equal(expected(text, e), 0);
	sprintf(text, "INVITE sip:bob@192.0.2.9 SIP/2.0\r\nc: %s\r\n\r\n" SDP, "Application/SDP;a=b");
	assert_int_equal(expected(text, e), 3);
	/* more streams than are followed */
	strcpy(text + 1500, "c=IN IP4 10.0.0.2\r\n");
	for (int i = 0; i < 12; i++)
		sprintf(text + strlen(text + 1500) + 1500, "m=audio %d RTP/AVP 0\r\n", 40000 + 2 * i);
	char sdp[500];
	strcpy(sdp, text + 1500);
	assert_int_equal(expected(invite(text, sdp, -1), e), SIP_EXPECT_MAX);
}

/* What an answer says of how long its session is to be kept. */
static void answers(void **state)
{
	static const struct {
		const char *start, *cseq, *more;
		uint32_t want_s;
		bool keeps;
	} cases[] = {
		{ "SIP/2.0 200 OK", "1 REGISTER", "Expires: 600\r\n", 600, true },
		{ "SIP/2.0 200 OK", "1 REGISTER", "m: <sip:a@10.0.0.2>;expires=120\r\nExpires: 600\r\n", 120,
			true },
		/* several phones of one user, each with its time */
		{ "SIP/2.0 200 OK", "1 REGISTER",
			"m: <sip:a@10.0.0.2>;expires=120,<sip:a@10.0.0.3> ; Expires = 90\r\nExpires: 600\r\n",
			120, true },
		{ "SIP/2.0 200 OK", "1 REGISTER",
			"m: <sip:a@10.0.0.3>; expires=90\r\nm: <sip:a@10.0.0.2>\t;expires=120\r\n", 120,
			true },
		{ "SIP/2.0 200 OK", "1 REGISTER", "Route: <sip:10.0.0.3;lr>;expires=90\r\n", 0, true },
		{ "SIP/2.0 200 OK", "1 register", "Expires: 4000000000\r\n", SIP_REGISTER_S, true },
		{ "SIP/2.0 200 OK", "1 REGISTER", "Expires: 0\r\n", 0, true },
		{ "SIP/2.0 200 OK", "1 REGISTER", "", 0, true },
		{ "SIP/2.0 401 Unauthorized", "1 REGISTER", "Expires: 600\r\n", 0, false },
		{ "SIP/2.0 200 OK", "2 INVITE", "", SIP_REGISTER_S, true },
		{ "SIP/2.0 180 Ringing", "2 INVITE", "", 0, false },
		{ "SIP/2.0 200 OK", "3 OPTIONS", "Expires: 600\r\n", 0, false },
		{ "REGISTER sip:192.0.2.9 SIP/2.0", "1 REGISTER", "Expires: 600\r\n", 0, false },
	};
	struct sip_message m;
	char text[600];
	uint32_t seconds;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		sprintf(text, "%s\r\nVia: SIP/2.0/UDP 10.0.0.2;rport\r\nCSeq: %s\r\n%s\r\n", cases[i].start,
			cases[i].cseq, cases[i].more);
		assert_true(parse(&m, text));
		assert_int_equal(sip_keeps(&m, &seconds), cases[i].keeps);
		if (cases[i].keeps)
			assert_int_equal(seconds, cases[i].want_s);
	}
}

static void what_is_no_message(void **state)
{
	struct sip_message m, before;
	char text[2000];

	(void)state;
	memset(&m, 0x5a, sizeof m);
	before = m;
	assert_false(parse(&m, ""));
	assert_false(parse(&m, "\r\n\r\n"));
	invite(text + 2, SDP, -1);
	memcpy(text, "\r\n", 2); /* not at the beginning */
	assert_false(parse(&m, text));
	memcpy(text, "x ", 2);
	assert_false(parse(&m, text));
	assert_false(parse(&m, "POST / HTTP/1.1\r\nA: b\r\n\r\n" HEAD "\r\n"));
	assert_false(parse(&m, invite(text, SDP, 10)));
	assert_false(parse(&m, invite(text, SDP, 5000)));
	assert_false(parse(&m, HEAD "Content-Length: 0\r\nl: 0\r\n\r\n"));
	assert_false(parse(&m, HEAD "Folded: a\r\n b\r\n\r\n"));
	assert_false(parse(&m, HEAD));
	assert_false(parse(&m, HEAD "Subject:\r\n")); /* nothing ends its header */
	assert_memory_equal(&m, &before, sizeof m);
	assert_true(parse(
		&m, "SIP/2.0 200 OK\r\nv: SIP/2.0/UDP [2001:db8::1]:5060,SIP/2.0/UDP 10.0.0.2\r\n\r\n"));
	assert_int_equal(m.places_n, 2);
	invite(text, SDP, -1);
	for (size_t n = 0, whole = strlen(text); n < whole; n++)
		assert_false(sip_parse(&m, (const uint8_t *)text, n));
	/* one address more than are kept */
	strcpy(text, "SIP/2.0 200 OK\r\n");
	for (int i = 0; i < SIP_PLACES_MAX; i++)
		strcat(text, "v: SIP/2.0/UDP 10.0.0.2\r\n");
	size_t n = strlen(text);
	strcat(text, "\r\n");
	assert_true(parse(&m, text));
	strcpy(text + n, "v: SIP/2.0/UDP 10.0.0.2\r\n\r\n");
	assert_false(parse(&m, text));
}

static void rewriting(void **state)
{
	struct sip_message m, again;
	struct endpoint to[SIP_PLACES_MAX] = { 0 };
	char text[2000];
	uint8_t out[2000];

	(void)state;
	assert_true(parse(&m, invite(text, SDP, -1)));
	assert_int_equal(sip_rewrite(&m, (const uint8_t *)text, to, out, sizeof out), strlen(text));
	assert_memory_equal(out, text, strlen(text));
	for (uint32_t i = 0; i < m.places_n; i++) {
		to[i] = outside;
		to[i].port = (uint16_t)(1024 + i);
		assert_true(
			addr_equal(&m.place[i].e.addr, m.place[i].kind == SIP_URI ? &server : &phone.addr));
	}
	size_t n = sip_rewrite(&m, (const uint8_t *)text, to, out, sizeof out);
	assert_true(n > strlen(text));
	assert_true(sip_parse(&again, out, n));
	assert_int_equal(again.places_n, m.places_n);
	for (uint32_t i = 0; i < m.places_n; i++) {
		assert_int_equal(again.place[i].kind, m.place[i].kind);
		assert_true(addr_equal(&again.place[i].e.addr, &outside.addr));
		if (m.place[i].has_port)
			assert_int_equal(again.place[i].e.port, 1024 + i);
	}
	assert_non_null(strstr((char *)out, "a=rtcp:"));
	assert_non_null(strstr((char *)out, "From: <sip:a@10.0.0.2>")); /* names the user, not a place */
	for (size_t room = 0; room < n; room++)
		assert_int_equal(sip_rewrite(&m, (const uint8_t *)text, to, out, room), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(offers), cmocka_unit_test(answers),
		cmocka_unit_test(what_is_no_message), cmocka_unit_test(rewriting) };

	return cmocka_run_group_tests(tests, setup, NULL);
}
