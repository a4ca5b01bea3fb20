/*
 * `show sessions`, `clear sessions` and sums over sessions. Rows of sessions go out in pieces of the table
 * (ipc/rows.h). A sum is a survey: the sessions are walked in pieces between bursts, as `clear` walks them, and its rows,
 * which are few, are sent at its end. One survey is under way at a time; the next ones wait.
 */
#include "base/json.h"
#include "ipc/rows.h"
#include "proc/dataplane/dataplane.h"
#include "wire/ip.h"

#include <stdio.h>
#include <string.h>

static const char *proto_text(char ret_text[16], uint32_t proto)
{
	static const struct {
		uint32_t proto;
		const char *name;
	} names[] = { { IP_TCP, "tcp" }, { IP_UDP, "udp" }, { IP_ICMP, "icmp" }, { IP_ICMPV6, "icmp6" },
		{ IP_SCTP, "sctp" } };

	snprintf(ret_text, 16, "%u", proto);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (names[i].proto == proto)
			snprintf(ret_text, 16, "%s", names[i].name);
	return ret_text;
}

static void endpoint_put(struct jw *w, const char *key, struct ip_addr addr, uint16_t port)
{
	struct endpoint e = { .addr = addr, .port = port };
	char text[ENDPOINT_TEXT_MAX];

	jw_str(w, key, endpoint_text(text, &e));
}

static void session_row(struct rows_piece *piece, const struct firewall *fw, const struct fw_session *s,
	bool carried, mono_ns now)
{
	struct jw *w = rows_row(piece);
	struct ip_addr addr;
	char proto[16], rule_id[RULE_ID_TEXT_MAX];
	uint16_t port;

	jw_u64(w, "id", s->id);
	jw_str(w, "proto", proto_text(proto, s->key[0].proto));
	endpoint_put(w, "src", fw_key_src(&s->key[0]), s->key[0].src_port);
	endpoint_put(w, "dst", fw_key_dst(&s->key[0]), s->key[0].dst_port);
	jw_str(w, "from", fw_zone_name(fw, s->zones.zone[0]));
	jw_str(w, "to", fw_zone_name(fw, s->zones.zone[1]));
	jw_str(w, "rule", fw_session_rule_name(fw, s));
	if (fw_session_rule_id(fw, s))
		jw_str(w, "rule_id", snap_rule_id_text(rule_id, fw_session_rule_id(fw, s)));
	jw_str(w, "state", fw_session_state_name(fw_session_state(s)));
	if (fw_session_nat_src(s, &addr, &port))
		endpoint_put(w, "nat_src", addr, port);
	if (fw_session_nat_dst(s, &addr, &port))
		endpoint_put(w, "nat_dst", addr, port);
	if (fw_session_tunnel_name(fw, s)[0])
		jw_str(w, "tunnel", fw_session_tunnel_name(fw, s));
	if (fw_interface_name(fw, s->interface[0])[0])
		jw_str(w, "interface", fw_interface_name(fw, s->interface[0]));
	if (fw_interface_name(fw, s->interface[1])[0])
		jw_str(w, "reply_interface", fw_interface_name(fw, s->interface[1]));
	if (expectation_alg_name(s->alg)[0])
		jw_str(w, "alg", expectation_alg_name(s->alg));
	if (carried)
		jw_bool(w, "carried", true);
	jw_u64(w, "bytes", s->bytes[0] + s->bytes[1]);
	jw_u64(w, "packets_forward", s->packets[0]);
	jw_u64(w, "packets_reply", s->packets[1]);
	jw_u64(w, "age_s", fw_session_age_s(s, now));
	jw_u64(w, "idle_s", fw_session_idle_s(s, now));
	jw_u64(w, "expires_in_s", s->expires > now ? (s->expires - now) / NS_PER_S : 0);
	rows_add(piece);
}

/* Those of one worker are a section of the table. */
static void worker_rows(
	struct rows_piece *piece, struct worker *w, const struct session_filter *filter, mono_ns now)
{
	struct firewall *fw = w->fw;
	uint32_t used = fw_sessions_used(fw), section = w->index;

	for (uint32_t i = rows_first(piece, section); i < used && rows_look(piece, section, i); i++) {
		const struct fw_session *s = fw_session_current(fw, i, now);
		if (s && fw_session_selected(fw, s, filter, now))
			session_row(piece, fw, s, pipeline_carries(&w->pipeline, i, s), now);
	}
	pipeline_notes(&w->pipeline); /* of those that a commit has ended */
}

void show_sessions(struct dataplane *d, struct rows_piece *piece, const struct msg_show *show)
{
	mono_ns now = clock_mono();
	struct err e = { 0 };

	/* Names that a commit takes away while the table is read select nothing. */
	if (show->from == 0 && fw_filter_check(d->workers[0]->fw, &show->filter, &e)) {
		rows_refuse(piece->link, piece->tag, e.rc, e.text);
		return;
	}
	for (uint32_t i = 0; i < d->workers_n; i++)
		worker_rows(piece, d->workers[i], &show->filter, now);
	rows_end(piece);
}

bool show_clear_sessions(struct worker *w, const struct session_filter *filter, uint32_t *cursor,
	uint32_t *count, uint32_t budget)
{
	struct firewall *fw = w->fw;
	mono_ns now = clock_mono();

	for (; *cursor < fw_sessions_used(fw) && budget > 0; (*cursor)++, budget--) {
		const struct fw_session *s = fw_session_current(fw, *cursor, now);
		if (!s || !fw_session_selected(fw, s, filter, now))
			continue;
		fw_session_end(fw, *cursor, now);
		(*count)++;
	}
	pipeline_notes(&w->pipeline);
	return *cursor >= fw_sessions_used(fw);
}

/* ---- surveys ---- */

static void tally_row(struct rows_piece *piece, const struct survey *v, const char *by, const char *value,
	const struct fw_tally_count *c)
{
	if (c->sessions == 0 || (v->show.limit && piece->count >= v->show.limit))
		return;
	struct jw *w = rows_row(piece);
	jw_str(w, "by", by);
	jw_str(w, "value", value);
	jw_u64(w, "sessions", c->sessions);
	jw_u64(w, "packets", c->packets);
	jw_u64(w, "bytes", c->bytes);
	rows_add(piece);
}

static void summary_rows(const struct dataplane *d, struct rows_piece *piece, const struct survey *v)
{
	const struct firewall *fw = d->workers[0]->fw;
	const struct fw_tally *t = &d->survey.tally;
	char text[16];

	tally_row(piece, v, "all", "", &t->all);
	for (uint32_t i = 0; i < COUNT_OF(t->proto); i++)
		tally_row(piece, v, "protocol", proto_text(text, i), &t->proto[i]);
	for (uint32_t i = 0; i < FW_STATE_COUNT; i++)
		tally_row(piece, v, "state", fw_session_state_name(i), &t->state[i]);
	for (uint32_t i = 0; i <= ZONES_MAX; i++)
		tally_row(piece, v, "from zone", fw_zone_name(fw, i < ZONES_MAX ? i : FW_ZONE_HOST),
			&t->from_zone[i]);
	for (uint32_t i = 0; i <= ZONES_MAX; i++)
		tally_row(piece, v, "to zone", fw_zone_name(fw, i < ZONES_MAX ? i : FW_ZONE_HOST),
			&t->to_zone[i]);
}

static void address_put(struct jw *w, const char *key, const struct ip_addr *addr)
{
	char text[ADDR_TEXT_MAX];

	if (addr->family != ADDR_NONE)
		jw_str(w, key, addr_text(text, addr));
}

/* The measure as it is estimated, the others as they were counted. */
static void talkers_rows(struct dataplane *d, struct rows_piece *piece, const struct survey *v)
{
	struct fw_talkers *t = &d->survey.talkers;
	uint32_t n = MIN_OF(v->show.limit ? v->show.limit : TALKERS_SHOWN, (uint32_t)TALKERS_SHOWN_MAX);

	fw_talkers_end(t);
	for (uint32_t i = 0; i < t->n && i < n; i++) {
		const struct fw_talker *one = &t->talker[i];
		struct jw *w = rows_row(piece);
		address_put(w, "src", &one->ends[0]);
		address_put(w, "dst", &one->ends[1]);
		jw_u64(w, "sessions", t->order == TALKER_ORDER_SESSIONS ? one->sum : one->counted.sessions);
		jw_u64(w, "packets", t->order == TALKER_ORDER_PACKETS ? one->sum : one->counted.packets);
		jw_u64(w, "bytes", t->order == TALKER_ORDER_BYTES ? one->sum : one->counted.bytes);
		jw_u64(w, "overcount", one->over);
		rows_add(piece);
	}
}

void show_survey(struct dataplane *d, uint64_t tag, const struct msg_show *show)
{
	struct ipc_link *control = child_link(&d->child, PROC_CONTROL);
	struct err e = { 0 };

	if (d->surveys_n == SURVEYS_MAX) {
		rows_refuse(control, tag, RC_AGAIN,
			"too many sums over the sessions are under way: try again later");
		return;
	}
	if (show->by >= TALKER_BY_COUNT || show->order >= TALKER_ORDER_COUNT) {
		rows_refuse(control, tag, RC_MALFORMED,
			"malformed request: expected a known kind and order of talkers");
		return;
	}
	if (fw_filter_check(d->workers[0]->fw, &show->filter, &e)) {
		rows_refuse(control, tag, e.rc, e.text);
		return;
	}
	d->surveys[d->surveys_n++] = (struct survey){ .tag = tag, .show = *show };
}

static void survey_end(struct dataplane *d, const struct survey *v)
{
	static struct rows_piece piece;

	rows_begin(&piece, child_link(&d->child, PROC_CONTROL), v->tag, &v->show);
	if (v->show.table == SHOW_TALKERS)
		talkers_rows(d, &piece, v);
	else
		summary_rows(d, &piece, v);
	rows_end(&piece);
	d->surveys_n--;
	memmove(d->surveys, d->surveys + 1, d->surveys_n * sizeof d->surveys[0]);
}

/* The first piece; and again after a commit, because zones have other numbers then. */
static void survey_begin(struct dataplane *d, struct survey *v)
{
	v->generation = fw_policy(d->workers[0]->fw)->generation;
	v->begun = true;
	v->worker = v->cursor = 0;
	if (v->show.table == SHOW_TALKERS)
		fw_talkers_begin(&d->survey.talkers, d->workers[0]->fw, (enum talker_by)v->show.by,
			(enum talker_order)v->show.order);
	else
		memset(&d->survey.tally, 0, sizeof d->survey.tally);
}

/* True: that was the worker's last record. */
static bool worker_survey(struct dataplane *d, struct worker *w, struct survey *v, uint32_t budget)
{
	struct firewall *fw = w->fw;
	mono_ns now = clock_mono();

	for (; v->cursor < fw_sessions_used(fw) && budget > 0; v->cursor++, budget--) {
		const struct fw_session *s = fw_session_current(fw, v->cursor, now);
		if (!s || !fw_session_selected(fw, s, &v->show.filter, now))
			continue;
		if (v->show.table == SHOW_TALKERS)
			fw_talkers_add(&d->survey.talkers, s);
		else
			fw_tally_add(&d->survey.tally, s);
	}
	pipeline_notes(&w->pipeline);
	return v->cursor >= fw_sessions_used(fw);
}

bool show_survey_piece(struct dataplane *d, uint32_t budget)
{
	struct survey *v = &d->surveys[0];

	if (d->surveys_n == 0)
		return true;
	if (!v->begun || v->generation != fw_policy(d->workers[0]->fw)->generation)
		survey_begin(d, v);
	if (v->worker < d->workers_n && worker_survey(d, d->workers[v->worker], v, budget)) {
		v->worker++;
		v->cursor = 0;
	}
	if (v->worker >= d->workers_n)
		survey_end(d, v);
	return d->surveys_n == 0;
}
