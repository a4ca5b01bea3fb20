/*
 * Captured packets on their way from the data plane to the program that asked for them: memory that control makes (a memfd, sealed
 * against a change of its size) and gives to both. A ring for each worker, who alone writes to it; the program alone reads. What does not fit is
 * lost and counted: the writer never waits.
 *
 * Neither side believes the other. The writer keeps its own place, and takes a reader's place that cannot be for a full ring; the
 * reader checks each record. Pure but for the atomic indices.
 */
#ifndef IPC_CAPTURE_RING_H
#define IPC_CAPTURE_RING_H

#include "model/packet_facts.h"

#include <stdatomic.h>

#define CAPTURE_RING_BYTES (4u << 20) /* a power of two: 60 of the largest trains */

/* clang-format off */
#define CAPTURE_STAGES(S)	/* id, word */								\
	S(RECEIVED,  "received")	/* as a link brought it */					\
	S(SENT,      "sent")		/* as it leaves by a link */					\
	S(DECRYPTED, "decrypted")	/* of tunnels: as it was opened, and before it is sealed */
/* clang-format on */

enum capture_stage {
#define E(id, word) CAPTURE_##id,
	CAPTURE_STAGES(E) CAPTURE_STAGES_N
#undef E
};

struct capture_record {
	uint32_t size;	/* with this header, a multiple of 64 */
	uint32_t n;	/* octets of the packet, which follow */
	uint32_t stage; /* CAPTURE_STAGES_N: nothing, up to the ring's end */
	uint32_t out;	/* 1: it leaves, 0: it has arrived */
	uint64_t when;	/* CLOCK_MONOTONIC ns */
	struct packet_facts facts;
};

struct capture_ring {
	_Alignas(64) _Atomic uint64_t head; /* octets that were written since the beginning: the writer's */
	_Atomic uint64_t lost;		    /* packets that found no room */
	_Alignas(64) _Atomic uint64_t tail; /* that were read: the reader's */
	_Alignas(64) uint8_t bytes[CAPTURE_RING_BYTES];
};

struct capture_memory {
	struct capture_ring ring[WORKERS_MAX];
};

/* ---- the writer; *head is its own place, which the reader sees by capture_publish() ---- */
/* Room for a packet of n octets; NULL: it is lost, and counted. */
struct capture_record *capture_reserve(struct capture_ring *r, uint64_t *head, uint32_t n);
void capture_publish(struct capture_ring *r, uint64_t head);

/* ---- the reader ---- */
/* A copy of the next record's header, and its octets in place until capture_release(); false: there is none. *ret_bad: what is there cannot be. */
bool capture_ring_next(struct capture_ring *r, uint64_t *tail, struct capture_record *ret_record,
	const uint8_t **ret_bytes, bool *ret_bad);
void capture_release(struct capture_ring *r, uint64_t tail);

#endif
