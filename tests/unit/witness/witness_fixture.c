#include "witness_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct kept *fixture_kept(struct fixture *f, const char *origin)
{
	for (size_t i = 0; i < f->kept_n; i++)
		if (strcmp(f->kept[i].origin, origin) == 0)
			return &f->kept[i];
	return NULL;
}

static enum rc store_get(void *context, const char *origin, struct witness_head *ret_head, struct err *e)
{
	struct fixture *f = context;
	const struct kept *k = fixture_kept(f, origin);

	if (f->get_fails != RC_OK)
		return err_add(e, f->get_fails, "the store cannot be read");
	if (!k)
		return err_add(e, RC_NOT_FOUND, "nothing of '%s'", origin);
	*ret_head = k->head;
	return RC_OK;
}

static bool same_head(const struct witness_head *a, const struct witness_head *b)
{
	return a->size == b->size && a->time_s == b->time_s && merkle_equal(&a->root, &b->root);
}

static enum rc store_put(void *context, const char *origin, const struct witness_head *was,
	const struct witness_head *now, const char *note, size_t note_n, struct err *e)
{
	struct fixture *f = context;

	if (f->races > 0) {
		f->races--;
		f->race(f, f->races);
	}
	struct kept *k = fixture_kept(f, origin);
	if (f->put_fails != RC_OK)
		return err_add(e, f->put_fails, "the store cannot be written");
	if ((k != NULL) != (was != NULL) || (k && !same_head(&k->head, was)))
		return RC_AGAIN;
	if (!k) {
		assert_true(f->kept_n < COUNT_OF(f->kept));
		k = &f->kept[f->kept_n++];
		snprintf(k->origin, sizeof k->origin, "%s", origin);
	}
	k->head = *now;
	assert_true(note_n <= sizeof k->note);
	memcpy(k->note, note, note_n);
	k->note_n = note_n;
	f->puts++;
	return RC_OK;
}

void fixture_keep(
	struct fixture *f, const char *origin, uint64_t size, const struct merkle_hash *root, uint64_t time_s)
{
	struct kept *k = fixture_kept(f, origin);

	if (!k) {
		k = &f->kept[f->kept_n++];
		snprintf(k->origin, sizeof k->origin, "%s", origin);
	}
	k->head = (struct witness_head){ size, *root, time_s };
}

void fixture_init(struct fixture *f)
{
	static const char *names[] = { FIXTURE_ORIGIN, FIXTURE_ORIGIN, FIXTURE_OTHER };
	uint8_t public_key[ED25519_PUBLIC_SIZE];

	memset(f, 0, sizeof *f);
	for (unsigned i = 0; i < COUNT_OF(names); i++) {
		memset(f->seed[i], (int)i + 1, sizeof f->seed[i]);
		ed25519_public(public_key, f->seed[i]);
		enum rc rc = note_key_make(&f->log[i], names[i], NOTE_ED25519, public_key);
		assert_int_equal(rc, RC_OK);
	}
	for (unsigned h = 0; h < 2; h++)
		for (uint32_t i = 0; i < FIXTURE_LEAVES; i++) {
			uint32_t bytes[2] = { i, i >= FIXTURE_FORK ? h : 0 };
			f->leaf[h][i] = merkle_leaf(bytes, sizeof bytes);
		}
	memset(f->witness.seed, 77, sizeof f->witness.seed);
	ed25519_public(public_key, f->witness.seed);
	enum rc rc = note_key_make(&f->witness.key, "witness.example", NOTE_COSIGNATURE_ED25519, public_key);
	assert_int_equal(rc, RC_OK);
	f->witness.log = f->log;
	f->witness.logs_n = COUNT_OF(f->log);
	f->witness.store = (struct witness_store){ f, store_get, store_put };
}

struct merkle_hash fixture_root(const struct fixture *f, unsigned history, uint64_t size)
{
	struct merkle_leaves l = { f->leaf[history], size };
	struct merkle_hash root;
	enum rc rc = merkle_root(merkle_leaves_subtree, &l, size, &root);

	assert_int_equal(rc, RC_OK);
	return root;
}

struct merkle_proof fixture_proof(const struct fixture *f, unsigned history, uint64_t old, uint64_t size)
{
	struct merkle_leaves l = { f->leaf[history], size };
	struct merkle_proof p = { 0 };

	if (old > 0 && old <= size) {
		enum rc rc = merkle_prove_consistency(merkle_leaves_subtree, &l, old, size, &p);
		assert_int_equal(rc, RC_OK);
	}
	return p;
}

size_t fixture_note(const struct fixture *f, char *ret, size_t max, unsigned key, const char *origin,
	uint64_t size, const struct merkle_hash *root)
{
	struct checkpoint c = { .size = size, .root = *root };
	char text[512];

	snprintf(c.origin, sizeof c.origin, "%s", origin ? origin : f->log[key].name);
	size_t text_n = checkpoint_text(text, sizeof text, &c);
	return note_sign(ret, max, text, text_n, &f->log[key], f->seed[key]);
}

size_t fixture_request(
	const struct fixture *f, char *ret, size_t max, unsigned history, uint64_t old, uint64_t size)
{
	struct merkle_hash root = fixture_root(f, history, size);
	struct merkle_proof proof = fixture_proof(f, history, old, size);
	char note[1024];
	size_t note_n = fixture_note(f, note, sizeof note, 0, NULL, size, &root);

	return witness_request_text(ret, max, old, &proof, note, note_n);
}
