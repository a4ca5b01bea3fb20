/*
 * The ESP core: security associations and what they do to packets. RFC 4303 in tunnel mode, IPv4 and IPv6
 * inside and outside, AES-GCM-16 and ChaCha20-Poly1305, for old peers AES-CBC with HMAC-SHA-2; extended sequence
 * numbers, anti-replay.
 *
 * Pure: no sockets, no clock; times come as arguments. The caller hands in two pieces of memory:
 *
 *	state   outlives the process (a memfd of the supervisor): SAs, keys, sequence numbers, replay windows
 *	tables  this process's own: expanded keys and indices, made again from the state
 *
 * so a process that replaces a killed one continues with its SAs. What makes that safe:
 *
 *   - a sequence number (and with it a nonce) is never used twice: a ceiling in the state is raised before
 *     any number below it is used, and a new process starts at the ceiling;
 *   - the replay window lies in the state itself and is written before a packet is let through
 *     (esp/replay.h);
 *   - an SA counts only while its `live` word says so, which is written last at installation and first at
 *     removal.
 *
 * Several pairs of SAs may serve one tunnel: a pair and its successor, or a pair for each two networks, as
 * policy-based peers make them. Inbound all of them are accepted until removed; outbound the newest active
 * one whose selectors hold the packet is used. A pair installed with CHILD_OUTBOUND_LATER becomes active with
 * its first authentic inbound packet or by esp_activate(), so that no packet is sent that the peer cannot
 * decrypt yet.
 *
 * Beside a pair there may be others with the same selectors for one worker each (RFC 9611; sa_install.resource): a worker sends by its own,
 * where that is active and of the same group (sa_install.group) as the newest pair for all workers, and else by that one: what another IKE SA has
 * left behind is used by nobody.
 *
 * Several workers may use the SAs at the same time, each in a thread: every pair belongs to one of them, which alone
 * seals and opens with both of its SAs and writes their sequence numbers, window and counters. They do not share a
 * pair by an atomic counter: a worker that has taken a number and then waits for its core would send that number
 * when the others are further ahead than the peer's replay window is long. Everything that changes SAs is called while
 * no worker uses them, except for the activation of a pair by its first packet.
 *
 *	crypt.c   keys, and the AEADs, by libIPSec_MB
 *	cbc.c     AES-CBC with HMAC-SHA-2, by its jobs
 *	sa.c      installation, removal, lookup, resumption
 *	seal.c    outbound packets
 *	open.c    inbound packets
 *	inner.c   checks of the inner packet: form, selectors, ECN
 *	replay.c  the anti-replay window
 *	life.c    the hard end of a pair
 *	total.c   counts of a tunnel over all its pairs
 *	state.h   what is kept where
 */
#ifndef ESP_ESP_H
#define ESP_ESP_H

#include "base/clock.h"
#include "model/sa.h"
#include "model/snapshot.h"
#include "wire/drop.h"
#include "wire/segment.h"
#include "wire/train.h"

#define ESP_INNER_EXTENSIONS_MAX 8 /* IPv6 extension headers of an inner packet that are walked */

#define ESP_PAIRS_MAX	   32768
#define ESP_PAIR_NONE	   UINT32_MAX
#define ESP_REPLAY_DEFAULT 1024

#define ESP_HEAD_SIZE (8 + AEAD_IV_SIZE) /* SPI, sequence number, IV; of an AEAD, which has the shortest */
#define ESP_SIZE_MIN  (ESP_HEAD_SIZE + 4 + AEAD_ICV_SIZE)

struct esp;

size_t esp_state_size(uint32_t pairs_max);
size_t esp_tables_size(uint32_t pairs_max); /* the tables must be aligned to 64 and all zero */

/*
 * Attaches, for so many workers: see esp_workers(). State of another version or size is cleared (*ret_resumed false); otherwise its SAs are resumed,
 * bound to no tunnel until esp_bind(). NULL with an error when the library does not start or memory is short.
 */
struct esp *esp_new(void *state, size_t state_n, void *tables, size_t tables_n, uint32_t pairs_max,
	uint32_t workers, bool *ret_resumed, struct err *e);
/* Wipes the expanded keys; the state stays. */
void esp_free(struct esp *esp);

/*
 * The pairs are divided among so many workers. When it is another number than before, each gets an owner anew, and goes on
 * with the same numbers and window; otherwise they stay with their owners, over a restart too. A pair that replaces
 * another one (rekeys_spi_in) has its owner; one for a worker has that one; others go to the worker that has fewest. After an error there are as many
 * as before.
 */
enum rc esp_workers(struct esp *esp, uint32_t workers, struct err *e);
uint32_t esp_owner(const struct esp *esp, uint32_t pair); /* the worker */

/*
 * How long a pair serves: after `lasts` it neither sends nor receives (0: for ever); octets and packets of both directions together are
 * those after which it has to be replaced (0: any number), and it ends some more later (model/sa.h). It stands with the pair from its
 * installation on, whatever is configured afterwards: who rekeys it has been told of no other end.
 */
struct esp_life {
	mono_ns lasts;
	uint64_t octets, packets;
};
struct esp_life esp_life_of(const struct snap_tunnel *t);

/*
 * life: NULL: without an end. tunnel_name identifies the tunnel in other generations of the configuration and after a restart. RC_EXISTS:
 * an SA has this SPI already. RC_LIMIT: all pairs are in use. RC_UNSUPPORTED, RC_RANGE: a value of *sa.
 */
enum rc esp_install(struct esp *esp, const struct sa_install *sa, const char *tunnel_name,
	uint32_t replay_window, const struct esp_life *life, mono_ns now, struct err *e);
enum rc esp_remove(struct esp *esp, uint32_t spi_in); /* wipes its keys; RC_NOT_FOUND */
enum rc esp_activate(struct esp *esp, uint32_t spi_in);
enum rc esp_endpoint(struct esp *esp, uint32_t spi_in, const struct endpoint *remote);
/* The tunnels of a new snapshot, by name. Pairs whose tunnel is gone are removed. */
void esp_bind(struct esp *esp, const struct snap_tunnel *tunnels, uint32_t tunnels_n);

/* The newest pair that sends for the tunnel, if possible one for all workers, or ESP_PAIR_NONE. */
uint32_t esp_outbound(const struct esp *esp, uint32_t tunnel);
/* Does the pair send something that no newer pair of its tunnel would? By their selectors. */
bool esp_pair_sends(const struct esp *esp, uint32_t pair);

/* A pair without its keys. Pointers are valid until the next call that changes SAs. */
struct esp_view {
	uint32_t tunnel, spi_in, spi_out, flags; /* flags: enum child_flags */
	uint32_t replay_window;
	uint16_t encr, encr_bits, local_n, remote_n;
	uint16_t resource; /* for worker resource - 1; 0: for all */
	bool outbound_active;
	const struct endpoint *local, *remote;
	const struct selector *local_ts, *remote_ts;
	mono_ns installed;
	const char *tunnel_name;
};

uint32_t esp_pairs(const struct esp *esp);			/* how many live */
uint32_t esp_pair_at(const struct esp *esp, uint32_t i);	/* i below esp_pairs() */
uint32_t esp_pair_find(const struct esp *esp, uint32_t spi_in); /* ESP_PAIR_NONE */
void esp_view(const struct esp *esp, uint32_t pair, struct esp_view *ret_view);
void esp_usage(const struct esp *esp, uint32_t pair, mono_ns now, struct sa_usage *ret_usage);

/*
 * What a tunnel's pairs have counted, those that are gone among them: a rekey or another process takes nothing from it. It begins
 * at zero when the tunnel comes into the configuration.
 */
struct esp_counts {
	uint64_t packets_in, bytes_in, packets_out, bytes_out;
	uint64_t replayed;    /* dropped: received before, or left of the window */
	uint64_t unauthentic; /* dropped: the integrity check failed */
	uint64_t refused;     /* authentic, and what was inside was dropped: padding, form, selectors */
	uint64_t rekeys;      /* pairs that replaced another one */
	uint64_t pairs;	      /* that live; 0 in the state */
};

/* Of the tunnels first to first + n - 1 of the snapshot that was bound last; one walk over all pairs. */
void esp_counts(const struct esp *esp, const struct snap_tunnel *tunnels, uint32_t first, uint32_t n,
	struct esp_counts *ret_counts);

/* --- outbound --- */

/*
 * Sealed packets in a row, all of packet_size except the last, which may be shorter: what one send with
 * UDP_SEGMENT takes. The owner sets bytes and room; esp_seal() fills; the owner sends and calls
 * esp_batch_begin().
 *
 * Always: n <= room, packets <= packets_max, and packets * packet_size >= n; a batch without packets has no
 * octets.
 */
struct esp_batch {
	uint8_t *bytes;
	uint32_t room, n;
	uint32_t packets, packets_max;
	uint32_t packet_size;
	uint32_t pair;
	uint8_t traffic_class; /* of the outer header: RFC 6040 normal mode, DSCP copied */
	bool full;	       /* a shorter packet ended it */
	/* the shell's: its one packet may exceed the path MTU and is fragmented outside */
	bool may_fragment;
};

void esp_batch_begin(struct esp_batch *b);

/*
 * The pair by which this worker sends the packet (parsed fields of the train): of the tunnel's active pairs the newest whose
 * selectors hold it, or, for an ICMP error, answers to the packet that it quotes (RFC 4301 section 6.2); the worker's own
 * one of the same group, if there is one. ESP_PAIR_NONE: none does.
 */
uint32_t esp_outbound_for(const struct esp *esp, uint32_t tunnel, uint32_t worker, const struct train *t);

/*
 * By the pair's owner. Seals the cutter's packets into the batch. True: all of them. False: send the batch first, then call again;
 * with *ret_drop set, the rest of the train is lost instead: the pair has ended, by its sequence numbers or its lifetime, or a packet is too
 * large for any batch. The trailer is written after each packet of the cutter and removed again.
 */
bool esp_seal(struct esp *esp, uint32_t pair, struct segment_cutter *cutter, uint8_t traffic_class,
	struct esp_batch *batch, mono_ns now, enum drop_reason *ret_drop);

/* The largest inner packet whose sealed form by this algorithm is at most esp_max octets (from SPI to ICV); 0: none is. */
uint32_t esp_inner_max(uint16_t encr, uint32_t esp_max);

/* --- inbound --- */

struct esp_opened {
	enum drop_reason drop; /* DROP_NONE: the inner packet is at dst */
	uint32_t n;	       /* its length, without padding */
	uint32_t pair, tunnel; /* ESP_PAIR_NONE when the SPI is unknown */
	/* authentic, whatever else is wrong with it, and no higher sequence number came before */
	bool newest;
};

/*
 * By the owner of its pair, or of none. Opens one packet, from its SPI on, into dst, which has room for n octets and may be the packet's own place
 * (the inner packet is then at dst, not after the header). outer_class: traffic class of the outer header,
 * for ECN. The octets of dst are undefined after a drop. Opening activates a pair that waits for its first
 * packet.
 */
void esp_open(struct esp *esp, const uint8_t *packet, uint32_t n, uint8_t outer_class, uint8_t *dst,
	mono_ns now, struct esp_opened *ret_opened);

/*
 * The sender's endpoint of a newest packet that came in UDP. Where it is not the endpoint that the pair sends
 * to, the pair's usage says so (SA_MOVED). The pair's endpoint does not change by it.
 */
void esp_came_from(struct esp *esp, uint32_t pair, const struct endpoint *from);

#endif
