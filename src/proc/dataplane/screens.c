/*
 * Screens of zones: what the room src/screen recognises is counted by zone, said in the log, and dropped unless the screen is
 * one of alarms. Headers are looked at where a train arrives, before it goes to the home of its flow; floods, scans and
 * limits where a session would begin.
 */
#include "base/icmp.h"
#include "base/siphash.h"
#include "proc/dataplane/stages.h"

#include <stdlib.h>

bool screens_new(struct pipeline *p)
{
	p->screens = calloc(1, sizeof *p->screens);
	if (!p->screens)
		return false;
	p->screens->floods = p->screens->floods_own = calloc(1, sizeof *p->screens->floods);
	p->screens->scans = p->screens->scans_own = calloc(1, sizeof *p->screens->scans);
	return p->screens->floods && p->screens->scans;
}

void screens_free(struct pipeline *p)
{
	if (p->screens) {
		free(p->screens->floods_own);
		free(p->screens->scans_own);
	}
	free(p->screens);
	p->screens = NULL;
}

/* Zones keep their counters by name. */
void screens_load(struct pipeline *p, const struct snapshot *old)
{
	struct screens *x = p->screens;
	const struct snapshot *s = p->snapshot;
	uint64_t was[ZONES_MAX][SCREEN_COUNT];

	for (uint32_t z = 0; z < ZONES_MAX; z++)
		for (uint32_t i = 0; i < SCREEN_COUNT; i++)
			was[z][i] = x->met[z][i].packets;
	memset(x->met, 0, sizeof x->met);
	memset(x->of, 0, sizeof x->of);
	x->any = false;
	for (uint32_t z = 0; z < s->zones.count; z++) {
		x->of[z] = snap_screen_of(s, z);
		x->any |= x->of[z] != NULL;
		for (uint32_t k = 0; old && k < old->zones.count; k++)
			if (strcmp(snap_zones(old)[k].name, snap_zones(s)[z].name) == 0)
				for (uint32_t i = 0; i < SCREEN_COUNT; i++)
					x->met[z][i].packets = was[k][i];
	}
}

/* t meets a screen of its zone. */
static void met(struct pipeline *p, struct train *t, enum screen which)
{
	const struct snap_screen *x = p->screens->of[t->in_zone];
	bool passes = x->flags & SCREEN_ALARM_ONLY || which == SCREEN_SYN_FLOOD_ALARM ||
		      which == SCREEN_SYN_FLOOD_ATTACK;
	enum drop_reason reason = drop_of_screen(which);
	uint32_t packets = train_packets(t);

	if (p->screens->dry) {
		t->drop = passes ? t->drop : reason;
		return;
	}
	p->screens->met[t->in_zone][which].packets += packets;
	p->screens->met[t->in_zone][which].unsaid += packets;
	if (p->now >= p->screens->met[t->in_zone][which].say_at &&
		fw_log_screen(p->fw, t, reason, x->name, passes, p->screens->met[t->in_zone][which].unsaid,
			p->now)) {
		p->screens->met[t->in_zone][which].unsaid = 0;
		p->screens->met[t->in_zone][which].say_at = p->now + SCREEN_SAY_EVERY;
	}
	if (train_is_traced(t))
		trace_say(p, t, "screen", PACKET_NONE, "%s meets %s: %s", x->name, screen_row(which)->name,
			which == SCREEN_SYN_FLOOD_ATTACK ? "a SYN cookie is the answer"
			: passes			 ? "alarm only"
							 : "dropped");
	if (!passes)
		t->drop = reason;
}

/* The first screen drops it. Of alarms each counts and is said: who tries a screen must see them all. */
void screen_arrived(struct pipeline *p, struct train *t, uint32_t in_tunnel)
{
	const struct snap_screen *x = p->screens->of[t->in_zone];
	const struct screen_set set = screens_of_headers(x, t);

	if (screens_none(&set))
		return;
	if (p->trace.on && !train_is_traced(t))
		trace_begin(p, t, in_tunnel);
	for (uint32_t i = 0; i < SCREEN_COUNT; i++) {
		if (!screen_in(&set, (enum screen)i))
			continue;
		met(p, t, (enum screen)i);
		if (!(x->flags & SCREEN_ALARM_ONLY))
			return;
	}
}

void screen_reassembled(struct pipeline *p, struct train *t)
{
	const struct snap_screen *x = p->screens->of[t->in_zone];

	if (t->drop == DROP_FRAGMENT_OVERLAP && screen_in(&x->on, SCREEN_IP_TEAR_DROP))
		met(p, t, SCREEN_IP_TEAR_DROP);
	else if ((t->drop == DROP_NONE || t->flags & TRAIN_REASSEMBLED) && !(t->flags & TRAIN_FRAGMENT))
		screen_arrived(p, t, TRAIN_NONE); /* it is traced already */
}

/* ---- floods and scans ---- */

enum { BY_SOURCE = 1, BY_DESTINATION = 2, BY_PORT = 4 };

static uint64_t hash_of(const struct pipeline *p, const struct train *t, enum screen which, uint32_t by)
{
	struct {
		uint8_t src[16], dst[16];
		uint32_t zone;
		uint16_t which, port;
	} key = { .zone = t->in_zone, .which = (uint16_t)which };
	_Static_assert(sizeof key == 40, "no padding: hashed as bytes");
	struct ip_addr source = addr_source(t->src);

	if (by & BY_SOURCE)
		memcpy(key.src, source.b, sizeof key.src);
	if (by & BY_DESTINATION)
		memcpy(key.dst, t->dst.b, sizeof key.dst);
	if (by & BY_PORT)
		key.port = t->dst_port;
	return siphash13(p->hash_key, &key, sizeof key);
}

/* lasts: the second after too many counts as well. True: it is met. */
static bool count(struct pipeline *p, struct train *t, enum screen which, uint32_t by, bool lasts)
{
	const struct snap_screen *x = p->screens->of[t->in_zone];

	if (t->drop != DROP_NONE || !screen_in(&x->on, which))
		return false;
	struct flood f = flood_count(
		p->screens->floods, hash_of(p, t, which, by), train_packets(t), x->limit[which], p->now);
	bool is_met = lasts ? f.lasting : f.over;
	if (is_met)
		met(p, t, which);
	return is_met;
}

static void scan(struct pipeline *p, struct train *t, enum screen which, bool ports)
{
	const struct snap_screen *x = p->screens->of[t->in_zone];

	if (t->drop != DROP_NONE || !screen_in(&x->on, which))
		return;
	uint64_t who = hash_of(p, t, which, ports ? BY_SOURCE | BY_DESTINATION : BY_SOURCE);
	uint16_t what = ports ? t->dst_port : (uint16_t)hash_of(p, t, which, BY_DESTINATION);
	if (scan_note(p->screens->scans, who, what, x->limit[which], p->now))
		met(p, t, which);
}

static bool is_query(const struct train *t)
{
	uint8_t query;

	return (t->proto == IP_ICMP || t->proto == IP_ICMPV6) &&
	       icmp_role(t->proto == IP_ICMP, t->icmp_type, &query) == ICMP_ROLE_QUERY;
}

void screen_unanswered(struct pipeline *p, struct train *t)
{
	if (is_query(t))
		count(p, t, SCREEN_ICMP_FLOOD, BY_DESTINATION, true);
	else if (t->proto == IP_UDP)
		count(p, t, SCREEN_UDP_FLOOD, BY_DESTINATION, true);
}

/* True: it is one of a flood, to be answered in the place of its destination. */
static bool syn_counted(struct pipeline *p, struct train *t)
{
	bool alarms = p->screens->of[t->in_zone]->flags & SCREEN_ALARM_ONLY;

	scan(p, t, SCREEN_TCP_PORT_SCAN, true);
	scan(p, t, SCREEN_TCP_SWEEP, false);
	count(p, t, SCREEN_SYN_FLOOD_SOURCE, BY_SOURCE, false);
	bool answered = count(p, t, SCREEN_SYN_FLOOD_ATTACK, BY_DESTINATION | BY_PORT, true) && !alarms;
	if (!answered)
		count(p, t, SCREEN_SYN_FLOOD_DESTINATION, BY_DESTINATION, false);
	count(p, t, SCREEN_SYN_FLOOD_ALARM, BY_DESTINATION | BY_PORT, false);
	return answered;
}

bool screen_begins(struct pipeline *p, struct train *t)
{
	bool syn = t->proto == IP_TCP && (t->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;

	if (t->flags & TRAIN_REDIRECTED) /* the home of its flow has counted it */
		return false;
	screen_unanswered(p, t);
	if (is_query(t))
		scan(p, t, SCREEN_ICMP_SWEEP, false);
	if (t->proto == IP_UDP) {
		scan(p, t, SCREEN_UDP_PORT_SCAN, true);
		scan(p, t, SCREEN_UDP_SWEEP, false);
	}
	if (syn && syn_counted(p, t))
		return true;
	if (syn || is_query(t) || (t->proto != IP_TCP && !(t->flags & TRAIN_ICMP_ERROR)))
		count(p, t, SCREEN_SOURCE_RATE, BY_SOURCE, false);
	return false;
}

void screen_joins(struct pipeline *p, struct train *t)
{
	if (t->flags & TRAIN_REDIRECTED || t->drop != DROP_NONE || !screens_apply(p, t))
		return;
	const struct snap_screen *x = p->screens->of[t->in_zone];
	count(p, t, SCREEN_SYN_FLOOD_DESTINATION, BY_DESTINATION, false);
	count(p, t, SCREEN_SOURCE_RATE, BY_SOURCE, false);
	if (t->drop == DROP_NONE && screen_in(&x->on, SCREEN_SYN_ACK_ACK) &&
		fw_sessions_reach(p->fw, t->in_zone, &t->src, false, x->limit[SCREEN_SYN_ACK_ACK]))
		met(p, t, SCREEN_SYN_ACK_ACK);
}

void screen_sessions(struct pipeline *p, struct train *t, const struct ip_addr *server)
{
	const struct snap_screen *x = p->screens->of[t->in_zone];

	if (screen_in(&x->on, SCREEN_SOURCE_SESSIONS) &&
		fw_sessions_reach(p->fw, t->in_zone, &t->src, false, x->limit[SCREEN_SOURCE_SESSIONS]))
		met(p, t, SCREEN_SOURCE_SESSIONS);
	else if (screen_in(&x->on, SCREEN_DESTINATION_SESSIONS) &&
		 fw_sessions_reach(p->fw, t->in_zone, server, true, x->limit[SCREEN_DESTINATION_SESSIONS]))
		met(p, t, SCREEN_DESTINATION_SESSIONS);
}

/* ---- spoofing ---- */

enum screen_spoofing screen_spoofing(const struct pipeline *p, const struct train *t)
{
	const struct snap_screen *x = p->screens->of[t->in_zone];

	return x && screen_in(&x->on, SCREEN_IP_SPOOFING) ? (enum screen_spoofing)x->spoofing : SPOOFING_ZONE;
}

void screen_spoofed(struct pipeline *p, struct train *t)
{
	const struct snap_screen *x = p->screens->of[t->in_zone];

	if (x && screen_in(&x->on, SCREEN_IP_SPOOFING))
		met(p, t, SCREEN_IP_SPOOFING);
}

/* Of what the kernel carries (TCP without URG, UDP that is answered, no options, no fragments) only this. */
bool screen_watches(const struct pipeline *p, const struct fw_session *s)
{
	if (!p->screens->any || s->key[0].proto != IP_UDP)
		return false;
	for (int d = 0; d < 2; d++) {
		uint16_t zone = s->zones.zone[d];
		const struct snap_screen *x = zone < ZONES_MAX ? p->screens->of[zone] : NULL;
		bool teredo = s->key[d].src_port == TEREDO_PORT || s->key[d].dst_port == TEREDO_PORT;
		if (x && teredo &&
			(screen_in(&x->on, SCREEN_TUNNEL_TEREDO) ||
				screen_in(&x->on, SCREEN_TUNNEL_BAD_INNER) ||
				screen_in(&x->on, SCREEN_TUNNEL_NESTED)))
			return true;
	}
	return false;
}
