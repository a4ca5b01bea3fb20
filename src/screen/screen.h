/*
 * Screens: attacks and oddities that a zone has recognised in what it sends (base/screens.h has them all). Pure: trains and
 * the time come in, the number of a screen goes out; what is done about it is the shell's matter.
 *
 *	headers.c   what the headers of one packet say, IPv4, IPv6 and above
 *	tunnels.c   the same of packets within packets
 *	floods.c    how many packets a second have one destination or one source
 *	cookie.c    SYN cookies (cookie.h)
 *	scans.c     to how many ports or addresses a source speaks within a time
 *
 * Called by the data plane: headers for each train that arrives, the others for packets that begin a session or belong to
 * one that nobody has answered, and for ICMP queries. So packets of established sessions cost a few comparisons, and none of
 * TCP that is ordinary (screen_is_ordinary()) can meet a screen.
 */
#ifndef SCREEN_SCREEN_H
#define SCREEN_SCREEN_H

#include "base/clock.h"
#include "base/screens.h"
#include "model/snapshot.h"
#include "wire/ip.h"
#include "wire/train.h"

#define SCREEN_NONE SCREEN_COUNT

/* The screens of x that the headers of t meet. train_parse() has seen t, whatever it said. */
struct screen_set screens_of_headers(const struct snap_screen *x, const struct train *t);
/* for tests: the first of them, which drops it, or SCREEN_NONE */
enum screen screen_headers(const struct snap_screen *x, const struct train *t);

#define TEREDO_PORT 3544

/* No screen of headers can be met: established traffic, but for fragments, options and tunnels. */
static inline bool screen_is_ordinary(const struct train *t)
{
	if (t->drop != DROP_NONE || t->flags & TRAIN_FRAGMENT ||
		t->l4_offset != (t->src.family == ADDR_V4 ? IP4_HEADER_SIZE : IP6_HEADER_SIZE))
		return false;
	return t->proto == IP_TCP
		       ? !(t->tcp_flags & TCP_URG) && (t->tcp_flags & (TCP_FIN | TCP_ACK)) != TCP_FIN
	       : t->proto == IP_UDP ? t->src_port != TEREDO_PORT && t->dst_port != TEREDO_PORT
				    : false;
}

/*
 * How many in each second: counters in a table of a fixed size, found by a keyed hash, two for each key of which the smaller
 * one counts (a count-min sketch). Nothing is evicted and strangers cannot make it grow; with n packets a second from forged
 * sources, each counter shows about n / FLOOD_SLOTS too many. One table for all workers, by atomic words without a lock.
 */
#define FLOOD_SLOTS 65536
struct floods {
	uint64_t cookie_at; /* when a SYN was last answered with a cookie; relaxed, to about a second */
	uint64_t slot[2][FLOOD_SLOTS]; /* second, whether the one before had too many, count */
};

struct flood {
	uint32_t count; /* in this second, with these */
	bool over;	/* more than the threshold */
	bool lasting;	/* over, or the second before was */
};

/* hash: of what is counted; n packets more of it. */
struct flood flood_count(struct floods *f, uint64_t hash, uint32_t n, uint32_t threshold, mono_ns now);

/*
 * Sources that spoke to several ports or addresses: records of a fixed number, found by a keyed hash, SCAN_WAYS of which a
 * source may have. A new source takes the place of one whose time is over, else of the one with fewest: what has been
 * recognised keeps its place. One table for all workers, since the probes of a scan are at home at all of them: who writes in
 * a set has it for itself for so long, and nobody waits for somebody who has stopped in there (SCAN_TRIES): that packet counts for
 * no scan.
 */
#define SCAN_TRIES 100
#define SCAN_SETS  1024
#define SCAN_WAYS  4
struct scan {
	uint64_t tag;
	mono_ns until;
	uint16_t n, seen[SCAN_COUNT];
};
struct scans {
	struct scan scan[SCAN_SETS][SCAN_WAYS];
	bool taken[SCAN_SETS];
};

/* hash: of who and, for ports, of whose; what: the port, or a part of a hash of the address. True: it is a scan. */
bool scan_note(struct scans *s, uint64_t hash, uint16_t what, uint32_t threshold_us, mono_ns now);

#endif
