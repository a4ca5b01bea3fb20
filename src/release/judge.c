#include "admin/sshsig.h"
#include "release/release.h"

#include <string.h>

static const char *const namespaces[RELEASE_ROLE_COUNT] = { RELEASE_NAMESPACE_MAINTAINER,
	RELEASE_NAMESPACE_REBUILDER };

/* A right signature of a signer counts once, however many files have it; that of a stranger is told and counts for nothing. */
static enum rc signature_judge(const struct release_signature *s, const char *text, size_t n,
	const struct release_signers *signers, struct release_verdict *v, struct err *e)
{
	uint8_t blob[SSHSIG_BLOB_MAX];
	struct ssh_key key;
	size_t blob_n;

	enum rc rc = sshsig_from_armor(blob, &blob_n, s->armor, s->n, e);
	if (rc == RC_OK)
		rc = sshsig_verify(&key, blob, blob_n, namespaces[s->role], text, n, e);
	if (rc != RC_OK)
		return err_add(e, rc, "the signature '%s' is not good", s->name);
	for (size_t i = 0; i < signers->n; i++) {
		const struct release_signer *who = &signers->signer[i];
		if (who->role == s->role && ssh_key_equal(&who->key, &key)) {
			v->have[s->role] += !(v->signed_by & 1ull << i);
			v->signed_by |= 1ull << i;
			return RC_OK;
		}
	}
	v->strangers++;
	return RC_OK;
}

static enum rc proof_judge(const void *proof, size_t proof_n, const char *text, size_t n,
	const struct policy *policy, struct release_verdict *v, struct err *e)
{
	struct merkle_hash leaf = merkle_leaf(text, n);
	struct tlog_proof p;

	enum rc rc = tlog_proof_parse(&p, proof, proof_n, e);
	if (rc == RC_OK)
		rc = tlog_proof_check(&p, &leaf, policy, &v->log, e);
	return rc;
}

enum rc release_judge(struct release *ret_release, const char *text, size_t n, const void *proof,
	size_t proof_n, const struct release_signature *signatures, size_t signatures_n,
	const struct policy *policy, const struct release_signers *signers, uint64_t above,
	struct release_verdict *ret_verdict, struct err *e)
{
	static const enum release_class missing[RELEASE_ROLE_COUNT] = { RELEASE_MAINTAINERS,
		RELEASE_REBUILDERS };
	struct release_verdict *v = ret_verdict;

	memset(v, 0, sizeof *v);
	v->class = RELEASE_DESCRIPTION;
	enum rc rc = release_parse(ret_release, text, n, e);
	if (rc != RC_OK)
		return rc;
	v->class = RELEASE_PROOF;
	rc = proof_judge(proof, proof_n, text, n, policy, v, e);
	if (rc != RC_OK)
		return err_add(e, rc, "release %llu is not shown to be in the log",
			(unsigned long long)ret_release->number);
	v->class = RELEASE_SIGNATURE;
	for (size_t i = 0; i < signatures_n && rc == RC_OK; i++)
		rc = signature_judge(&signatures[i], text, n, signers, v, e);
	if (rc != RC_OK)
		return rc;
	for (unsigned role = 0; role < RELEASE_ROLE_COUNT; role++) {
		v->class = missing[role];
		if (v->have[role] < signers->needed[role])
			return err_add(e, RC_AUTH, "%u %s signed release %llu, and %u are needed%s",
				v->have[role], role == RELEASE_MAINTAINER ? "maintainers" : "rebuilders",
				(unsigned long long)ret_release->number, signers->needed[role],
				v->strangers ? " (there are signatures by keys that nobody named)" : "");
	}
	v->class = RELEASE_NUMBER;
	if (ret_release->number <= above)
		return err_add(e, RC_RANGE,
			"it is release %llu, and number %llu or an older one is not taken instead of what one has",
			(unsigned long long)ret_release->number, (unsigned long long)above);
	v->class = RELEASE_NONE;
	return RC_OK;
}
