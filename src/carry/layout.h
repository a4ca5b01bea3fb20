/*
 * Sessions carried by the kernel: the memory that the data plane and the programs of carry.bpf.c share. The maps are made
 * by the supervisor; the data plane maps them into its memory, and enters, takes back and reads without a system call.
 *
 *   head     struct carry_head, one                            written by the data plane
 *   buckets  struct carry_bucket[CARRY_BUCKETS]                written by the data plane
 *   records  struct carry_record[CARRY_RECORDS_MAX]            keys and ways by the data plane; the rest see below
 *   host     struct carry_host, one                            written by the data plane
 *   links    struct carry_link[CARRY_LINKS], by carry_link_of(): the links that carry, written by the supervisor alone
 *
 * A record is carried while its state is CARRY_PLACED, its epoch is the head's and the beat of its worker is younger than
 * CARRY_GOOD_NS. The tap (a socket filter of the links' packet sockets) decides for each packet, and does all that is
 * remembered: TCP's numbers, counters, the time. What it takes, the data plane's socket does not get; the program at tc
 * then rewrites and sends it. Each packet is decided upon once.
 *
 * To write a record: generation odd, then the fields, then generation even, each with release order. A program
 * that finds another generation than the tap had loses the packet, and counts it in `lost`. TCP's numbers only advance: they are
 * changed by compare-and-exchange on both sides. A program that had begun before a record was taken back may still add to
 * its numbers: another session gets the record after CARRY_REST_NS.
 *
 * Numbers of packets (addresses, ports) are in network order, all others in the machine's.
 * Included by what runs in the kernel: nothing but arithmetic, no other header than those of fixed sizes.
 */
#ifndef CARRY_LAYOUT_H
#define CARRY_LAYOUT_H

#include "base/siphash_round.h"

#include <stdint.h>

/* Powers of two. Each session has two keys: on average half of the places of a bucket are used. A bucket is a cache line. */
#define CARRY_RECORDS_MAX 65536u
#define CARRY_BUCKETS	  32768u
#define CARRY_PLACES	  8u

/* As FILTER_LOCALS_MAX (of each family), INTERFACES_MAX, WORKERS_MAX, FW_TCP_ACK_BACKLOG_MIN, FW_TCP_SCALE_MAX. */
#define CARRY_LOCALS_MAX  32u
#define CARRY_LINKS_MAX	  64u
#define CARRY_WORKERS	  16u
#define CARRY_BACKLOG_MIN 66000u
#define CARRY_SCALE_MAX	  14u

/* Places for links, a power of two. Of two links with the same place one does not carry. */
#define CARRY_LINKS 4096u

/* So long after its last beat a worker's sessions are carried; it writes one so often. The program's clock is that of the last
 * tick, so that a beat may be later than it. */
#define CARRY_GOOD_NS	    2000000000ull
#define CARRY_BEAT_NS	    200000000ull
#define CARRY_AHEAD_NS	    50000000ull
/* Notes of the programs that a worker has not read yet, a power of two; what is more is found by the walk over its records. */
#define CARRY_NOTES	    4096u
/* So many may be numbered and not written yet, by as many processors. */
#define CARRY_NOTES_WRITING 64u
/* Before a record that was taken back holds another session. */
#define CARRY_REST_NS	    1000000000ull

/* What the data plane is handed, by index: the maps, and the tap for its packet sockets. */
enum carry_part {
	CARRY_PART_HEAD,
	CARRY_PART_BUCKETS,
	CARRY_PART_RECORDS,
	CARRY_PART_HOST,
	CARRY_MAPS,
	CARRY_PART_TAP = CARRY_MAPS,
	CARRY_PARTS
};

/* Records of a worker whose TCP has come to another state: a ring, written by the programs. A note may be lost, or be one of
 * a record that has another session by now: it only says where to look. */
struct carry_notes {
	_Alignas(64) uint32_t written; /* so many */
	uint32_t at[CARRY_NOTES];      /* carry_place.at, by number; 0: read, or not yet there */
};

struct carry_head {
	uint32_t epoch; /* what was decided under another one is not carried */
	uint32_t zero;
	uint64_t hash_key[2];
	uint64_t zeros[5];
	uint64_t beat[CARRY_WORKERS]; /* CLOCK_MONOTONIC; 0: never */
	/* of the programs, atomic: packets that the tap had taken and that were not sent, since the record had changed (or the
	 * packet could not be rewritten) */
	uint64_t lost;
	uint64_t more[7];
	struct carry_notes notes[CARRY_WORKERS];
};

struct carry_place {
	uint32_t at;  /* 0: free; else 1 + 2 * record + direction */
	uint32_t tag; /* carry_tag() */
};

struct carry_bucket {
	_Alignas(64) struct carry_place place[CARRY_PLACES];
};

/* The packets of a direction as they come. IPv4: the first four octets, then zeros. */
struct carry_key {
	_Alignas(8) uint8_t src[16];
	uint8_t dst[16];
	uint16_t src_port, dst_port;
	uint32_t interface; /* the kernel's index */
};

enum carry_way_flags {
	CARRY_TRANSLATES = 1 << 0, /* addresses and ports of the way differ from those of the key */
	CARRY_MARKS = 1 << 1,	   /* dscp is set */
};

/* And how they leave. */
struct carry_way {
	_Alignas(64) uint8_t src[16];
	uint8_t dst[16];
	uint16_t src_port, dst_port;
	uint8_t mac[12]; /* the neighbour's, then ours: as it begins the frame */
	uint32_t interface;
	uint16_t mtu;  /* octets from the IP header on, of each packet of a train */
	uint8_t flags; /* enum carry_way_flags */
	uint8_t dscp;  /* six bits */
	uint32_t zero;
};

/* struct fw_tcp_side, of who sends in this direction. */
struct carry_side {
	uint32_t end, max_end, max_window, ack;
	uint8_t scale;	/* at most CARRY_SCALE_MAX; written while placed by the answer to the SYN alone */
	uint8_t scales; /* its SYN had a window scale */
	uint16_t zero;
};

/* Of a connection, in this order. Other states are the data plane's. */
enum carry_tcp {
	CARRY_TCP_NONE,	     /* UDP */
	CARRY_TCP_SYN_SENT,  /* of side 1 nothing is known */
	CARRY_TCP_ANSWERING, /* a program writes what the answer says */
	CARRY_TCP_SYN_RECEIVED,
	/* from here on with carry_fin() of each side that has sent its FIN */
	CARRY_TCP_ESTABLISHED = 4,
	CARRY_TCP_CLOSING = CARRY_TCP_ESTABLISHED + 3, /* both have */
	CARRY_TCP_TIME_WAIT = 8 + 3, /* both FINs are acknowledged; carried no more, as is the next one */
	CARRY_TCP_CLOSED = 12,	     /* by an exact reset */
};

#define CARRY_FINS 3u

static inline uint32_t carry_fin(uint32_t d)
{
	return 1u << d;
}

static inline uint32_t carry_fins(uint32_t tcp)
{
	return tcp >= CARRY_TCP_ESTABLISHED ? tcp & CARRY_FINS : 0;
}

/* Established, and not at its end. */
static inline int carry_is_open(uint32_t tcp)
{
	return (tcp & ~CARRY_FINS) == CARRY_TCP_ESTABLISHED;
}

struct carry_count {
	uint64_t packets, octets; /* from the IP header on; as the session's own counters */
	uint64_t last;		  /* CLOCK_MONOTONIC of a packet, as of the tick before it */
};

enum carry_state { CARRY_FREE, CARRY_PLACED };

/* What is read for a packet of direction 0 stands in lines 0, 2 and 4 to 5, of direction 1 in lines 0, 1, 3 and 4 to 5. */
struct carry_record {
	_Alignas(64) uint32_t generation; /* odd: being written */
	uint32_t epoch;
	uint8_t state;	/* enum carry_state */
	uint8_t worker; /* whose beat counts */
	uint8_t family; /* 4 or 6 */
	uint8_t proto;	/* TCP or UDP */
	uint32_t session;
	uint64_t id; /* of the session; for the data plane alone, as is the session's index */
	struct carry_key key[2];
	/* of `count`, what the data plane has entered into the session; it outlives the process, as the session does */
	uint32_t taken_packets[2];
	uint64_t taken_octets[2];
	struct carry_way way[2];
	/* written by the programs as well */
	_Alignas(64) struct carry_side side[2];
	uint32_t tcp;	 /* enum carry_tcp */
	uint16_t mss;	 /* what an answer to the SYN may announce without being changed */
	uint8_t opening; /* the data plane's: it was not established when it last looked */
	_Alignas(64) struct carry_count count[2];
};

/* Which sealed packets for the gateway itself the data plane does not want from its packet sockets: io_filter.c. Written while
 * links_n is 0. link: interfaces whose zone opens ESP and UDP port 4500. */
struct carry_host {
	uint32_t links_n, v4_n, v6_n, zero;
	uint32_t link[CARRY_LINKS_MAX];
	_Alignas(8) uint8_t v6[CARRY_LOCALS_MAX][16];
	uint8_t v4[CARRY_LOCALS_MAX][4];
};

/* Packets are taken from links, and sent to links, that stand in their place. */
struct carry_link {
	uint32_t interface; /* 0: none */
};

static inline uint32_t carry_link_of(uint32_t interface)
{
	return interface & (CARRY_LINKS - 1);
}

_Static_assert(__builtin_offsetof(struct carry_head, notes) == 256, "whole cache lines");
_Static_assert(sizeof(struct carry_bucket) == 64, "a cache line");
_Static_assert(sizeof(struct carry_key) == 40, "no padding: compared as octets");
_Static_assert(sizeof(struct carry_way) == 64, "a cache line");
_Static_assert(sizeof(struct carry_record) == 384, "whole cache lines");
_Static_assert(sizeof(struct carry_host) % 8 == 0, "no padding");

static inline uint64_t carry_word(const void *octets)
{
	uint64_t w;

	__builtin_memcpy(&w, octets, sizeof w);
	return w;
}

static inline void carry_hash_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	siphash_round(v);
	v[0] ^= word;
}

/* SipHash-1-3 of the key, in the words that its family has. Strangers choose addresses and ports. */
static inline uint64_t carry_hash(
	const uint64_t hash_key[2], const struct carry_key *key, uint8_t family, uint8_t proto)
{
	uint64_t v[4] = { hash_key[0] ^ 0x736f6d6570736575ull, hash_key[1] ^ 0x646f72616e646f6dull,
		hash_key[0] ^ 0x6c7967656e657261ull, hash_key[1] ^ 0x7465646279746573ull };

	carry_hash_word(v, carry_word(key->src));
	carry_hash_word(v, carry_word(key->dst));
	if (family == 6) {
		carry_hash_word(v, carry_word(key->src + 8));
		carry_hash_word(v, carry_word(key->dst + 8));
	}
	carry_hash_word(v, carry_word(&key->src_port)); /* both ports and the interface */
	carry_hash_word(v, (uint64_t)family << 8 | proto);
	v[2] ^= 0xff;
	siphash_round(v);
	siphash_round(v);
	siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static inline uint32_t carry_bucket_of(uint64_t hash)
{
	return (uint32_t)hash & (CARRY_BUCKETS - 1);
}

static inline uint32_t carry_tag(uint64_t hash)
{
	return (uint32_t)(hash >> 32);
}

static inline int carry_key_equal(const struct carry_key *a, const struct carry_key *b)
{
	return ((carry_word(a->src) ^ carry_word(b->src)) |
		       (carry_word(a->src + 8) ^ carry_word(b->src + 8)) |
		       (carry_word(a->dst) ^ carry_word(b->dst)) |
		       (carry_word(a->dst + 8) ^ carry_word(b->dst + 8)) |
		       (carry_word(&a->src_port) ^ carry_word(&b->src_port))) == 0;
}

/* now: of any CLOCK_MONOTONIC. */
static inline int carry_is_good(uint64_t beat, uint64_t now)
{
	return now + CARRY_AHEAD_NS - beat < CARRY_GOOD_NS;
}

#endif
