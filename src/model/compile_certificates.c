/* Authorities, and peers with certificates, to records. Part of the compiler; the files are read later (certificates.c). */
#include "model/compile.h"

#include <stdio.h>
#include <string.h>

/* The place of the file in the array, where it stands once. INDEX_NONE: out of memory. */
static uint32_t file_index(struct compiler *c, const char *name)
{
	struct snap_certificate_file *all = (void *)c->certificate_files.at, *f;

	for (uint32_t i = 0; i < c->certificate_files.n; i++)
		if (strcmp(all[i].name, name) == 0)
			return i;
	f = vec_add(&c->certificate_files);
	if (!f)
		return INDEX_NONE;
	snprintf(f->name, sizeof f->name, "%s", name);
	return (uint32_t)c->certificate_files.n - 1;
}

static enum rc authority(struct compiler *c, const struct lyd_node *node)
{
	struct snap_authority *a = vec_add(&c->authorities);

	if (!a)
		return compile_no_memory(c);
	snprintf(a->name, sizeof a->name, "%s", tree_value(node, "name"));
	a->revocation =
		strcmp(tree_value(node, "revocation-check"), "hard") == 0 ? REVOCATION_HARD : REVOCATION_SOFT;
	a->file = file_index(c, tree_value(node, "file"));
	if (a->file == INDEX_NONE)
		return compile_no_memory(c);
	enum rc rc = tree_child(c->m, node, "crl-url") ? compile_crl(c, node, a->name, &a->dynamic) : RC_OK;
	return tree_child(c->m, node, "ocsp-url")
		       ? faults_join(rc, compile_responder(c, node, a->name, &a->responder))
		       : rc;
}

enum rc compile_authorities(struct compiler *c)
{
	return compile_each(c, "pki", NULL, "ca-profile", authority);
}

static uint32_t authority_index(const struct compiler *c, const char *name)
{
	const struct snap_authority *all = (const void *)c->authorities.at;

	for (uint32_t i = 0; i < c->authorities.n; i++)
		if (strcmp(all[i].name, name) == 0)
			return i;
	return INDEX_NONE;
}

static enum rc trusted(struct compiler *c, const struct lyd_node *peer, struct span *ret_span)
{
	const struct lyd_node *name = tree_child(c->m, peer, "trusted-ca");

	ret_span->first = (uint32_t)c->trusted.n;
	for (; name; name = tree_next(name)) {
		uint32_t index = authority_index(c, lyd_get_value(name));
		struct snap_trusted *t;
		if (index == INDEX_NONE) /* a reference that leads nowhere is noted already */
			continue;
		if (c->trusted.n == TRUSTED_MAX)
			return fault_is_limit(tree_fault(c->faults, name,
				"all peers together have more than %d authorities", TRUSTED_MAX));
		if (!(t = vec_add(&c->trusted)))
			return compile_no_memory(c);
		t->authority = index;
		ret_span->count++;
	}
	return RC_OK;
}

bool compile_subject(const struct lyd_node *leaf, struct snap_id *ret_id)
{
	const char *text = lyd_get_value(leaf);
	size_t n = strlen(text);

	if (!strchr(text, '=') || n > sizeof ret_id->data)
		return false;
	*ret_id = (struct snap_id){ .type = ID_DN, .len = (uint8_t)n };
	memcpy(ret_id->data, text, n);
	return true;
}

/* One that the other side can find in a certificate. */
static enum rc identity_fits(struct compiler *c, const struct lyd_node *peer, const char *leaf,
	const struct snap_id *id, bool ours)
{
	const struct lyd_node *node = tree_child(c->m, peer, leaf);

	if (id->type == ID_KEY_ID)
		return tree_fault(c->faults, node,
			"found '%.60s', expected an identity that a certificate can have: an address, a domain name, a mail "
			"address%s",
			lyd_get_value(node), ours ? "" : " or a subject");
	if (id->type == ID_DN && ours)
		return tree_fault(c->faults, node,
			"found '%.60s', expected a name that our certificate has in subjectAltName: an address, a domain name or "
			"a mail address",
			lyd_get_value(node));
	return RC_OK;
}

enum rc compile_peer_certificate(struct compiler *c, const struct lyd_node *peer, struct snap_peer *p)
{
	const char *name = tree_value(peer, "local-certificate");
	char file[NAME_MAX_BYTES + 8];
	uint32_t index;
	enum rc rc;

	snprintf(file, sizeof file, "%s.crt", name);
	index = file_index(c, file);
	if (index == INDEX_NONE)
		return compile_no_memory(c);
	p->auth = PEER_AUTH_CERTIFICATE;
	p->certificate = index + 1;
	if (tree_child(c->m, peer, "rsa-pkcs1"))
		p->flags |= PEER_RSA_PKCS1;
	snprintf(p->key_name, sizeof p->key_name, "%s", name);
	rc = trusted(c, peer, &p->trusted);
	rc = faults_join(rc, identity_fits(c, peer, "local-id", &p->local_id, true));
	return faults_join(rc, identity_fits(c, peer, "remote-id", &p->remote_id, false));
}
