/*
 * What the ESP core keeps where; for the sources of this room only.
 *
 * struct esp_state lies in memory that outlives the process and is read by its successor: fixed sizes, no
 * pointers. The words that matter after a kill (live, sequence_ceiling, the replay window) are written in the
 * order that esp/esp.h states. Everything else in it is written before `live`.
 *
 * There may be ten thousand tunnels that say nothing for days, so what most pairs do not have stands apart, at the pair's
 * own place in an array of which only the pages that are used take memory: selectors beyond a few, the blocks of a long
 * replay window, keys that are longer than an AEAD's, expanded keys before the first packet.
 */
#ifndef ESP_STATE_H
#define ESP_STATE_H

#include "base/lines.h"
#include "base/names.h"
#include "esp/crypt.h"
#include "esp/esp.h"
#include "esp/replay.h"

#define ESP_STATE_MAGIC	  0x31505345474e4c50ull
#define ESP_STATE_VERSION 8

/* By how much the ceiling is raised: the most sequence numbers that a kill can skip. */
#define ESP_SEQUENCE_STEP 4096

#define ESP_SELECTORS_USUAL 4 /* of both sides together: two IPv4 and two IPv6 networks, for example */

struct esp_state_pair {
	uint32_t live; /* 1: counts */
	uint32_t spi_in, spi_out;
	uint32_t flags; /* enum child_flags */
	uint16_t encr, encr_bits, key_n, local_n, remote_n;
	uint16_t owner; /* the worker that seals and opens */
	uint32_t replay_window;
	uint32_t outbound_active;
	uint16_t resource, zero;	    /* for worker resource - 1 alone (RFC 9611); 0: for all */
	uint64_t order;			    /* of installation: the newest sends */
	uint64_t group;			    /* as in struct sa_install */
	mono_ns installed;		    /* 0: never */
	mono_ns ends;			    /* 0: never */
	uint64_t octets_soft, packets_soft; /* as in struct esp_life */
	struct endpoint local, remote;
	char tunnel_name[NAME_MAX_BYTES];
	struct selector ts
		[ESP_SELECTORS_USUAL]; /* the local ones, then the remote ones; more: struct esp_state_wide */
	uint8_t key_in[AEAD_KEY_MAX], key_out[AEAD_KEY_MAX]; /* longer ones: struct esp_state_wide */
	/* What the owner writes for each packet: not on the lines by which other workers look for a pair. */
	_Alignas(64) uint64_t sequence_ceiling; /* no number from here on was ever used */
	mono_ns last_in, last_out;		/* 0: never */
	uint64_t bytes_in, bytes_out, packets_in, packets_out;
	uint64_t replayed, unauthentic, refused; /* as in struct esp_counts */
	struct replay replay;
};

/* What the pair at the same place has no room for. */
struct esp_state_wide {
	struct selector ts[2 * SELECTORS_MAX];
	uint64_t block[REPLAY_BLOCKS];
	uint8_t key_in[KEYMAT_MAX],
		key_out[KEYMAT_MAX]; /* whole, of the encryption and the integrity algorithm */
};

/* Of a tunnel's pairs that are gone. Those that are used come first. */
struct esp_state_total {
	char tunnel_name[NAME_MAX_BYTES]; /* empty: not used */
	struct esp_counts counts;
};

struct esp_state {
	uint64_t magic;
	uint32_t version, pairs_max;
	uint64_t bytes, pair_bytes;
	uint64_t used; /* pairs from this index on were never written: a reader need not touch their pages */
	uint64_t workers; /* among which the pairs are divided */
	_Alignas(64) struct esp_state_total total[TUNNELS_MAX];
	struct esp_state_pair pair[]; /* and behind them pairs_max of struct esp_state_wide */
};

/* A pair's part in this process; aligned for the vector loads of libIPSec_MB. */
struct esp_keys {
	struct esp_key in, out;
};

struct esp_pair {
	struct esp_state_pair *state;
	const struct selector *local_ts, *remote_ts; /* in the state */
	uint64_t *wide_block;			     /* of the replay window; in the state */
	uint32_t tunnel;			     /* in the present snapshot, or INDEX_NONE */
	uint32_t live_at;			     /* where in esp->live */
	uint32_t next_active; /* of the same tunnel, the next older one that sends; ESP_PAIR_NONE */
	uint32_t owner;	      /* as in the state */
	/* The usual selectors (one IPv4 range on each side, any protocol and port) as plain numbers. */
	bool plain_v4;
	uint8_t iv_n, icv_n, block_n; /* of its algorithm */
	uint32_t local_first, local_last, remote_first, remote_last;
	/* What each packet writes: not on the lines by which other workers look for the pair of a session's first packet. */
	_Alignas(64) uint64_t sequence_next; /* below state->sequence_ceiling */
	uint64_t octets_end, packets_end;    /* of both directions; UINT64_MAX: none */
	bool keyed;			     /* its keys are expanded; by its owner, with the first packet */
	bool moved; /* the newest packet came from `seen`, which is not where we send to */
	struct endpoint seen;
} __attribute__((aligned(64)));

struct esp {
	IMB_MGR *mgr[WORKERS_MAX]; /* each worker's own */
	uint32_t workers;
	struct esp_state *state;
	uint32_t pairs_max, live_n;
	uint32_t unused_from; /* pairs before it are in use */
	uint32_t totals_n;    /* accounts in the state */
	uint64_t order_next;
	uint32_t *live; /* pairs in use */
	uint32_t *slot; /* pair + 1 by inbound SPI, linear probing */
	uint32_t slots_n;
	uint32_t *outbound;	/* by tunnel, TUNNELS_MAX: the newest active pair for all workers */
	uint32_t *outbound_own; /* the same of those for one worker each */
	uint32_t *total_at;	/* by tunnel, TUNNELS_MAX: its account in the state, INDEX_NONE: none yet */
	struct names names;	/* of the tunnels that are being bound: ESP_NAMES slots */
	struct esp_pair *pair;
	struct esp_keys *keys; /* of each pair */
};

#define ESP_NAMES 32768
_Static_assert(ESP_NAMES >= 2 * TUNNELS_MAX, "half of the places stay free");
_Static_assert(NAMES_BYTES_MAX == NAME_MAX_BYTES, "whole names are compared");

/* The pair's expanded keys. By its owner. */
const struct esp_keys *esp_pair_keys(struct esp *esp, struct esp_pair *p);

/* The first of a list of active pairs: esp->outbound or esp->outbound_own. */
static inline uint32_t esp_outbound_first(const uint32_t *list, uint32_t tunnel)
{
	return tunnel < TUNNELS_MAX ? __atomic_load_n(&list[tunnel], __ATOMIC_ACQUIRE) : ESP_PAIR_NONE;
}

/* total.c */
/* What the pair has counted is its tunnel's from now on: before the pair goes, so that no kill loses it. */
void esp_total_keep(struct esp *esp, uint32_t pair);
void esp_total_rekeyed(struct esp *esp, uint32_t pair);
void esp_totals_resume(struct esp *esp); /* those that are not sound begin at zero */
void esp_totals_bind(struct esp *esp);	 /* to the tunnels in esp->names */

/* The last sequence number that may be used: the counter must not cycle (RFC 4303 section 3.3.3). */
static inline uint64_t esp_sequence_last(const struct esp_state_pair *s)
{
	return s->flags & CHILD_ESN ? UINT64_MAX - 2 * ESP_SEQUENCE_STEP : UINT32_MAX;
}

/* life.c */
void esp_life_attach(struct esp_pair *p); /* the ends of octets and packets, from its state */
/* Has the pair ended, when it has so many packets and octets more than its state says? */
static inline bool esp_life_is_over(const struct esp_pair *p, uint64_t packets, uint64_t octets, mono_ns now)
{
	const struct esp_state_pair *s = p->state;

	return (s->ends != 0 && now >= s->ends) || s->bytes_in + s->bytes_out + octets >= p->octets_end ||
	       s->packets_in + s->packets_out + packets >= p->packets_end;
}

/* The pair, which was not, is active for sending from now on, at its place in the order of installation. */
void esp_pair_send(struct esp *esp, uint32_t pair);

/*
 * The inner packet of an opened one: RFC 4301 section 5.2 step 4 (selectors) and RFC 6040 (ECN, changed in
 * place). n: octets in front of the padding; *ret_n: the packet's own length.
 */
enum drop_reason esp_inner_check(const struct esp_pair *pair, uint8_t *ip, uint32_t n, uint8_t next_header,
	uint8_t outer_class, uint32_t *ret_n);

#endif
