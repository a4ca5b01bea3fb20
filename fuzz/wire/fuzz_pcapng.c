/*
 * An arbitrary file: each packet lies within it, what is wrong is told once, and what was read is written and read again to the same,
 * with its comment. Each frame's link header is taken.
 */
#include "must.h"
#include "wire/link_header.h"
#include "wire/pcapng.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static struct pcapng_reader reader, again;

static void look_at(const struct pcapng_packet *p, const uint8_t *bytes, size_t n)
{
	struct rd r = rd_over(p->bytes, p->n);
	struct link_header h;

	MUST(p->bytes >= bytes && p->n <= n && (size_t)(p->bytes - bytes) <= n - p->n);
	link_header_take(p->link, &r, &h);
	MUST(!h.ip || link_header_known(p->link));
}

static void write_and_read(const struct pcapng_packet *p)
{
	size_t room = 256 + pcapng_packet_size(p->n);
	uint8_t *file = malloc(room);
	struct wr w = wr_over(file, room);
	struct pcapng_packet one = *p, got;

	MUST(file);
	one.interface = 0;
	pcapng_write_section(&w, "fuzz", "");
	pcapng_write_interface(&w, "f", p->link, "");
	pcapng_write_packet(&w, &one, p->outbound ? PCAPNG_OUTBOUND : PCAPNG_INBOUND);
	MUST(!w.bad && pcapng_open(&again, file, wr_len(&w), NULL) == RC_OK);
	MUST(pcapng_next(&again, &got, NULL) == RC_OK && got.n == p->n && got.wire_n == p->wire_n);
	MUST(memcmp(got.bytes, p->bytes, p->n) == 0 && got.outbound == p->outbound && got.link == p->link);
	MUST(got.when_ns == p->when_ns && got.comment_n <= PCAPNG_COMMENT_MAX);
	MUST(p->comment_n > PCAPNG_COMMENT_MAX ||
		(got.comment_n == p->comment_n && memcmp(got.comment, p->comment, p->comment_n) == 0));
	MUST(pcapng_next(&again, &got, NULL) == RC_NOT_FOUND);
	free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct pcapng_packet p;
	struct err e = { 0 };
	uint64_t packets = 0;
	enum rc rc = pcapng_open(&reader, bytes, n, &e);

	while (rc == RC_OK && (rc = pcapng_next(&reader, &p, &e)) == RC_OK) {
		MUST(p.number == ++packets);
		look_at(&p, bytes, n);
		write_and_read(&p);
	}
	MUST((rc == RC_NOT_FOUND && e.text[0] == '\0') || (rc == RC_MALFORMED && e.text[0]));
	MUST(pcapng_next(&reader, &p, NULL) == RC_NOT_FOUND);
	return 0;
}
