/*
 * A dialogue of FTP: pieces of both directions, each behind an octet that says direction, whether to send again, and
 * length. What is expected leads to an end's own address and a port that is not well known; what is refused leaves no
 * trace; octet by octet comes to the same as in the pieces; what is rewritten says the new address.
 */
#include "alg/ftp.h"
#include "must.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct ip_addr ends[2], outside;

static void found_check(const struct ftp_found *f, size_t n)
{
	const struct expectation *e = &f->expectation;

	MUST(e->from < 2 && e->dst_port >= ALG_PORT_MIN && e->proto == 6);
	MUST(addr_equal(&e->dst, &ends[1 - e->from]) && addr_equal(&e->src, &ends[e->from]));
	MUST(f->n <= n && f->at <= n - f->n);
}

/* The same octets one by one. */
static void one_by_one(struct ftp *f, uint32_t d, uint32_t seq, const uint8_t *bytes, size_t n,
	enum alg_verdict want, const struct ftp_found *want_found)
{
	struct ftp_found found;
	enum alg_verdict all = ALG_PASS;

	for (size_t i = 0; i < n && all != ALG_REFUSE; i++) {
		enum alg_verdict v = ftp_segment(f, ends, d, seq + (uint32_t)i, bytes + i, 1, false, &found);
		MUST(v != ALG_AGAIN && v != ALG_CUT);
		all = v == ALG_PASS ? all : v;
		if (v == ALG_EXPECT)
			MUST(memcmp(&found.expectation, &want_found->expectation, sizeof found.expectation) ==
				0);
	}
	MUST(all == want);
}

/* A segment that is cut leaves what its first octets alone leave, and the rest must wait. */
static void cut_check(
	struct ftp f, struct ftp before, uint32_t d, uint32_t seq, const uint8_t *bytes, size_t n, size_t at)
{
	struct ftp_found found;

	MUST(at > 0 && at < n);
	MUST(ftp_segment(&before, ends, d, seq, bytes, at, true, &found) == ALG_PASS);
	MUST(ftp_segment(&f, ends, d, seq + (uint32_t)at, bytes + at, n - at, true, &found) == ALG_AGAIN);
	memset(f.side[d].line, 0, sizeof f.side[d].line); /* of it n octets count */
	memset(before.side[d].line, 0, sizeof before.side[d].line);
	MUST(f.side[d].n == 0 && memcmp(&f, &before, sizeof f) == 0);
}

static void rewrite_check(struct ftp f, uint32_t d, uint32_t seq, const uint8_t *bytes, size_t n)
{
	struct ftp_found found;
	struct ftp before = f;
	size_t m = n;
	uint8_t *copy = malloc(n + FTP_TEXT_MAX);

	MUST(copy);
	memcpy(copy, bytes, n);
	enum alg_verdict v = ftp_segment(&f, ends, d, seq, bytes, n, true, &found);
	if (v == ALG_CUT)
		cut_check(f, before, d, seq, bytes, n, found.at);
	if (v == ALG_EXPECT) {
		found_check(&found, n);
		MUST(found.n > 0);
		MUST(ftp_rewrite(&f, d, seq, copy, &m, n + FTP_TEXT_MAX, &found, &outside, 51000));
		MUST(alg_offset_seq(&f.offset[d], seq + (uint32_t)n) == seq + (uint32_t)m);
		MUST(alg_offset_ack(&f.offset[d], seq + (uint32_t)m) == seq + (uint32_t)n);
		/* read by one whose addresses are the new ones */
		struct ip_addr now[2] = { d == 0 ? outside : ends[0], d == 1 ? outside : ends[1] };
		struct ftp_found again;
		if (before.side[d].next == seq) {
			MUST(ftp_segment(&before, now, d, seq, copy, m, true, &again) == ALG_EXPECT);
			MUST(again.expectation.dst_port == 51000);
		}
		size_t repeated = n;
		uint8_t *third = malloc(n + FTP_TEXT_MAX);
		MUST(third);
		memcpy(third, bytes, n);
		MUST(ftp_repeat(&f, d, seq, third, &repeated, n + FTP_TEXT_MAX) == ALG_PASS);
		MUST(repeated == m && memcmp(third, copy, m) == 0);
		free(third);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct ftp f, single;
	uint32_t seq[2] = { 0xffffffc0u, 5 };

	addr_parse(&ends[0], "10.0.0.2");
	addr_parse(&ends[1], "192.0.2.9");
	addr_parse(&outside, "203.0.113.1");
	memset(&f, 0, sizeof f);
	for (uint32_t d = 0; d < 2; d++)
		ftp_begin(&f, d, seq[d]);
	single = f;
	while (n > 1) {
		uint32_t d = data[0] >> 7, back = data[0] >> 6 & 1 ? data[0] & 3 : 0;
		size_t m = (size_t)(data[0] & 63) + 1;
		struct ftp_found found;
		data++;
		m = m < --n ? m : n;
		struct ftp before = f;
		rewrite_check(f, d, seq[d], data, m);
		enum alg_verdict v = ftp_segment(&f, ends, d, seq[d] - back, data, m, false, &found);
		MUST(v != ALG_AGAIN);
		if (v == ALG_REFUSE)
			MUST(memcmp(&f, &before, sizeof f) == 0);
		if (v == ALG_EXPECT)
			found_check(&found, m);
		one_by_one(&single, d, seq[d] - back, data, m, v, &found);
		if (v == ALG_REFUSE)
			return 0; /* the sender's next octets are the same again */
		if (m > back)
			seq[d] += (uint32_t)m - back;
		data += m;
		n -= m;
	}
	return 0;
}
