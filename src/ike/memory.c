/*
 * Memory of the IKE core, and the values of variable size that it keeps: octets (struct blob), messages, the parts of
 * one that have come, nonces, texts.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
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

/* RFC 7296 2.8.1: "lowest" as octet strings, a shorter one before a longer one that it begins. */
static int octets_compare(const void *a, size_t a_n, const void *b, size_t b_n)
{
	int order = memcmp(a, b, MIN_OF(a_n, b_n));

	return order ? order : (a_n > b_n) - (a_n < b_n);
}

int nonce_compare(const struct blob *a, const struct blob *b)
{
	if (a->n == 0 || b->n == 0) /* not known yet */
		return (a->n > 0) - (b->n > 0);
	return octets_compare(a->at, a->n, b->at, b->n);
}

void nonce_set_lower(struct blob *ret, const struct blob *a, const void *b, size_t b_n)
{
	bool first = a->n == 0 || (b_n > 0 && octets_compare(a->at, a->n, b, b_n) <= 0);

	blob_set(ret, first ? a->at : b, first ? a->n : b_n);
}

void text_set(char **text, const char *fmt, ...)
{
	char made[IKE_REASON_MAX];
	va_list args;
	size_t n;

	va_start(args, fmt);
	vsnprintf(made, sizeof made, fmt, args); /* which may read the old one */
	va_end(args);
	n = strlen(made);
	free(*text);
	*text = n ? ike_alloc(n + 1) : NULL;
	if (n)
		memcpy(*text, made, n);
}

void text_clear(char **text)
{
	free(*text);
	*text = NULL;
}

void selectors_keep(struct child_sa *ch, const struct selector *local, uint32_t local_n,
	const struct selector *remote, uint32_t remote_n)
{
	struct selector *list = NULL;

	assert(local_n <= SELECTORS_MAX && remote_n <= SELECTORS_MAX);
	if (local_n + remote_n > 0) {
		list = ike_alloc((local_n + remote_n) * sizeof *list);
		memcpy(list, local, local_n * sizeof *list);
		memcpy(list + local_n, remote, remote_n * sizeof *list);
	}
	free(ch->local_ts);
	ch->local_ts = list;
	ch->remote_ts = list ? list + local_n : NULL;
	ch->local_n = local_n;
	ch->remote_n = remote_n;
}

void step_answer_set(struct step *st, const struct ike_offer *answer)
{
	free(st->answer);
	st->answer = ike_alloc(sizeof *st->answer);
	*st->answer = *answer;
}

void step_values_free(struct step *st)
{
	struct blob *blobs[] = { &st->lineage, &st->nonce, &st->ke, &st->auth, &st->no_ppk, &st->link,
		&st->peer_nonce, &st->peer_ke };

	for (size_t i = 0; i < COUNT_OF(blobs); i++)
		blob_free(blobs[i]);
	free(st->answer);
	st->answer = NULL;
	free(st->in);
	st->in = NULL;
}

void followup_free(struct ike_sa *sa)
{
	struct followup *f = sa->followup;

	sa->followup = NULL;
	if (!f)
		return;
	blob_free(&f->lineage);
	blob_free(&f->peer_nonce);
	free(f);
}

void tunnels_free(struct tunnel *tunnels, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		free(tunnels[i].reason);
		free(tunnels[i].put_off);
	}
	free(tunnels);
}
