/*
 * The hard end of a pair of SAs (RFC 4301 section 4.4.2.1: "the hard limit when the current SA ends"). It is held here,
 * per packet, and needs no process that is alive: a key whose replacement fails does not go on. What removes the pair, and tells ike, comes
 * after it (proc/dataplane/control.c).
 */
#include "esp/state.h"

#include "model/sa.h"

struct esp_life esp_life_of(const struct snap_tunnel *t)
{
	uint32_t s = t->rekey_s ? t->rekey_s : CHILD_LIFETIME_S;

	return (struct esp_life){
		.lasts = s * NS_PER_S / 1000 * SA_HARD_THOUSANDTHS + SA_HARD_GRACE_S * NS_PER_S,
		.octets = t->rekey_bytes,
		.packets = t->rekey_packets,
	};
}

static uint64_t hard(uint64_t soft, uint64_t more_min)
{
	uint64_t more = MAX_OF(soft / 1000 * (SA_HARD_THOUSANDTHS - 1000), more_min);

	return soft == 0 || soft > UINT64_MAX - more ? UINT64_MAX : soft + more;
}

void esp_life_attach(struct esp_pair *p)
{
	p->octets_end = hard(p->state->octets_soft, SA_HARD_OCTETS);
	p->packets_end = hard(p->state->packets_soft, SA_HARD_PACKETS);
}
