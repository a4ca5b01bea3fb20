#include "model/packet_facts.h"

#include "base/tw.h"

#include <stdio.h>

static const char *const words[PACKET_VERDICTS_N] = {
#define E(id, word) [PACKET_##id] = word,
	PACKET_VERDICTS(E)
#undef E
};

static const char *verdict_word(uint32_t verdict)
{
	return verdict < PACKET_VERDICTS_N ? words[verdict] : "";
}

/* Its name, or its number. Returns ret_text. */
static const char *protocol_text(char ret_text[16], uint8_t proto)
{
	static const struct {
		uint8_t proto;
		const char *name;
	} names[] = { { 1, "icmp" }, { 6, "tcp" }, { 17, "udp" }, { 58, "icmp6" }, { 132, "sctp" } };

	snprintf(ret_text, 16, "%u", proto);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (names[i].proto == proto)
			snprintf(ret_text, 16, "%s", names[i].name);
	return ret_text;
}

static void name_put(struct jw *w, const char *key, const char *name, size_t size)
{
	size_t n = strnlen(name, size);

	if (n > 0)
		jw_str_n(w, key, name, n);
}

static void endpoint_put(struct jw *w, const char *key, const struct endpoint *e)
{
	char text[ENDPOINT_TEXT_MAX];

	if (e->addr.family != ADDR_NONE)
		jw_str(w, key, endpoint_text(text, e));
}

#define NAME_PUT(w, f, name) name_put(w, #name, (f)->name, sizeof(f)->name)

void packet_facts_json(struct jw *w, const struct packet_facts *f)
{
	char proto[16];

	if (f->verdict != PACKET_NONE)
		jw_str(w, "verdict", verdict_word(f->verdict));
	NAME_PUT(w, f, drop);
	NAME_PUT(w, f, rule);
	NAME_PUT(w, f, from_zone);
	NAME_PUT(w, f, to_zone);
	NAME_PUT(w, f, in_interface);
	NAME_PUT(w, f, in_tunnel);
	NAME_PUT(w, f, out_interface);
	NAME_PUT(w, f, out_tunnel);
	if (f->src.addr.family != ADDR_NONE)
		jw_str(w, "proto", protocol_text(proto, f->proto));
	endpoint_put(w, "src", &f->src);
	endpoint_put(w, "dst", &f->dst);
	endpoint_put(w, "nat_src", &f->nat_src);
	NAME_PUT(w, f, nat_src_rule);
	endpoint_put(w, "nat_dst", &f->nat_dst);
	NAME_PUT(w, f, nat_dst_rule);
	if (f->session) {
		jw_u64(w, "session", f->session);
		jw_str(w, "direction", f->reply ? "reply" : "forward");
	}
}

static void nat_say(
	struct tw *w, const char *which, const struct endpoint *e, const char rule[NAME_MAX_BYTES])
{
	char text[ENDPOINT_TEXT_MAX];

	if (e->addr.family == ADDR_NONE)
		return;
	tw_say(w, "; %s translated to %s", which, endpoint_text(text, e));
	if (rule[0])
		tw_say(w, " by rule %.*s", NAME_MAX_BYTES - 1, rule);
}

const char *packet_facts_text(char ret_text[PACKET_FACTS_TEXT_MAX], const struct packet_facts *f)
{
	struct tw w = tw_over(ret_text, PACKET_FACTS_TEXT_MAX);
	const int name = NAME_MAX_BYTES - 1;

	tw_say(&w, "%s", f->verdict == PACKET_NONE ? "no verdict" : verdict_word(f->verdict));
	if (f->drop[0])
		tw_say(&w, " %.*s", PACKET_DROP_BYTES - 1, f->drop);
	if (f->rule[0])
		tw_say(&w, "; rule %.*s", name, f->rule);
	if (f->from_zone[0] || f->to_zone[0])
		tw_say(&w, "%s%.*s to %.*s", f->rule[0] ? " of " : "; ", name,
			f->from_zone[0] ? f->from_zone : "no zone", name,
			f->to_zone[0] ? f->to_zone : "no zone");
	if (f->session)
		tw_say(&w, "; session %u%s", f->session, f->reply ? ", reply" : "");
	nat_say(&w, "source", &f->nat_src, f->nat_src_rule);
	nat_say(&w, "destination", &f->nat_dst, f->nat_dst_rule);
	if (f->in_tunnel[0])
		tw_say(&w, "; in tunnel %.*s", name, f->in_tunnel);
	else if (f->in_interface[0])
		tw_say(&w, "; in %.*s", name, f->in_interface);
	if (f->out_tunnel[0])
		tw_say(&w, "; out tunnel %.*s", name, f->out_tunnel);
	else if (f->out_interface[0])
		tw_say(&w, "; out %.*s", name, f->out_interface);
	return ret_text;
}
