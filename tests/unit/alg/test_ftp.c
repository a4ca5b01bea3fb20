/*
 * The FTP control channel: honest dialogues open what they need; hostile ones open nothing. Each dialogue is read
 * in whole lines and cut at every octet, and must come to the same. What is rewritten is read again, and what
 * both ends see of sequence numbers is computed a second time here, octet by octet.
 */
#include "alg/ftp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static struct ip_addr ends[2], ends6[2], outside, outside6;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(addr_parse(&ends[0], "10.0.0.2"), RC_OK);
	assert_int_equal(addr_parse(&ends[1], "192.0.2.9"), RC_OK);
	assert_int_equal(addr_parse(&ends6[0], "2001:db8:1::2"), RC_OK);
	assert_int_equal(addr_parse(&ends6[1], "2001:db8:9::9"), RC_OK);
	assert_int_equal(addr_parse(&outside, "203.0.113.1"), RC_OK);
	return addr_parse(&outside6, "2001:db8:3::1") == RC_OK ? 0 : -1;
}

/* ---- dialogues ---- */

struct dialogue {
	const char *name;
	const char *lines[14]; /* "C" or "S", then what is sent */
	enum alg_verdict want; /* of all: refused, an expectation, or neither */
	uint16_t port;
	uint8_t from;
	bool v6;
};

#define GREETING  "S220 ready\r\n"
#define IAC_IP_DM "\377\364\377\362"

static const struct dialogue dialogues[] = {
	{ "passive", { GREETING, "CPASV\r\n", "S227 Entering Passive Mode (192,0,2,9,200,10).\r\n" },
		ALG_EXPECT, 51210, 0, false },
	{ "passive without parentheses", { GREETING, "Cpasv\r\n", "S227 =192,0,2,9,4,0\r\n" }, ALG_EXPECT,
		1024, 0, false },
	{ "extended passive", { GREETING, "CEPSV\r\n", "S229 Extended (|||6446|)\r\n" }, ALG_EXPECT, 6446, 0,
		false },
	{ "extended passive over IPv6", { GREETING, "CEPSV 2\r\n", "S229 Extended (|||6446|)\r\n" },
		ALG_EXPECT, 6446, 0, true },
	{ "after EPSV ALL",
		{ GREETING, "CEPSV ALL\r\n", "S200 ok\r\n", "CEPSV\r\n", "S229 E (|||6446|)\r\n" },
		ALG_EXPECT, 6446, 0, false },
	{ "active", { GREETING, "CPORT 10,0,0,2,156,64\r\n", "S200 ok\r\n" }, ALG_EXPECT, 40000, 1, false },
	{ "extended active", { GREETING, "CEPRT |1|10.0.0.2|40000|\r\n" }, ALG_EXPECT, 40000, 1, false },
	{ "extended active over IPv6", { GREETING, "CEPRT !2!2001:db8:1::2!40000!\r\n" }, ALG_EXPECT, 40000,
		1, true },
	{ "greeting of several lines, and 120",
		{ "S120 wait\r\n", "S220-hello\r\n227 (192,0,2,9,200,10)\r\n 220 x\r\n220 ready\r\n",
			"CPASV\r\n", "S227 (192,0,2,9,200,10)\r\n" },
		ALG_EXPECT, 51210, 0, false },
	{ "commands in a train",
		{ GREETING, "CUSER a\r\nPASS b\r\nPASV\r\n", "S331 pass\r\n230-hi\r\n230 in\r\n",
			"S227 (192,0,2,9,200,10)\r\n" },
		ALG_EXPECT, 51210, 0, false },
	{ "after a transfer",
		{ GREETING, "CRETR a\r\n", "S150 soon\r\n226 done\r\n", "CPASV\r\n",
			"S227 (192,0,2,9,200,10)\r\n" },
		ALG_EXPECT, 51210, 0, false },
	{ "Telnet options in front", { GREETING, "C" IAC_IP_DM "PASV\r\n", "S227 (192,0,2,9,200,10)\r\n" },
		ALG_EXPECT, 51210, 0, false },
	/* hostile */
	{ "FTP bounce", { GREETING, "CPORT 192,0,2,77,156,64\r\n" }, ALG_REFUSE, 0, 0, false },
	{ "bounce with EPRT", { GREETING, "CEPRT |1|192.0.2.77|40000|\r\n" }, ALG_REFUSE, 0, 0, false },
	{ "a well-known port", { GREETING, "CPORT 10,0,0,2,0,25\r\n" }, ALG_REFUSE, 0, 0, false },
	{ "one below 1024", { GREETING, "CPORT 10,0,0,2,3,255\r\n" }, ALG_REFUSE, 0, 0, false },
	{ "another family", { GREETING, "CEPRT |2|10.0.0.2|40000|\r\n" }, ALG_REFUSE, 0, 0, false },
	{ "numbers beyond an octet", { GREETING, "CPORT 10,0,0,258,156,64\r\n" }, ALG_REFUSE, 0, 0, false },
	{ "more behind it", { GREETING, "CPORT 10,0,0,2,156,64,1\r\n" }, ALG_REFUSE, 0, 0, false },
	{ "no CR", { GREETING, "CPORT 10,0,0,2,156,64\n" }, ALG_REFUSE, 0, 0, false },
	{ "PASV without CR", { GREETING, "CPASV\n", "S227 (192,0,2,9,200,10)\r\n" }, ALG_PASS, 0, 0, false },
	{ "after EPSV ALL no other",
		{ GREETING, "CEPSV ALL\r\n", "S200 ok\r\n", "CPORT 10,0,0,2,156,64\r\n" }, ALG_REFUSE, 0, 0,
		false },
	{ "a reply that nobody asked for", { GREETING, "CNOOP\r\n", "S227 (192,0,2,9,200,10)\r\n" }, ALG_PASS,
		0, 0, false },
	{ "a reply before the question",
		{ GREETING, "S227 (192,0,2,9,200,10)\r\n", "CPASV\r\n", "S500 what\r\n" }, ALG_PASS, 0, 0,
		false },
	{ "the reply to another command",
		{ GREETING, "CNOOP\r\nPASV\r\n", "S227 (192,0,2,9,200,10)\r\n500 no\r\n" }, ALG_PASS, 0, 0,
		false },
	{ "an address of a third party", { GREETING, "CPASV\r\n", "S227 (192,0,2,77,200,10)\r\n" }, ALG_PASS,
		0, 0, false },
	{ "a well-known port of the server", { GREETING, "CPASV\r\n", "S227 (192,0,2,9,0,22)\r\n" }, ALG_PASS,
		0, 0, false },
	{ "the same with EPSV", { GREETING, "CEPSV\r\n", "S229 (|||22|)\r\n" }, ALG_PASS, 0, 0, false },
	{ "229 to PASV", { GREETING, "CPASV\r\n", "S229 (|||6446|)\r\n" }, ALG_PASS, 0, 0, false },
	{ "within a reply of several lines",
		{ GREETING, "CPASV\r\n", "S214-help\r\n227 (192,0,2,9,200,10)\r\n214 end\r\n" }, ALG_PASS, 0,
		0, false },
	{ "a browser's request", { GREETING, "CPOST / HTTP/1.1\r\nHost: a\r\n\r\nPORT 10,0,0,2,156,64\r\n" },
		ALG_PASS, 0, 0, false },
	{ "a client that does not wait", { "CPORT 10,0,0,2,156,64\r\n", GREETING }, ALG_PASS, 0, 0, false },
	{ "a line that is no command, then PORT",
		{ GREETING, "CUSER a\r\nX-Y: b\r\nPORT 10,0,0,2,156,64\r\n" }, ALG_PASS, 0, 0, false },
	{ "a server that does not speak FTP", { "SSSH-2.0-x\r\n", GREETING, "CPORT 10,0,0,2,156,64\r\n" },
		ALG_PASS, 0, 0, false },
	{ "encrypted from here on", { GREETING, "CAUTH TLS\r\n", "S234 go\r\n", "CPORT 10,0,0,2,156,64\r\n" },
		ALG_PASS, 0, 0, false },
	{ "not encrypted after all",
		{ GREETING, "CAUTH TLS\r\n", "S504 no\r\n", "CPORT 10,0,0,2,156,64\r\n" }, ALG_EXPECT, 40000,
		1, false },
};

struct talk {
	struct ftp f;
	uint32_t seq[2];
	struct ftp_found found;
	enum alg_verdict all;
	uint32_t found_n;
};

static void talk_begin(struct talk *t)
{
	memset(t, 0, sizeof *t);
	t->seq[0] = 0xffffffe0u; /* wraps soon */
	t->seq[1] = 77;
	for (uint32_t d = 0; d < 2; d++)
		ftp_begin(&t->f, d, t->seq[d]);
}

static void talk_send(struct talk *t, bool v6, uint32_t d, const char *bytes, size_t n)
{
	enum alg_verdict v = ftp_segment(
		&t->f, v6 ? ends6 : ends, d, t->seq[d], (const uint8_t *)bytes, n, false, &t->found);

	assert_int_not_equal(v, ALG_AGAIN);
	if (v == ALG_REFUSE || t->all == ALG_REFUSE) {
		t->all = ALG_REFUSE;
		return;
	}
	t->seq[d] += (uint32_t)n;
	if (v == ALG_EXPECT) {
		t->all = v;
		t->found_n++;
	}
}

static void talk_check(const struct talk *t, const struct dialogue *d)
{
	const struct ip_addr *e = d->v6 ? ends6 : ends;
	const struct expectation *x = &t->found.expectation;

	if (t->all != d->want)
		print_error("%s\n", d->name);
	assert_int_equal(t->all, d->want);
	assert_int_equal(t->found_n, d->want == ALG_EXPECT);
	if (d->want != ALG_EXPECT)
		return;
	assert_int_equal(x->dst_port, d->port);
	assert_int_equal(x->from, d->from);
	assert_int_equal(x->proto, 6);
	assert_true(
		addr_equal(&x->src, &e[d->from]) && addr_equal(&x->dst, &e[1 - d->from]) && x->src_port == 0);
}

/* step 0: as the lines stand; otherwise pieces of so many octets. */
static void talk_run(const struct dialogue *d, size_t step)
{
	struct talk t;

	talk_begin(&t);
	for (size_t i = 0; i < COUNT_OF(d->lines) && d->lines[i]; i++) {
		const char *text = d->lines[i] + 1;
		size_t n = strlen(text);
		for (size_t at = 0; at < n; at += step ? step : n)
			talk_send(
				&t, d->v6, d->lines[i][0] == 'S', text + at, MIN_OF(step ? step : n, n - at));
	}
	talk_check(&t, d);
}

static void lines_and_octets(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(dialogues); i++)
		for (size_t step = 0; step < 9; step++)
			talk_run(&dialogues[i], step);
}

/* Cut in two at each place, with the second part repeating some of the first. */
static void overlapping(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(dialogues); i++)
		for (size_t cut = 1; cut < 60; cut++) {
			struct talk t;
			const struct dialogue *d = &dialogues[i];
			talk_begin(&t);
			for (size_t k = 0; k < COUNT_OF(d->lines) && d->lines[k]; k++) {
				size_t n = strlen(d->lines[k] + 1), first = MIN_OF(cut, n),
				       back = MIN_OF(first, cut % 5);
				uint32_t dir = d->lines[k][0] == 'S';
				talk_send(&t, d->v6, dir, d->lines[k] + 1, first);
				if (first == n || t.all == ALG_REFUSE)
					continue;
				t.seq[dir] -= (uint32_t)back;
				talk_send(&t, d->v6, dir, d->lines[k] + 1 + first - back, n - first + back);
			}
			talk_check(&t, d);
		}
}

static enum alg_verdict say(struct talk *t, uint32_t d, uint32_t seq, const char *text, bool translated)
{
	return ftp_segment(&t->f, ends, d, seq, (const uint8_t *)text, strlen(text), translated, &t->found);
}

static void order(void **state)
{
	struct talk t;

	(void)state;
	talk_begin(&t);
	talk_send(&t, false, 1, "220 a\r\n", 7);
	struct ftp before = t.f;
	assert_int_equal(say(&t, 0, t.seq[0] + 1, "PASV\r\n", false), ALG_AGAIN);
	assert_int_equal(say(&t, 0, t.seq[0], "PORT 1,2,3,4,5,6\r\n", false), ALG_REFUSE);
	assert_memory_equal(&before, &t.f, sizeof before); /* no trace */
	talk_send(&t, false, 0, "PASV\r\n", 6);
	/* what was read is not read again */
	assert_int_equal(say(&t, 0, t.seq[0] - 6, &"PORT 10,0,0,2,156,64\r\n"[16], false), ALG_PASS);
	talk_send(&t, false, 1, "227 (192,0,2,9,200,10)\r\n", 24);
	assert_int_equal(t.found_n, 1);
	assert_int_equal(say(&t, 1, t.seq[1] - 24, "227 (192,0,2,9,200,10)\r\n", false), ALG_PASS);
	/* a stream whose beginning was not seen */
	memset(&t.f, 0, sizeof t.f);
	assert_int_equal(say(&t, 0, 5, "PORT 10,0,0,2,156,64\r\n", false), ALG_PASS);
	ftp_begin(&t.f, 0, 5);
	assert_int_equal(say(&t, 0, 5, "PORT 10,0,0,2,156,64\r\n", false), ALG_PASS);
}

/* ---- rewriting ---- */

static void rewrite_one(
	uint32_t d, bool v6, const char *ask, const char *text, uint16_t port, const char *want)
{
	struct talk t;
	uint8_t bytes[200];
	size_t n = strlen(text), was = n;
	const struct ip_addr *to = v6 ? &outside6 : &outside;

	talk_begin(&t);
	talk_send(&t, v6, 1, "220 a\r\n", 7);
	if (ask)
		talk_send(&t, v6, 0, ask, strlen(ask));
	uint32_t seq = t.seq[d];
	memcpy(bytes, text, n);
	/* without its end it must wait; the state is that of before */
	for (size_t part = 5; part < n; part++)
		assert_int_equal(
			ftp_segment(&t.f, v6 ? ends6 : ends, d, seq, bytes, part, true, &t.found), ALG_AGAIN);
	assert_int_equal(ftp_segment(&t.f, v6 ? ends6 : ends, d, seq, bytes, n, true, &t.found), ALG_EXPECT);
	assert_false(ftp_rewrite(&t.f, d, seq, bytes, &n, 10, &t.found, to, port));
	assert_true(ftp_rewrite(&t.f, d, seq, bytes, &n, sizeof bytes, &t.found, to, port));
	assert_int_equal(n, strlen(want));
	assert_memory_equal(bytes, want, n);
	/* sent again: the same, and with more behind it; a part of it is not replaced */
	uint8_t again[220];
	size_t again_n = was;
	memcpy(again, text, was);
	assert_int_equal(ftp_repeat(&t.f, d, seq, again, &again_n, sizeof again), ALG_PASS);
	assert_int_equal(again_n, n);
	assert_memory_equal(again, want, n);
	again_n = was - 8;
	assert_int_equal(ftp_repeat(&t.f, d, seq, again, &again_n, sizeof again), ALG_AGAIN);
	/* sequence numbers: what lies before keeps its own, what lies behind is moved */
	const struct alg_offset *o = &t.f.offset[d];
	uint32_t change = (uint32_t)(n - was);
	assert_int_equal(alg_offset_seq(o, seq), seq);
	assert_int_equal(alg_offset_seq(o, seq + (uint32_t)was), seq + (uint32_t)n);
	assert_int_equal(alg_offset_ack(o, seq + (uint32_t)n), seq + (uint32_t)was);
	assert_int_equal(alg_offset_ack(o, seq), seq);
	assert_int_equal(alg_offset_ack(o, seq + 100 + change), seq + 100);
	/* an acknowledgement never says more than was received */
	for (uint32_t i = 0; i < n; i++)
		assert_true(alg_offset_ack(o, seq + i) - seq <= i || alg_offset_ack(o, seq + i) - seq < was);
}

static void rewriting(void **state)
{
	(void)state;
	rewrite_one(0, false, NULL, "PORT 10,0,0,2,156,64\r\n", 51000, "PORT 203,0,113,1,199,56\r\n");
	rewrite_one(0, false, NULL, &"NOOP\r\nEPRT |1|10.0.0.2|40000|\r\n"[6], 1024,
		"EPRT |1|203.0.113.1|1024|\r\n");
	rewrite_one(
		0, true, NULL, "EPRT |2|2001:db8:1::2|40000|\r\n", 1024, "EPRT |2|2001:db8:3::1|1024|\r\n");
	rewrite_one(1, false, "PASV\r\n", "227 Passive (192,0,2,9,200,10).\r\n", 1024,
		"227 Passive (203,0,113,1,4,0).\r\n");
	rewrite_one(1, false, "EPSV\r\n", "229 Passive (|||51210|)\r\n", 1024, "229 Passive (|||1024|)\r\n");
}

/* A Telnet command within the address cannot be replaced. */
/* A sender whose segments end within the line sends the same ones again and again: what stands before it passes. */
static void cut_in_front(void **state)
{
	static const char whole[] = "200 ok\r\n227 Passive (192,0,2,9,200,10)\r\n";
	struct talk t;

	(void)state;
	for (size_t n = 9; n < sizeof whole - 1; n++) {
		char part[sizeof whole + 1] = "";
		talk_begin(&t);
		talk_send(&t, false, 1, "220 a\r\n", 7);
		talk_send(&t, false, 0, "NOOP\r\nPASV\r\n", 12);
		memcpy(part, whole, n);
		if (n == 20) /* and a Telnet command that is not complete */
			part[n] = (char)0xff;
		for (int again = 0; again < 3; again++) {
			assert_int_equal(say(&t, 1, t.seq[1], part, true), ALG_CUT);
			assert_int_equal(t.found.at, 8);
			assert_int_equal(t.f.side[1].next, t.seq[1] + 8);
		}
		/* the receiver has some of what passed, and the sender goes on there */
		size_t from = n % 9;
		assert_int_equal(say(&t, 1, t.seq[1] + (uint32_t)from, whole + from, true), ALG_EXPECT);
		assert_int_equal(t.found.at, 8 + 13 - from);
		assert_int_equal(t.found.expectation.dst_port, 51210);
	}
	/* a line in front that is to be replaced itself goes with it */
	talk_begin(&t);
	talk_send(&t, false, 1, "220 a\r\n", 7);
	struct ftp before = t.f;
	assert_int_equal(say(&t, 0, t.seq[0], "PORT 10,0,0,2,156,64\r\nP", true), ALG_AGAIN);
	assert_memory_equal(&before, &t.f, sizeof before);
	assert_int_equal(say(&t, 0, t.seq[0], "USER a\r\nP", true), ALG_CUT);
}

static void rewriting_refused(void **state)
{
	struct talk t;

	(void)state;
	talk_begin(&t);
	talk_send(&t, false, 1, "220 a\r\n", 7);
	assert_int_equal(say(&t, 0, t.seq[0], "PORT 10,0,\377\3610,2,156,64\r\n", true), ALG_REFUSE);
	assert_int_equal(say(&t, 0, t.seq[0], "PORT 10,0,\377\3610,2,156,64\r\n", false), ALG_EXPECT);
}

/* Several replacements in one direction: each moves what lies behind it. */
static void offsets_add_up(void **state)
{
	struct alg_offset o = { 0 };

	(void)state;
	assert_int_equal(alg_offset_seq(&o, 5), 5);
	assert_int_equal(alg_offset_ack(&o, 5), 5);
	alg_offset_add(&o, 100, 110, 13);
	alg_offset_add(&o, 200, 210, 8);
	assert_int_equal(alg_offset_seq(&o, 110), 113);
	assert_int_equal(alg_offset_seq(&o, 210), 211);
	assert_int_equal(alg_offset_ack(&o, 211), 210);
	assert_int_equal(alg_offset_ack(&o, 113), 110);
	assert_int_equal(alg_offset_ack(&o, 208), 200);
}

/* Blocks of SACK: edges before, after and within the new text; options that are no such. */
static void sack_blocks(void **state)
{
	struct alg_offset o = { 0 };
	uint8_t blocks[] = { 1, 1, 5, 18, 0, 0, 0, 50, 0, 0, 0, 100, 0, 0, 0, 118, 0, 0, 0, 200 };
	uint8_t want[] = { 1, 1, 5, 18, 0, 0, 0, 50, 0, 0, 0, 100, 0, 0, 0, 110, 0, 0, 0, 192 };
	uint8_t within[] = { 5, 10, 0, 0, 0, 50, 0, 0, 0, 105, 3, 3, 7 };
	uint8_t gone[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 7 };
	uint8_t odd[] = { 5, 8, 0, 0, 0, 50, 0, 0 }, ended[] = { 0, 5, 10 }, bad[] = { 5, 20, 0, 0, 0, 105 };
	uint8_t was[8];

	(void)state;
	alg_offset_add(&o, 100, 110, 18);
	alg_offset_sack(&o, blocks, sizeof blocks);
	assert_memory_equal(blocks, want, sizeof want);
	alg_offset_sack(&o, within, sizeof within);
	assert_memory_equal(within, gone, sizeof gone);
	memcpy(was, odd, sizeof odd);
	alg_offset_sack(&o, odd, sizeof odd);
	assert_memory_equal(odd, was, sizeof odd);
	alg_offset_sack(&o, ended, sizeof ended);
	assert_int_equal(ended[1], 5);
	alg_offset_sack(&o, bad, sizeof bad);
	assert_int_equal(bad[5], 105);
}

/* Long lines and many commands: what is kept is bounded, and such lines tell nothing. */
static void bounds(void **state)
{
	struct talk t;
	char line[600];

	(void)state;
	talk_begin(&t);
	talk_send(&t, false, 1, "220 a\r\n", 7);
	memset(line, 'x', sizeof line);
	memcpy(line, "STOR ", 5);
	memcpy(line + sizeof line - 2, "\r\n", 2);
	talk_send(&t, false, 0, line, sizeof line);
	assert_false(t.f.foreign);
	talk_send(&t, false, 1, "226 done\r\n", 10);
	memcpy(line, "PORT 10,0,0,2,156,64", 20);
	memset(line + 20, ' ', sizeof line - 22);
	talk_send(&t, false, 0, line, sizeof line);
	assert_int_equal(t.all, ALG_REFUSE);
	talk_begin(&t);
	talk_send(&t, false, 1, "220 a\r\n", 7);
	for (uint32_t i = 0; i < FTP_PIPELINE_MAX + 1; i++)
		talk_send(&t, false, 0, "NOOP\r\n", 6);
	assert_true(t.f.foreign);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lines_and_octets), cmocka_unit_test(overlapping),
		cmocka_unit_test(order), cmocka_unit_test(rewriting), cmocka_unit_test(cut_in_front),
		cmocka_unit_test(rewriting_refused), cmocka_unit_test(offsets_add_up),
		cmocka_unit_test(sack_blocks), cmocka_unit_test(bounds) };

	return cmocka_run_group_tests(tests, setup, NULL);
}
