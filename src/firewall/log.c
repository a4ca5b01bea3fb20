/* The ring of log records: what rules with `log` want told. The shell drains it; when it does not, records
 * are counted as lost. */
#include "firewall/internal.h"

static struct fw_log *log_room(struct firewall *fw)
{
	if (fw->log_head - fw->log_tail == FW_LOG_RING) {
		fw->counters.logs_lost++;
		return NULL;
	}
	return &fw->log[fw->log_head++ % FW_LOG_RING];
}

void fw_log_add(struct firewall *fw, enum fw_log_kind kind, const struct fw_session *s, mono_ns now)
{
	struct fw_log *l = log_room(fw);

	if (l)
		*l = (struct fw_log){ .kind = kind,
			.rule = s->rule,
			.session_id = s->id,
			.zone = { s->zones.zone[0], s->zones.zone[1] },
			.key = { s->key[0], s->key[1] },
			.begun = s->created,
			.at = now,
			.packets = { s->packets[0], s->packets[1] },
			.bytes = { s->bytes[0], s->bytes[1] } };
}

void fw_log_deny(struct firewall *fw, const struct train *t, mono_ns now)
{
	struct fw_log *l = log_room(fw);

	if (l)
		*l = (struct fw_log){ .kind = FW_LOG_DENY,
			.drop = t->drop,
			.rule = t->rule,
			.zone = { (uint16_t)fw_zone_in(t), (uint16_t)t->out_zone },
			.key = { fw_key_of(t) },
			.at = now,
			.packets = { train_packets(t) },
			.bytes = { t->len } };
}

bool fw_log_next(struct firewall *fw, struct fw_log *ret_log)
{
	if (fw->log_tail == fw->log_head)
		return false;
	*ret_log = fw->log[fw->log_tail++ % FW_LOG_RING];
	return true;
}
