/*
 * `show nat blocks`: which inside host has which ports of which address. Dynamic blocks are records among those of sessions,
 * a section of the table for each worker; deterministic ones follow from the configuration, a section for each rule.
 */
#include "base/json.h"
#include "ipc/rows.h"
#include "proc/dataplane/dataplane.h"

static bool is_wanted(const struct fw_block *b, const struct session_filter *f)
{
	bool host =
		f->src.first.family == ADDR_NONE || (f->src.first.family == b->host.first.family &&
							    addr_compare(&f->src.first, &b->host.last) <= 0 &&
							    addr_compare(&f->src.last, &b->host.first) >= 0);

	return host && filter_range_holds(&f->nat_src, &b->addr) &&
	       (f->nat_port.first == 0 || (f->nat_port.first <= b->last && f->nat_port.last >= b->first));
}

static struct jw *block_begin(
	struct rows_piece *piece, const struct dataplane *d, const char *type, const struct fw_block *b)
{
	const struct firewall *fw = d->workers[0]->fw;
	const struct snapshot *s = fw_policy(fw);
	char text[RANGE_TEXT_MAX];
	struct jw *w = rows_row(piece);

	jw_str(w, "type", type);
	jw_str(w, "rule", b->nat_rule < s->nat_rules.count ? snap_nat_rules(s)[b->nat_rule].name : "");
	jw_str(w, "from", b->from == ZONE_ANY ? "any" : fw_zone_name(fw, b->from));
	if (addr_equal(&b->host.first, &b->host.last))
		jw_str(w, "src", addr_text(text, &b->host.first));
	else
		jw_str(w, "src", range_text(text, &b->host));
	jw_str(w, "nat_src", addr_text(text, &b->addr));
	jw_strf(w, "ports", "%u-%u", b->first, b->last);
	return w;
}

static void dynamic_rows(struct rows_piece *piece, const struct dataplane *d, uint32_t worker,
	const struct session_filter *f, mono_ns now)
{
	struct firewall *fw = d->workers[worker]->fw;
	uint32_t used = fw_sessions_used(fw);
	struct fw_block b;

	for (uint32_t i = rows_first(piece, worker); i < used && rows_look(piece, worker, i); i++) {
		if (!fw_block_view(fw, i, now, &b) || !is_wanted(&b, f))
			continue;
		struct jw *w = block_begin(piece, d, "dynamic", &b);
		jw_u64(w, "users", b.users);
		jw_u64(w, "age_s", now > b.since ? (now - b.since) / NS_PER_S : 0);
		if (b.ends)
			jw_u64(w, "expires_in_s", b.ends > now ? (b.ends - now) / NS_PER_S : 0);
		jw_u64(w, "block", b.id);
		rows_add(piece);
	}
	pipeline_notes(&d->workers[worker]->pipeline); /* of what a commit has ended */
}

static void deterministic_rows(
	struct rows_piece *piece, const struct dataplane *d, uint32_t rule, const struct session_filter *f)
{
	const struct snapshot *s = fw_policy(d->workers[0]->fw);
	uint32_t section = d->workers_n + rule;
	struct fw_block b;

	for (uint32_t i = rows_first(piece, section);
		i < UINT32_MAX && fw_block_of_number(s, rule, i, &b) && rows_look(piece, section, i); i++) {
		if (!is_wanted(&b, f))
			continue;
		block_begin(piece, d, "deterministic", &b);
		rows_add(piece);
	}
}

void show_blocks(struct dataplane *d, struct rows_piece *piece, const struct msg_show *show)
{
	const struct snapshot *s = fw_policy(d->workers[0]->fw);
	mono_ns now = clock_mono();

	for (uint32_t i = 0; i < d->workers_n; i++)
		dynamic_rows(piece, d, i, &show->filter, now);
	for (uint32_t i = 0; i < s->nat_rules.count; i++)
		deterministic_rows(piece, d, i, &show->filter);
}
