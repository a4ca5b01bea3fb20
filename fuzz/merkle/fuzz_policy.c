/*
 * Policy files, and notes judged by them. The input is a file, then (behind an octet 00) a note. What is read
 * is written and read again to the same policy; the quorum is computed a second time by plain recursion.
 */
#include "merkle/policy.h"

#include <assert.h>
#include <string.h>

static struct policy policy, again;

static bool witnessed(const struct policy_verdict *v, struct policy_ref ref, uint64_t from_s)
{
	if (ref.kind == POLICY_NONE)
		return true;
	if (ref.kind == POLICY_WITNESS)
		return v->signed_mask >> ref.index & 1 && v->time_s[ref.index] >= from_s;
	const struct policy_group *g = &policy.group[ref.index];
	unsigned n = 0;
	for (unsigned i = 0; i < g->members_n; i++) {
		assert(g->member[i].kind != POLICY_GROUP || g->member[i].index < ref.index);
		n += witnessed(v, g->member[i], from_s);
	}
	assert(g->threshold >= 1 && g->threshold <= g->members_n);
	return n >= g->threshold;
}

static void judge(const struct note *note)
{
	struct policy_verdict v;
	enum rc rc = policy_evaluate(&policy, note, &v, NULL);

	assert(rc == RC_OK || rc == RC_AUTH);
	assert(rc != RC_OK || (v.quorum && (v.log_signed || policy.logs_n == 0)));
	if (rc == RC_OK)
		assert(witnessed(&v, policy.quorum, v.quorum_time_s));
}

/* A note that nobody of the policy signed: only "none" is satisfied with it. */
static void judge_unsigned(void)
{
	static const char bytes[] = "o\n\n\xe2\x80\x94 a AAAAAAE=\n";
	struct note note;
	struct policy_verdict v;
	enum rc rc = note_parse(&note, bytes, sizeof bytes - 1, NULL);

	assert(rc == RC_OK);
	rc = policy_evaluate(&policy, &note, &v, NULL);
	assert(v.signed_mask == 0 && v.quorum == (policy.quorum.kind == POLICY_NONE));
	assert(rc == (v.quorum && policy.logs_n == 0 ? RC_OK : RC_AUTH));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char text[POLICY_BYTES_MAX];
	const uint8_t *split = n ? memchr(data, 0, n) : NULL;
	size_t file_n = split ? (size_t)(split - data) : n;
	struct err e = { 0 };
	struct note note;

	if (n > 65536)
		return 0;
	if (policy_parse(&policy, (const char *)data, file_n, &e) != RC_OK) {
		assert(e.text[0] && strstr(e.text, "line "));
		return 0;
	}
	size_t text_n = policy_text(&policy, text, sizeof text);
	assert(text_n > 0);
	enum rc rc = policy_parse(&again, text, text_n, NULL);
	assert(rc == RC_OK);
	/* Names and numbers are the same; what lies behind the terminators of longer, refused ones is not. */
	assert(again.logs_n == policy.logs_n && again.witnesses_n == policy.witnesses_n &&
		again.groups_n == policy.groups_n && again.quorum.kind == policy.quorum.kind &&
		again.quorum.index == policy.quorum.index);
	for (size_t i = 0; i < policy.groups_n; i++)
		assert(again.group[i].threshold == policy.group[i].threshold &&
			again.group[i].members_n == policy.group[i].members_n &&
			memcmp(again.group[i].member, policy.group[i].member,
				policy.group[i].members_n * sizeof policy.group[i].member[0]) == 0);
	judge_unsigned();
	if (split && note_parse(&note, split + 1, n - file_n - 1, NULL) == RC_OK)
		judge(&note);
	return 0;
}
