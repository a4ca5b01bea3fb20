/* `show counters`: of the data plane, sums over its workers; of each drop reason and each way in which sessions end as well. */
#include "base/json.h"
#include "ipc/rows.h"
#include "proc/dataplane/dataplane.h"

#include <stdio.h>

static void counter_row(struct rows_piece *piece, const char *name, uint64_t value, const char *text)
{
	struct jw *w = rows_row(piece);

	jw_str(w, "counter", name);
	jw_u64(w, "value", value);
	jw_str(w, "text", text);
	rows_add(piece);
}

/* Sums over all workers. */
struct counts {
	struct fw_counters fw;
	uint64_t packets_in, packets_out, bytes_in, bytes_out, trains_in, errors_sent, errors_suppressed,
		queued, handed_over, notes_lost, alg_full, sessions_limit, datagrams_in, keepalives,
		tunnel_too_big, drops[DROP_COUNT];
	struct {
		uint64_t answers, suppressed, conflicts;
	} proxies;
	uint64_t syn[SYN_COUNT_N];
	uint64_t carried, carried_packets, carried_placed, carried_taken_back, carried_no_room;
};

static void fw_counts_add(struct fw_counters *sum, const struct fw_counters *c)
{
	/* All its fields are counters of one size. */
	uint64_t to[sizeof *sum / sizeof(uint64_t)], from[sizeof *sum / sizeof(uint64_t)];

	_Static_assert(sizeof *sum % sizeof(uint64_t) == 0, "counters only");
	memcpy(to, sum, sizeof to);
	memcpy(from, c, sizeof from);
	for (size_t i = 0; i < COUNT_OF(to); i++)
		to[i] += from[i];
	memcpy(sum, to, sizeof to);
}

static void counts_add(struct counts *sum, const struct worker *w)
{
	const struct pipeline *p = &w->pipeline;

	fw_counts_add(&sum->fw, fw_counters(w->fw));
	sum->packets_in += p->packets_in;
	sum->packets_out += p->packets_out;
	sum->bytes_in += p->bytes_in;
	sum->bytes_out += p->bytes_out;
	sum->trains_in += p->trains_in;
	sum->errors_sent += p->error_replies_sent;
	sum->errors_suppressed += p->error_replies_suppressed;
	sum->queued += p->neighbour_queue_n;
	sum->handed_over += p->trains_handed_over;
	sum->notes_lost += p->notes_lost;
	sum->alg_full += p->alg_full;
	for (int i = 0; i < SYN_COUNT_N; i++)
		sum->syn[i] += p->syn_counts[i];
	sum->datagrams_in += w->datagrams_in;
	sum->keepalives += w->keepalives;
	sum->tunnel_too_big += w->tunnel_too_big;
	sum->proxies.answers += p->proxies.answers;
	sum->proxies.suppressed += p->proxies.suppressed;
	sum->proxies.conflicts += p->proxies.conflicts;
	sum->sessions_limit += fw_sessions_limit(w->fw);
	sum->carried += p->carried.carry ? carry_used(p->carried.carry) : 0;
	sum->carried_packets += p->carried.packets;
	sum->carried_placed += p->carried.placed;
	sum->carried_taken_back += p->carried.taken_back;
	sum->carried_no_room += p->carried.no_room;
	for (int i = DROP_NONE + 1; i < DROP_COUNT; i++)
		sum->drops[i] += p->drops[i];
	sum->drops[DROP_FRAGMENT_TIMEOUT] += fw_counters(w->fw)->fragments_timeout;
	sum->drops[DROP_FRAGMENT_LIMIT] += fw_counters(w->fw)->fragments_limit;
	sum->drops[DROP_FRAGMENT_OVERLAP] += fw_counters(w->fw)->fragments_overlap;
}

static void counters_of_carried(
	const struct carry_head *head, struct rows_piece *piece, const struct counts *s)
{
	/* clang-format off */
	const struct {
		const char *name, *text;
		uint64_t value;
	} rows[] = {
		{ "carried-sessions",         "records of sessions that the kernel carries, or did since they were last decided", s->carried },
		{ "carried-packets",          "packets that it has forwarded; they are among packets-in and packets-out, a second later at most", s->carried_packets },
		{ "carried-placed",           "times that a session was handed to the kernel, or again after something had changed", s->carried_placed },
		{ "carried-taken-back",       "sessions that it carries no longer: they ended, or a packet opened or ended a connection", s->carried_taken_back },
		{ "carried-no-room",          "sessions that found no record or no place in the kernel's table", s->carried_no_room },
		{ "carried-lost",             "packets that were lost since their session was taken back meanwhile", head ? __atomic_load_n(&head->lost, __ATOMIC_RELAXED) : 0 },
	};
	/* clang-format on */

	for (uint32_t i = rows_first(piece, 1); i < COUNT_OF(rows) && rows_look(piece, 1, i); i++)
		counter_row(piece, rows[i].name, rows[i].value, rows[i].text);
}

static void counters_of_drops(struct rows_piece *piece, const struct counts *s)
{
	for (uint32_t i = MAX_OF(rows_first(piece, 2), DROP_NONE + 1u);
		i < DROP_COUNT && rows_look(piece, 2, i); i++) {
		char name[64];
		snprintf(name, sizeof name, "drop-%s", drop_name((enum drop_reason)i));
		counter_row(piece, name, s->drops[i], drop_text((enum drop_reason)i));
	}
}

static void counters_of_ends(struct rows_piece *piece, const struct counts *s)
{
	static const char *const texts[] = {
#define E(id, name, flow_end, text) "of the sessions that ended: " text,
		SESSION_ENDS(E)
#undef E
	};

	for (uint32_t i = rows_first(piece, 3); i < FW_END_COUNT && rows_look(piece, 3, i); i++) {
		char name[64];
		snprintf(name, sizeof name, "sessions-ended-%s", fw_end_name((enum fw_end)i));
		counter_row(piece, name, s->fw.ended_by[i], texts[i]);
	}
}

void show_counters(const struct dataplane *d, struct rows_piece *piece)
{
	struct counts s = { 0 };
	const struct fw_counters *c = &s.fw;

	for (uint32_t i = 0; i < d->workers_n; i++)
		counts_add(&s, d->workers[i]);
	/* clang-format off */
	const struct {
		const char *name, *text;
		uint64_t value;
	} rows[] = {
		{ "packets-in",               "packets received from links, tunnels and the host", s.packets_in },
		{ "bytes-in",                 "their octets, from the IP header on", s.bytes_in },
		{ "trains-in",                "the trains that they came in", s.trains_in },
		{ "packets-out",              "packets sent", s.packets_out },
		{ "bytes-out",                "their octets, from the IP header on", s.bytes_out },
		{ "sessions-now",             "sessions in the table", c->sessions_now - c->bindings_now - c->blocks_now },
		{ "policy-rules-now",         "policy rules", d->workers[0]->pipeline.snapshot->rules.count },
		{ "routes-now",               "routes of the main table", route_count(d->routes) },
		{ "nat-bindings-now",         "bindings of persistent NAT in the same table", c->bindings_now },
		{ "nat-blocks-now",           "dynamic blocks of ports that inside hosts have, in the same table", c->blocks_now },
		{ "nat-blocks-allocated",     "dynamic blocks allocated", c->blocks_taken },
		{ "nat-block-records-lost",   "records of dynamic blocks that the log did not take; the line nat-block-records-lost says when", c->block_records_lost + d->block_lines_lost },
		{ "session-records-lost",     "session records that the export process did not take: it was not running, or too slow; the next line of its log says so", d->records_lost },
		{ "sessions-to-adopt",        "records of a data plane that died which this one has yet to go through; their sessions go on, and are not counted above", c->adoption_left },
		{ "sessions-created",         "sessions begun", c->sessions_created },
		{ "sessions-ended",           "sessions ended", c->sessions_ended },
		{ "half-open-now",            "TCP sessions whose handshake is not complete", c->half_open_now },
		{ "session-limit",            "sessions that the table may hold", s.sessions_limit },
		{ "half-open-evicted",        "half-open sessions evicted to make room", c->half_open_evicted },
		{ "unanswered-evicted",       "other unanswered sessions evicted to make room", c->unanswered_evicted },
		{ "over-share-evicted",       "sessions beyond the share of their source or zone, evicted to make room", c->over_share_evicted },
		{ "limit-evicted",            "sessions evicted by a commit that lowered session-limit", c->limit_evicted },
		{ "early-ageing-now",         "workers whose idle sessions end early: their table reached the high watermark of aging, and is not yet down to the low one", c->aging_now },
		{ "early-ageing-begun",       "times that the high watermark of aging was reached", c->aging_begun },
		{ "sessions-aged-early",      "sessions ended by early ageing", c->aged_early },
		{ "session-lookups",          "trains looked up in the session table", c->lookups },
		{ "session-hits",             "of these, found", c->hits },
		{ "datagrams-reassembled",    "datagrams reassembled from fragments", c->reassembled },
		{ "log-records-suppressed",   "log records of rules and zones beyond their rate", c->log_records_suppressed },
		{ "expectations-now",         "sessions that application layer gateways expect", c->expectations_now },
		{ "expectations-made",        "of these, since the start", c->expectations_made },
		{ "expectations-refused",     "sessions that were not expected for want of room", c->expectations_refused },
		{ "expectations-elsewhere",   "notes that workers keep about sessions which another one expects", c->expectations_elsewhere },
		{ "alg-unread",               "FTP control connections that were not read, and sessions of SIP that were not kept, for want of room", s.alg_full },
#define SYN_ROW(id, name, text) { name, text, s.syn[SYN_COUNT_##id] },
		SYN_COUNTS(SYN_ROW)
#undef SYN_ROW
		{ "error-replies-sent",       "ICMP errors and TCP resets sent", s.errors_sent },
		{ "error-replies-suppressed", "ICMP errors and TCP resets not sent, beyond their rate", s.errors_suppressed },
		{ "neighbour-queue-now",      "packets that wait for a link address", s.queued },
		{ "proxy-answers",            "answers to neighbours that ask for addresses of proxy-arp and proxy-ndp", s.proxies.answers },
		{ "proxy-suppressed",         "of these, not sent, beyond their rate", s.proxies.suppressed },
		{ "proxy-conflicts",          "frames by which another host says that it has such an address", s.proxies.conflicts },
		{ "trains-handed-over",       "trains that went on with another worker than the one where they arrived", s.handed_over },
		{ "redirects-now",            "keys of sessions whose packets go on from one worker to another", c->redirects_now },
		{ "worker-notes-lost",        "notes between workers that found no room; they are written again", s.notes_lost },
		{ "traces-now",               "traces in progress", d->trace.wanted > 0 },
		{ "captures-now",             "captures in progress", d->capture != NULL },
		{ "nat-t-datagrams",          "datagrams received on UDP port 4500", s.datagrams_in },
		{ "nat-keepalives",           "of these, NAT keepalives", s.keepalives },
		{ "tunnel-too-big",           "sends of sealed packets refused as larger than the path's MTU", s.tunnel_too_big },
	};
	/* clang-format on */

	for (uint32_t i = rows_first(piece, 0); i < COUNT_OF(rows) && rows_look(piece, 0, i); i++)
		counter_row(piece, rows[i].name, rows[i].value, rows[i].text);
	counters_of_carried(d->carry.head, piece, &s);
	counters_of_drops(piece, &s);
	counters_of_ends(piece, &s);
}
