/*
 * Files of captured packets. The reader takes pcapng (draft-ietf-opsawg-pcapng) in either byte order, with any number of sections, and
 * libpcap's classic format with microseconds or nanoseconds. The writer makes pcapng: one section in the network's byte order, times in
 * nanoseconds, a comment with each packet.
 *
 * A file is untrusted. The reader borrows its octets and reads through cursors; after an error, what came before stands. Pure, no
 * allocation. Callers: src/verify, src/cli, tests. One thread.
 */
#ifndef WIRE_PCAPNG_H
#define WIRE_PCAPNG_H

#include "base/rd.h"
#include "base/wr.h"

#define PCAPNG_INTERFACES_MAX 4096 /* of one section; more than a machine has */
#define PCAPNG_COMMENT_MAX    1024 /* octets of a comment that is written; longer ones are cut */
#define PCAPNG_NAME_MAX	      64   /* of an interface that is written */

/* clang-format off */
#define PCAPNG_BLOCKS(B)	/* id, type, name */				\
	B(SECTION,    0x0a0d0d0a, "section")				\
	B(INTERFACE,  1,          "interface")				\
	B(PACKET,     2,          "packet")	/* obsolete, still met */	\
	B(SIMPLE,     3,          "simple-packet")				\
	B(NAMES,      4,          "name-resolution")				\
	B(STATISTICS, 5,          "interface-statistics")			\
	B(ENHANCED,   6,          "enhanced-packet")				\
	B(OTHER,      0xffffffff, "other")	/* secrets, custom blocks, what comes later: skipped */
/* clang-format on */

enum pcapng_block {
#define E(id, type, name) PCAPNG_##id,
	PCAPNG_BLOCKS(E) PCAPNG_BLOCKS_N
#undef E
};

const char *pcapng_block_name(enum pcapng_block block); /* for tests: their tables */

struct pcapng_interface {
	uint32_t link, snap; /* snap 0: packets are whole */
	int64_t offset_s;
	const char *name; /* borrowed, not terminated */
	uint16_t name_n;
	uint8_t resolution; /* as in if_tsresol */
};

struct pcapng_packet {
	const uint8_t *bytes; /* borrowed */
	uint32_t n, wire_n;   /* octets here, and on the wire */
	uint32_t link;	      /* LINKTYPE_… of its interface */
	uint32_t interface;   /* in its section, from 0 */
	const char *name;     /* of its interface, or ""; borrowed, not terminated */
	const char *comment;  /* the first one, or "" */
	uint16_t name_n, comment_n;
	bool timed, outbound; /* outbound: its flags say that it was sent by who captured it */
	uint64_t when_ns;     /* since 1970 */
	uint64_t number;      /* from 1 */
};

struct pcapng_reader {
	struct rd r;
	size_t all;	  /* octets of the file */
	bool blocks_file; /* pcapng */
	bool swapped, nanoseconds;
	uint32_t link; /* of a classic file */
	uint64_t packets, blocks;
	uint64_t kinds[PCAPNG_BLOCKS_N]; /* blocks of each kind */
	uint32_t interfaces_n;		 /* of the present section */
	struct pcapng_interface interface[PCAPNG_INTERFACES_MAX];
};

/* RC_MALFORMED: not a capture, or its header is cut. *ret_reader is set in any case. */
enum rc pcapng_open(struct pcapng_reader *ret_reader, const void *bytes, size_t n, struct err *e);
/* RC_OK; RC_NOT_FOUND: no more packets; RC_MALFORMED, with the place, and every later call is RC_NOT_FOUND. */
enum rc pcapng_next(struct pcapng_reader *r, struct pcapng_packet *ret_packet, struct err *e);

/* ---- the writer; what does not fit makes w bad ---- */

enum pcapng_direction { PCAPNG_UNKNOWN, PCAPNG_INBOUND, PCAPNG_OUTBOUND };

/* The largest block of a packet of n octets with a comment. */
size_t pcapng_packet_size(uint32_t n);
/* Begins a file. Texts are UTF-8. */
void pcapng_write_section(struct wr *w, const char *application, const char *comment);
/* Interfaces have numbers from 0, in the order in which they are written. */
void pcapng_write_interface(struct wr *w, const char *name, uint32_t link, const char *comment);
void pcapng_write_packet(struct wr *w, const struct pcapng_packet *packet, enum pcapng_direction direction);
/* How many packets of the interface were lost until then. */
void pcapng_write_statistics(
	struct wr *w, uint32_t interface, uint64_t when_ns, uint64_t received, uint64_t lost);

#endif
