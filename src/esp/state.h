/*
 * What the ESP core keeps where; for the sources of this room only.
 *
 * struct esp_state lies in memory that outlives the process and is read by its successor: fixed sizes, no
 * pointers. The words that matter after a kill (live, sequence_ceiling, the replay window) are written in the
 * order that esp/esp.h states. Everything else in it is written before `live`.
 */
#ifndef ESP_STATE_H
#define ESP_STATE_H

#include "base/lines.h"
#include "esp/crypt.h"
#include "esp/esp.h"
#include "esp/replay.h"

#define ESP_STATE_MAGIC	  0x31505345474e4c50ull
#define ESP_STATE_VERSION 4

/* By how much the ceiling is raised: the most sequence numbers that a kill can skip. */
#define ESP_SEQUENCE_STEP 4096

struct esp_state_pair {
	uint32_t live; /* 1: counts */
	uint32_t spi_in, spi_out;
	uint32_t flags; /* enum child_flags */
	uint16_t encr, encr_bits, key_n, local_n, remote_n;
	uint16_t owner; /* the worker that seals and opens */
	uint32_t replay_window;
	uint32_t outbound_active;
	uint64_t order;	   /* of installation: the newest sends */
	mono_ns installed; /* 0: never */
	struct endpoint local, remote;
	char tunnel_name[NAME_MAX_BYTES];
	struct selector local_ts[SELECTORS_MAX], remote_ts[SELECTORS_MAX];
	uint8_t key_in[AEAD_KEY_MAX], key_out[AEAD_KEY_MAX];
	/* What the owner writes for each packet: not on the lines by which other workers look for a pair. */
	_Alignas(64) uint64_t sequence_ceiling; /* no number from here on was ever used */
	mono_ns last_in, last_out;		/* 0: never */
	uint64_t bytes_in, bytes_out, packets_in, packets_out;
	uint64_t replayed, unauthentic, refused; /* as in struct esp_counts */
	struct replay replay;
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
	struct esp_state_pair pair[];
};

/* A pair's part in this process; aligned for the vector loads of libIPSec_MB. */
struct esp_pair {
	struct esp_key in, out;
	struct esp_state_pair *state;
	uint32_t tunnel;      /* in the present snapshot, or INDEX_NONE */
	uint32_t live_at;     /* where in esp->live */
	uint32_t next_active; /* of the same tunnel, the next older one that sends; ESP_PAIR_NONE */
	uint32_t owner;	      /* as in the state */
	/* The usual selectors (one IPv4 range on each side, any protocol and port) as plain numbers. */
	bool plain_v4;
	uint32_t local_first, local_last, remote_first, remote_last;
	/* What each packet writes: not on the lines by which other workers look for the pair of a session's first packet. */
	_Alignas(64) uint64_t sequence_next; /* below state->sequence_ceiling */
	bool moved; /* the newest packet came from `seen`, which is not where we send to */
	struct endpoint seen;
} __attribute__((aligned(64)));

struct esp {
	IMB_MGR *mgr[WORKERS_MAX]; /* each worker's own */
	uint32_t workers;
	struct esp_state *state;
	uint32_t pairs_max, live_n;
	uint64_t order_next;
	uint32_t *live; /* pairs in use */
	uint32_t *slot; /* pair + 1 by inbound SPI, linear probing */
	uint32_t slots_n;
	uint32_t *outbound; /* by tunnel, TUNNELS_MAX: the newest active pair */
	struct esp_pair *pair;
};

/* total.c */
/* What the pair has counted is its tunnel's from now on: before the pair goes, so that no kill loses it. */
void esp_total_keep(struct esp *esp, uint32_t pair);
void esp_total_rekeyed(struct esp *esp, const char *tunnel_name);
void esp_totals_resume(struct esp *esp); /* those that are not sound begin at zero */
void esp_totals_bind(struct esp *esp, const struct snap_tunnel *tunnels, uint32_t tunnels_n);

/* The pair, which was not, is active for sending from now on, at its place in the order of installation. */
void esp_pair_send(struct esp *esp, uint32_t pair);

/*
 * The inner packet of an opened one: RFC 4301 section 5.2 step 4 (selectors) and RFC 6040 (ECN, changed in
 * place). n: octets in front of the padding; *ret_n: the packet's own length.
 */
enum drop_reason esp_inner_check(const struct esp_pair *pair, uint8_t *ip, uint32_t n, uint8_t next_header,
	uint8_t outer_class, uint32_t *ret_n);

#endif
