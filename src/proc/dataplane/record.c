#include "proc/dataplane/record.h"

#include "proc/dataplane/dataplane.h"
#include "proc/dataplane/rule_log.h"
#include "wire/ip.h"

#include <stdio.h>

static struct endpoint end_src(const struct fw_key *k)
{
	return (struct endpoint){ .addr = fw_key_src(k), .port = k->src_port };
}

static struct endpoint end_dst(const struct fw_key *k)
{
	return (struct endpoint){ .addr = fw_key_dst(k), .port = k->dst_port };
}

static void name_copy(char ret_name[NAME_MAX_BYTES], const char name[NAME_MAX_BYTES])
{
	snprintf(ret_name, NAME_MAX_BYTES, "%.*s", NAME_MAX_BYTES - 1, name);
}

static void block_put(struct session_record *r, const struct fw_log *l)
{
	r->src = (struct endpoint){ .addr = fw_key_src(&l->key[0]) };
	r->src_bits = l->key[0].family == ADDR_V6 ? 64 : 0;
	r->nat_src = (struct endpoint){ .addr = fw_key_dst(&l->key[1]) };
	r->nat_first = l->nat_first;
	r->nat_last = l->nat_last;
}

static void session_put(struct session_record *r, const struct fw_log *l)
{
	if (l->destination_translated)
		r->nat_dst = end_src(&l->key[1]);
	if (l->source_translated)
		r->nat_src = end_dst(&l->key[1]);
}

void session_record_make(struct session_record *ret, const struct fw_log *l, mono_ns mono, utc_us utc)
{
	bool block = l->kind == FW_LOG_BLOCK_TAKEN || l->kind == FW_LOG_BLOCK_GIVEN;
	bool session = l->kind == FW_LOG_INIT || l->kind == FW_LOG_CLOSE;
	bool packet = session || l->kind == FW_LOG_DENY || l->kind == FW_LOG_EXHAUSTED ||
		      (l->kind == FW_LOG_SCREEN && l->key[0].family != ADDR_NONE);
	_Static_assert(SESSION_RULE_ID_BYTES >= RULE_ID_TEXT_MAX, "it fits");
	uint64_t age_us = l->at != 0 && mono > l->at ? (mono - l->at) / NS_PER_US : 0;

	memset(ret, 0, sizeof *ret);
	ret->event = (uint16_t)rule_log_event(l);
	ret->reason = (uint16_t)(l->kind == FW_LOG_DENY || l->kind == FW_LOG_SCREEN	    ? l->drop
				 : l->kind == FW_LOG_CLOSE || l->kind == FW_LOG_BLOCK_GIVEN ? (unsigned)l->end
											    : 0u);
	ret->at = utc > age_us ? utc - age_us : 0;
	ret->count = l->suppressed;
	ret->session = l->session_id;
	memcpy(ret->packets, l->packets, sizeof ret->packets);
	memcpy(ret->bytes, l->bytes, sizeof ret->bytes);
	if (session || block)
		ret->duration_ms = l->at > l->begun ? (l->at - l->begun) / NS_PER_MS : 0;
	if (packet) {
		ret->proto = l->key[0].proto;
		ret->src = end_src(&l->key[0]);
		ret->dst = end_dst(&l->key[0]);
	}
	if (session)
		session_put(ret, l);
	if (block)
		block_put(ret, l);
	name_copy(ret->rule, l->rule_name);
	if (l->rule_id)
		snap_rule_id_text(ret->rule_id, l->rule_id);
	name_copy(ret->from, l->zone_name[0]);
	name_copy(ret->to, l->zone_name[1]);
	name_copy(ret->nat_rule, l->nat_rule_name);
	name_copy(ret->tunnel, l->tunnel_name);
}

void record_send(struct dataplane *d, const struct fw_log *l)
{
	struct ipc_link *to = child_link(&d->child, PROC_EXPORT);
	struct msg_session_record m = { .lost = d->records_untold };

	session_record_make(&m.record, l, clock_mono(), clock_utc());
	if (to->waiting_bytes < RECORDS_WAITING_BYTES_MAX && ipc_send_SESSION_RECORD(to, 0, &m) == RC_OK) {
		d->records_untold = 0;
		return;
	}
	d->records_lost++;
	d->records_untold++;
}
