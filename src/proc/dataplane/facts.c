/* What is known of a packet at a stage, by the names of the loaded configuration: for traces and captures. */
#include "proc/dataplane/stages.h"

#include <stdio.h>

static void name_copy(char ret_name[NAME_MAX_BYTES], const char *name)
{
	snprintf(ret_name, NAME_MAX_BYTES, "%s", name);
}

void packet_facts_of(const struct pipeline *p, const struct train *t, uint32_t in_tunnel,
	enum packet_verdict verdict, struct packet_facts *ret_facts)
{
	struct packet_facts *f = ret_facts;
	const struct snapshot *s = p->snapshot;

	*f = (struct packet_facts){ .verdict = verdict,
		.src = { t->src, t->src_port, 0 },
		.dst = { t->dst, t->dst_port, 0 },
		.proto = t->proto };
	fw_explain_facts(p->fw, t, f);
	if (s && t->in_interface < s->interfaces.count)
		name_copy(f->in_interface, snap_interfaces(s)[t->in_interface].name);
	if (s && t->out_interface < s->interfaces.count)
		name_copy(f->out_interface, snap_interfaces(s)[t->out_interface].name);
	if (s && in_tunnel < s->tunnels.count)
		name_copy(f->in_tunnel, snap_tunnels(s)[in_tunnel].name);
	if (s && t->tunnel < s->tunnels.count)
		name_copy(f->out_tunnel, snap_tunnels(s)[t->tunnel].name);
}
