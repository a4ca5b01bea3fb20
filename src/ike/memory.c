/*
 * Memory of the IKE core, and the values of variable size that it keeps: octets (struct blob), messages, the parts of
 * one that have come, nonces.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdlib.h>

void *ike_alloc(size_t n)
{
	void *p = calloc(1, n);

	assert(n > 0);
	if (!p)
		abort(); /* limits bound what is allocated; a machine without so much memory cannot run this */
	return p;
}

void blob_set(struct blob *b, const void *bytes, size_t n)
{
	uint8_t *copy = ike_alloc(n ? n : 1);

	assert(bytes || n == 0);
	if (n)
		memcpy(copy, bytes, n);
	free(b->at);
	*b = (struct blob){ copy, n };
}

void blob_free(struct blob *b)
{
	free(b->at);
	*b = (struct blob){ 0 };
}

struct message *message_new(const struct ike_header *h, const struct endpoint *local,
	const struct endpoint *remote, const void *bytes, size_t n)
{
	struct message *m = ike_alloc(sizeof *m + n);

	m->h = *h;
	m->local = *local;
	m->remote = *remote;
	m->n = n;
	memcpy(m->bytes, bytes, n);
	return m;
}

struct message *message_copy_plain(const struct message *in)
{
	struct message *m = message_new(&in->h, &in->local, &in->remote, in->bytes, in->n);

	enum rc rc = ike_payloads_read(
		&m->p, m->h.next_payload, m->bytes + IKE_HEADER_SIZE, m->n - IKE_HEADER_SIZE, false, NULL);

	assert(rc == RC_OK); /* the same octets were read before */
	return m;
}

void gathered_free(struct gathered **g)
{
	if (!*g)
		return;
	for (size_t i = 0; i < IKE_FRAGMENTS_MAX; i++)
		blob_free(&(*g)->parts[i]);
	blob_free(&(*g)->begun);
	free(*g);
	*g = NULL;
}

/* So none is ever cut short. */
_Static_assert(IKE_NONCE_MAX <= KEEPER_NONCE_MAX, "a nonce of the peer fits");

void nonce_set(struct nonce *v, const void *bytes, size_t n)
{
	memset(v, 0, sizeof *v);
	if (n > sizeof v->bytes)
		n = sizeof v->bytes;
	memcpy(v->bytes, bytes, n);
	v->n = (uint16_t)n;
}

/* RFC 7296 2.8.1: "lowest" as octet strings, a shorter one before a longer one that it begins. */
int nonce_compare(const struct nonce *a, const struct nonce *b)
{
	int order = memcmp(a->bytes, b->bytes, MIN_OF(a->n, b->n));

	assert(a->n <= sizeof a->bytes && b->n <= sizeof b->bytes);
	return order ? order : (int)a->n - (int)b->n;
}

const struct nonce *nonce_lower(const struct nonce *a, const struct nonce *b)
{
	return nonce_compare(a, b) <= 0 ? a : b;
}
