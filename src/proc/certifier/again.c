/*
 * Chains that were accepted are judged again when CRLs are others than before, or OCSP has called a certificate revoked: the keeper is told
 * which of them have a revoked certificate now, and ends the IKE SAs that were authenticated by it. Each certifier does so by itself, so either
 * of them may be started anew meanwhile. One chain in a round of the loop while no question waits, and one after CERTIFIER_QUESTIONS_EACH
 * questions.
 */
#include "proc/certifier/shell.h"

#include "base/log.h"
#include "ipc/certificate_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* FNV-1a. Of files that are replaced by whoever may replace them: nobody gains by one that looks like the one before. */
static uint64_t mix(uint64_t h, const void *b, size_t n)
{
	const uint8_t *at = b;

	for (size_t i = 0; i < n; i++)
		h = (h ^ at[i]) * 0x100000001b3u;
	return h;
}

static uint64_t mix_file(uint64_t h, int directory, const char *name)
{
	int fd = directory < 0 ? -1 : openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0) {
		const int64_t seen[] = { (int64_t)st.st_ino, (int64_t)st.st_size, st.st_mtim.tv_sec,
			st.st_mtim.tv_nsec, st.st_ctim.tv_sec, st.st_ctim.tv_nsec };
		h = mix(h, seen, sizeof seen);
	}
	if (fd >= 0)
		close(fd);
	return mix(h, "", 1);
}

/* Of all CRLs of the configuration, and whose they are. */
static uint64_t lists_seen(const struct certifier *x)
{
	const struct snapshot *s = x->snapshot.snapshot;
	char name[NAME_MAX_BYTES + 8];
	uint64_t h = mix(0xcbf29ce484222325u, &x->crls.taken, sizeof x->crls.taken);

	for (uint32_t i = 0; s && i < s->authorities.count; i++) {
		const struct snap_authority *a = &snap_authorities(s)[i];
		h = mix(h, a->name, strlen(a->name) + 1);
		certificate_file_crl(name, sizeof name, snap_certificate_files(s)[a->file].name);
		h = mix_file(h, x->directory, name);
		snprintf(name, sizeof name, "%s.crl", a->name);
		h = mix_file(h, a->dynamic ? x->crls.fetched_dir : -1, name);
		h = mix(h, a->responder ? "ocsp" : "", 1);
	}
	return h;
}

static void on_look(struct loop *l, struct timer *t)
{
	struct certifier *x = t->context;
	uint64_t seen = lists_seen(x);

	ocsp_again(x);
	if (seen != x->seen)
		x->unsure_s = 1;
	else if (x->unsure && x->again == 0 && l->now >= x->unsure_at)
		x->unsure_s = MIN_OF(2 * x->unsure_s, (uint32_t)CERTIFIER_UNSURE_MAX_S);
	else
		return;
	x->seen = seen;
	x->unsure = false;
	x->unsure_at = l->now + x->unsure_s * NS_PER_S;
	x->again = x->accepted.n;
	if (x->again > 0)
		loop_arm(l, &x->work, 0, 0);
}

void again_init(struct certifier *x)
{
	x->look = (struct timer){ .fn = on_look, .context = x };
}

void again_configure(struct certifier *x)
{
	const struct snapshot *s = x->snapshot.snapshot;

	names_make(&x->peers, x->peer_slots, names_slots(s->peers.count), snap_peers(s),
		sizeof snap_peers(s)[0], s->peers.count);
	if (s->authorities.count > 0)
		loop_arm(&x->child->loop, &x->look, 0, CERTIFIER_LOOK_NS);
	else
		loop_disarm(&x->child->loop, &x->look);
}

void again_keep(struct certifier *x, const struct certify_ask *a, const struct certify_verdict *v)
{
	uint8_t key[CERTIFY_DIGEST_SIZE];
	uint64_t evicted = x->accepted.evicted;

	if (!x->engine->digest(key, v->spki, v->spki_n) ||
		!accepted_add(&x->accepted, snap_peers(x->snapshot.snapshot)[a->peer].name, key, a))
		log_warn("out of memory: an IKE SA of a peer stays when its certificate is revoked");
	if (x->accepted.evicted != evicted)
		log_warn(
			"more than %u chains, or %u octets of them, were accepted: the one of longest ago is not judged again (%llu so far), and its IKE SA stays when a CRL or OCSP revokes it",
			(unsigned)ACCEPTED_MAX, (unsigned)ACCEPTED_BYTES_MAX,
			(unsigned long long)x->accepted.evicted);
}

void again_judge(struct certifier *x)
{
	static struct certify_ask a;
	struct certify_verdict v;
	struct certify_revoked m = { 0 };

	x->again = MIN_OF(x->again, x->accepted.n);
	if (x->again == 0)
		return;
	const struct accepted_chain *c = x->accepted.at[--x->again];
	accepted_ask(&a, c);
	a.peer = names_find(&x->peers, c->peer);
	if (a.peer == NAMES_NONE) {
		accepted_remove(&x->accepted, x->again); /* the keeper ends what is left of that peer */
		return;
	}
	certifier_judge(x, &a, &v);
	if (v.reason == CERTIFY_REVOKED) {
		memcpy(m.key, c->key, sizeof m.key);
		memcpy(m.peer, c->peer, sizeof m.peer);
		if (ipc_send_CERTIFY_REVOKED(child_link(x->child, PROC_KEEPER), 0, &m) == RC_LIMIT) {
			x->seen = 0; /* it takes no more now: all of them once more */
			return;
		}
	}
	/* What may pass: once more, later. */
	x->unsure |= v.reason == CERTIFY_INTERNAL || v.reason == CERTIFY_CRL_FILE;
	if (v.reason == CERTIFY_REVOKED || v.reason == CERTIFY_TIME)
		accepted_remove(&x->accepted, x->again);
	else
		ocsp_keep(x);
}
