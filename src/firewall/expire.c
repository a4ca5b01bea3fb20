/*
 * What ends with time. A session of a former process may end before it was evaluated by the loaded policy, as one whose time was
 * up while there was no process: then its rule is looked up for the log of its end, and before a policy is loaded none ends.
 */
#include "firewall/internal.h"

void fw_session_end_over(struct firewall *fw, uint32_t index, enum fw_end why, mono_ns now)
{
	if (!fw_policy_of(fw, &fw->sessions[index]))
		fw_session_judge_ending(fw, index, now);
	fw_session_end_by(fw, index, why, now);
}

mono_ns fw_expire(struct firewall *fw, mono_ns now, uint32_t budget)
{
	fw_reassembly_expire(fw, now);
	fw_log_report_due(fw, now);
	fw_redirects_expire(fw, now);
	fw_expected_announce(fw, now);
	return fw->policy ? fw_wheel_turn(fw, now, budget, fw_session_end_over) : now + NS_PER_S;
}
