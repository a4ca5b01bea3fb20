/* Additional key exchanges of proposals (RFC 9370) in a snapshot. */
#include "model/snapshot_check.h"

bool snapshot_additional_ok(const uint16_t additional[ADDITIONAL_MAX])
{
	for (size_t i = 0; i < ADDITIONAL_MAX; i++) {
		if (additional[i] != 0 &&
			(strcmp(kem_word(additional[i]), "none") == 0 || (i > 0 && additional[i - 1] == 0)))
			return false;
		for (size_t k = 0; k < i; k++)
			if (additional[i] != 0 && additional[k] == additional[i])
				return false;
	}
	return true;
}

bool snapshot_esp_additional_ok(const struct snap_esp_proposal *p)
{
	return snapshot_additional_ok(p->additional) && (p->additional[0] == 0 || p->dh != DH_NONE);
}

bool snapshot_peer_has_additional(const struct snapshot *s, const struct snap_peer *p)
{
	if (p->proposals.first > s->ike_proposals.count ||
		p->proposals.count > s->ike_proposals.count - p->proposals.first)
		return false;
	for (uint32_t i = 0; i < p->proposals.count; i++)
		if (snap_ike_proposals(s)[p->proposals.first + i].additional[0] != 0)
			return true;
	return false;
}
