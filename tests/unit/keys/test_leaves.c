/*
 * Batches of leaves in the keeper: the order of commitment, challenge, opening and use; each leaf once, its
 * shares wiped; a ledger that refuses, a source that fails, a configuration that changes. What stands in the
 * entries is judged by src/verify, which knows nothing of the keeper.
 */
#include "proc/keeper/leaves.h"

#include "base/log.h"
#include "ledger/entry.h"
#include "merkle/attest.h"
#include "verify/leaves.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LIVE	  (LEAVES_N - LEAVES_OPENED)
#define WITNESSES 2
#define ORIGIN	  "example.com/gateway"

static struct child child;
static struct shares shares;
static struct leaves leaves;
static struct ipc_link entropy, ledger;
static struct leaves_check *check;
static struct leaf_shares kept[LEAVES_BATCHES]
			      [LEAVES_N]; /* what a batch was made of, for the tests to look for */
static unsigned progress, entered[LEDGER_TYPE_COUNT];
static enum rc answer;		     /* of the ledger */
static enum ledger_type answer_only; /* LEDGER_TYPE_COUNT: for all types; else RC_OK for the others */
static bool silent;		     /* the ledger keeps its answers */
static uint64_t silent_tags[64];
static struct msg_ledger_receipt silent_receipts[64];
static size_t silent_n;
static struct merkle_edge tree; /* over what was entered */
static unsigned cosigners;	/* witnesses that answer, of WITNESSES */
static bool unanswered;		/* the ledger does not say who has cosigned */
static enum rc verdict;		/* the first that was not RC_OK */
static char verdict_text[ERR_TEXT_MAX];

static void no_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	if (f->head.id == IPC_ENTROPY_SHARE)
		shares_take(&shares, &f->u.ENTROPY_SHARE);
	if (f->head.id == IPC_COSIGNED)
		leaves_cosigned(&leaves, f->head.tag, &f->u.COSIGNED);
	leaves_resume(&leaves);
}

static const struct child_ops ops = { .on_message = no_message };

static void on_progress(struct leaves *l)
{
	progress++;
}

static void on_receipt(void *context, uint64_t tag, const struct msg_ledger_receipt *r)
{
	leaves_receipt(&leaves, tag, r);
}

static struct ipc_link join(enum proc peer)
{
	int fds[2];
	struct ipc_link l;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	port_open(&child.ports[peer], &child.loop, fds[0], PROC_KEEPER, peer);
	ipc_link_open(&l, fds[1], peer, PROC_KEEPER);
	return l;
}

static int begin(void **state)
{
	int fds[2];

	log_init("test", LOG_ERROR);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	child_init(&child, PROC_KEEPER, &ops, NULL, LEDGER_LEDGER_OUTAGE, fds[0]);
	*state = (void *)(intptr_t)fds[1];
	entropy = join(PROC_ENTROPY);
	ledger = join(PROC_LEDGER);
	child.started = true;
	shares_init(&shares, &child);
	assert_int_equal(leaves_init(&leaves, &child, &shares, on_receipt, on_progress), RC_OK);
	assert_int_equal(shares_start(&shares, NULL), RC_OK);
	shares_link(&shares);
	memset(entered, 0, sizeof entered);
	memset(kept, 0, sizeof kept);
	progress = 0;
	silent = false;
	silent_n = 0;
	answer = RC_OK;
	answer_only = LEDGER_TYPE_COUNT;
	tree = (struct merkle_edge){ 0 };
	cosigners = 0;
	unanswered = false;
	verdict = RC_OK;
	check = leaves_check_new();
	return check ? 0 : -1;
}

static int end(void **state)
{
	leaves_done(&leaves);
	leaves_free(&leaves);
	shares_done(&shares);
	for (int i = 0; i < PROC_COUNT; i++)
		port_close(&child.ports[i]);
	ledger_client_done(&child.ledger);
	loop_done(&child.loop);
	ipc_link_close(&entropy);
	ipc_link_close(&ledger);
	close((int)(intptr_t)*state);
	leaves_check_free(check);
	return 0;
}

static void give(uint32_t count)
{
	static uint64_t drawn;
	struct msg_entropy_share m;

	while (count-- > 0) {
		sha256(m.share, &drawn, sizeof drawn);
		drawn++;
		assert_int_equal(ipc_send_ENTROPY_SHARE(&entropy, 0, &m), RC_OK);
	}
}

static void judge(enum ledger_type type, const char *body, size_t n)
{
	struct ledger_entry entry = { .type = type, .body = body, .body_n = n };
	struct err e = { 0 };

	if (ledger_body_check(type, body, n, &e) != RC_OK)
		fail_msg("%s", e.text);
	struct merkle_hash leaf = merkle_leaf(body, n);
	enum rc rc = leaves_check_entry(check, &entry, tree.size, &e);
	merkle_edge_add(&tree, &leaf);
	leaves_check_grown(check, &tree);
	if (verdict == RC_OK && rc != RC_OK) {
		verdict = rc;
		memcpy(verdict_text, e.text, sizeof verdict_text);
	}
}

static struct note_key witness_key(unsigned i, uint8_t ret_seed[32])
{
	uint8_t public_key[32];
	struct note_key key;
	char name[32];

	memset(ret_seed, (int)i + 1, 32);
	ed25519_public(public_key, ret_seed);
	snprintf(name, sizeof name, "example.com/witness%u", i);
	assert_int_equal(note_key_make(&key, name, NOTE_COSIGNATURE_ED25519, public_key), RC_OK);
	return key;
}

/* Both of them are a quorum. */
static const struct policy *policy_of_both(void)
{
	static struct policy policy;
	char text[1024], vkey[NOTE_VKEY_MAX];
	uint8_t seed[32];
	size_t n = 0;

	for (unsigned i = 0; i < WITNESSES; i++) {
		struct note_key key = witness_key(i, seed);
		n += (size_t)snprintf(
			text + n, sizeof text - n, "witness w%u %s\n", i, note_key_text(vkey, &key));
	}
	n += (size_t)snprintf(text + n, sizeof text - n, "group both all w0 w1\nquorum both\n");
	assert_int_equal(policy_parse(&policy, text, n, NULL), RC_OK);
	return &policy;
}

/* What witnesses say of the whole log. */
static void cosign(struct ipc_frame *f)
{
	char text[ATTEST_TEXT_MAX + 1] = "", line[COSIGN_LINE_MAX], signed_text[256];
	struct checkpoint c = { .origin = ORIGIN, .size = tree.size, .root = merkle_edge_root(&tree) };
	struct msg_cosigned m = { 0 };
	uint8_t seed[32];

	assert_int_equal(f->u.COSIGNED_ASK.index, tree.size - 1); /* all that it has entered */
	size_t n = checkpoint_text(signed_text, sizeof signed_text, &c);
	for (unsigned i = 0; i < cosigners; i++) {
		struct note_key key = witness_key(i, seed);
		assert_true(cosign_line(line, sizeof line, signed_text, n, &key, seed, 1000) > 0);
		assert_true(attest_add(text, c.size, line));
	}
	m.n = (uint32_t)strlen(text);
	memcpy(m.text, text, m.n);
	if (!unanswered)
		assert_int_equal(ipc_send_COSIGNED(&ledger, f->head.tag, &m), RC_OK);
}

static void ledger_takes(struct ipc_frame *f)
{
	enum ledger_type type = (enum ledger_type)f->u.LEDGER_APPEND.type;
	struct msg_ledger_receipt r = { .rc = RC_OK, .index = tree.size };

	if (f->head.id == IPC_COSIGNED_ASK) {
		cosign(f);
		return;
	}
	assert_int_equal(f->head.id, IPC_LEDGER_APPEND);
	if (answer_only == LEDGER_TYPE_COUNT || answer_only == type)
		r.rc = (uint32_t)answer;
	entered[type]++;
	if (r.rc == RC_OK)
		judge(type, f->u.LEDGER_APPEND.body, f->u.LEDGER_APPEND.body_n);
	if (silent) {
		silent_tags[silent_n] = f->head.tag;
		silent_receipts[silent_n++] = r;
	} else
		assert_int_equal(ipc_send_LEDGER_RECEIPT(&ledger, f->head.tag, &r), RC_OK);
}

static void speak(void)
{
	silent = false;
	for (size_t i = 0; i < silent_n; i++)
		assert_int_equal(
			ipc_send_LEDGER_RECEIPT(&ledger, silent_tags[i], &silent_receipts[i]), RC_OK);
	silent_n = 0;
}

static void keep_shares(void)
{
	for (size_t i = 0; i < LEAVES_BATCHES; i++)
		if (leaves.batch[i].state >= BATCH_COMMITTING && leaves.batch[i].state <= BATCH_OPENING)
			memcpy(kept[i], leaves.shares[i], sizeof kept[i]);
}

/* Until nothing moves any more. */
static void settle(void)
{
	static struct ipc_frame f;

	for (int quiet = 0; quiet < 20; quiet++) {
		assert_int_equal(loop_once(&child.loop, 0, NULL), RC_OK);
		keep_shares();
		ipc_flush(&entropy);
		while (ipc_recv(&entropy, &f, NULL) == RC_OK) {
			give(f.u.ENTROPY_ASK.count);
			quiet = 0;
		}
		while (ipc_recv(&ledger, &f, NULL) == RC_OK) {
			ledger_takes(&f);
			quiet = 0;
		}
		if (leaves.make.armed)
			quiet = 0;
	}
}

static void start(void)
{
	leaves_configure(&leaves, leaf_group_bit(DH_CURVE25519));
	settle();
	if (verdict != RC_OK)
		fail_msg("%s", verdict_text);
}

/* An exchange's entry, as the keeper makes it, before the judge. */
static enum rc named(const struct leaf_name *name, struct err *e)
{
	char data[BASE64_SIZE(LEAF_DATA_MAX)], path[BASE64_SIZE(LEAVES_DEPTH * SHA256_SIZE)], root[65];
	static struct ledger_body body;
	struct leaf_proof p;
	size_t n;

	leaves_prove(&leaves, name, &p);
	assert_int_not_equal(p.groups, 0);
	base64_from_bytes(data, p.data, leaf_data_size(p.groups));
	base64_from_bytes(path, p.path, sizeof p.path);
	hex_from_bytes(root, p.root, sizeof p.root);
	const struct ledger_field *f = ledger_type_fields(LEDGER_IKE_SA_REKEYED, &n);
	ledger_body_begin(&body, LEDGER_IKE_SA_REKEYED);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(f[i].key, "leaf_index") == 0)
			ledger_body_u64(&body, f[i].key, p.index);
		else if (f[i].kind == LEDGER_NUMBER)
			ledger_body_u64(&body, f[i].key, 0);
		else
			ledger_body_str(&body, f[i].key,
				strcmp(f[i].key, "leaf") == 0	      ? data
				: strcmp(f[i].key, "leaf_batch") == 0 ? root
				: strcmp(f[i].key, "leaf_path") == 0  ? path
								      : "");
	}
	struct ledger_entry entry = {
		.type = LEDGER_IKE_SA_REKEYED, .body = body.text, .body_n = ledger_body_done(&body)
	};
	return leaves_check_entry(check, &entry, tree.size, e);
}

static void committed_opened_then_used(void **state)
{
	static uint8_t secret[DH_SEED_SIZE], additional[LEAF_SEED_SIZE], before[DH_SEED_SIZE],
		public_value[DH_PUBLIC_MAX];
	struct leaves_report report;
	struct leaf_name name;
	struct leaf_proof proof;
	struct dh_secret dh;
	struct err e = { 0 };

	assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name),
		RC_AGAIN); /* no configuration yet */
	start();
	assert_int_equal(entered[LEDGER_LEAF_BATCH], 2);
	assert_int_equal(entered[LEDGER_LEAF_HASHES], 8);
	assert_int_equal(entered[LEDGER_LEAF_CHALLENGE], 2);
	assert_int_equal(entered[LEDGER_LEAVES_OPENED], 4);
	assert_true(progress >= 1);
	for (int i = 0; i < LIVE; i++) {
		assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_OK);
		assert_memory_not_equal(secret, before, sizeof secret);
		memcpy(before, secret, sizeof secret);
		assert_int_equal(name.batch, 1);
		/* The secret's public value is what the leaf says. */
		leaves_prove(&leaves, &name, &proof);
		assert_int_equal(dh_generate(&dh, public_value, DH_CURVE25519, secret), RC_OK);
		assert_memory_equal(leaf_public(proof.data, proof.groups, DH_CURVE25519), public_value, 32);
		assert_memory_equal(leaves_public(&leaves, &name, DH_CURVE25519), public_value, 32);
		assert_null(leaves_public(&leaves, &name, DH_ECP_256)); /* not of this configuration */
		if (named(&name, &e) != RC_OK)
			fail_msg("%s", e.text);
		assert_int_equal(named(&name, NULL), RC_AUTH); /* not twice */
	}
	/* The next one is ready, and another one begun. */
	assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_OK);
	assert_int_equal(name.batch, 2);
	settle();
	assert_int_equal(entered[LEDGER_LEAF_BATCH_END], 1);
	assert_int_equal(entered[LEDGER_LEAF_BATCH], 3);
	assert_int_equal(named(&name, &e), RC_OK);
	leaves_check_state(check, &report);
	assert_int_equal(verdict, RC_OK);
	assert_int_equal(report.batches, 3);
	assert_int_equal(report.opened, 3 * LEAVES_OPENED);
	assert_int_equal(report.named, LIVE + 1);
	assert_int_equal(report.unopened + report.abandoned, 0);
	assert_int_equal(report.weak, 3);
	assert_int_equal(report.leaves, LEAVES_N);
	assert_int_equal(report.opens, LEAVES_OPENED);
}

/* Anywhere in the memory of all batches. */
static bool memory_holds(const uint8_t share[LEAF_SHARE_SIZE])
{
	return memmem(&leaves, sizeof leaves, share, LEAF_SHARE_SIZE) ||
	       memmem(leaves.batch, LEAVES_BATCHES * sizeof leaves.batch[0], share, LEAF_SHARE_SIZE);
}

static void shares_are_wiped(void **state)
{
	static const uint8_t none[LEAF_SHARE_SIZE];
	uint8_t additional[LEAF_SEED_SIZE], secret[DH_SEED_SIZE];
	struct leaf_name name;
	unsigned gone = 0, there = 0;

	start();
	const struct leaf_batch *b = &leaves.batch[1];
	for (int i = 0; i < 10; i++) {
		assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_OK);
		assert_memory_not_equal(kept[1][name.index].a, none, sizeof none);
		assert_false(memory_holds(kept[1][name.index].a));
		assert_false(memory_holds(kept[1][name.index].b));
	}
	/* Opened ones are gone too; the others are where they should be. */
	for (size_t i = 0; i < LEAVES_N; i++) {
		bool held = memory_holds(kept[1][i].a) && memory_holds(kept[1][i].b);

		assert_int_equal(held, !b->opened[i] && i >= b->next);
		gone += !held;
		there += held;
	}
	assert_int_equal(gone, LEAVES_OPENED + 10);
	assert_int_equal(there, LIVE - 10);
	leaves_discard(&leaves);
	for (size_t k = 1; k <= 2; k++)
		for (size_t i = 0; i < LEAVES_N; i++)
			assert_false(memory_holds(kept[k][i].a) || memory_holds(kept[k][i].b));
}

/* Nothing is used before the last receipt. */
static void waits_for_the_ledger(void **state)
{
	uint8_t additional[LEAF_SEED_SIZE], secret[DH_SEED_SIZE];
	struct leaf_name name;

	silent = true;
	start();
	assert_int_equal(entered[LEDGER_LEAF_BATCH], 1);
	assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_AGAIN);
	for (enum ledger_type next = LEDGER_LEAF_HASHES; next <= LEDGER_LEAVES_OPENED; next++) {
		assert_int_equal(entered[next], 0);
		speak();
		silent = true;
		settle();
		assert_true(entered[next] > 0);
	}
	assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_AGAIN);
	progress = 0;
	speak();
	settle();
	assert_int_equal(progress, 2);
	assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_OK);
}

/* The same batch again, with the same root, until it takes it; meanwhile nobody is told to wait. */
static void refused(enum ledger_type what)
{
	uint8_t additional[LEAF_SEED_SIZE], secret[DH_SEED_SIZE], root[SHA256_SIZE];
	struct leaf_name name;

	answer = RC_LIMIT;
	answer_only = what;
	start();
	assert_true(progress > 0);
	assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_NOT_FOUND);
	memcpy(root, leaves.batch[1].tree[1].b, sizeof root);
	for (int i = 0; i < 3; i++) {
		leaves_retry(&leaves);
		settle();
		assert_int_equal(
			leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_NOT_FOUND);
	}
	answer = RC_OK;
	leaves_retry(&leaves);
	settle();
	assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_OK);
	assert_memory_equal(leaves.batch[1].tree[1].b, root, sizeof root);
	assert_int_equal(name.batch, 1);
	if (verdict != RC_OK)
		fail_msg("%s", verdict_text);
	assert_int_equal(named(&name, NULL), RC_OK);
}

static void commitment_refused(void **state)
{
	refused(LEDGER_LEAF_BATCH);
}

static void hashes_refused(void **state)
{
	refused(LEDGER_LEAF_HASHES);
}

static void challenge_refused(void **state)
{
	refused(LEDGER_LEAF_CHALLENGE);
}

static void opening_refused(void **state)
{
	refused(LEDGER_LEAVES_OPENED);
}

static void ledger_away(void **state)
{
	uint8_t additional[LEAF_SEED_SIZE], secret[DH_SEED_SIZE];
	struct leaf_name name;

	port_close(&child.ports[PROC_LEDGER]);
	ipc_link_close(&ledger);
	ledger = IPC_LINK_NONE;
	start();
	assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_NOT_FOUND);
	ledger = join(PROC_LEDGER);
	leaves_retry(&leaves);
	settle();
	assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_OK);
}

static void other_groups(void **state)
{
	uint8_t additional[LEAF_SEED_SIZE], secret[DH_SEED_SIZE];
	struct leaf_name name;

	start();
	assert_int_equal(leaves_take(&leaves, DH_ECP_256, secret, additional, &name),
		RC_AGAIN); /* ike has it before us */
	/* One group more: what was made cannot serve it. */
	leaves_configure(&leaves, leaf_group_bit(DH_CURVE25519) | leaf_group_bit(DH_ECP_256));
	settle();
	assert_int_equal(entered[LEDGER_LEAF_BATCH_END], 2); /* of the one in use, and of the next one */
	assert_int_equal(leaves_take(&leaves, DH_ECP_256, secret, additional, &name), RC_OK);
	assert_int_equal(name.batch, 3);
	assert_int_equal(named(&name, NULL), RC_OK);
	/* One less: they continue. */
	leaves_configure(&leaves, leaf_group_bit(DH_ECP_256));
	settle();
	assert_int_equal(leaves_take(&leaves, DH_ECP_256, secret, additional, &name), RC_OK);
	assert_int_equal(name.batch, 3);
	leaves_configure(&leaves, 0);
	settle();
	assert_int_equal(verdict, RC_OK);
}

static void forgotten_batches(void **state)
{
	uint8_t additional[LEAF_SEED_SIZE], secret[DH_SEED_SIZE];
	struct leaf_name first, name;
	struct leaf_proof proof;

	start();
	assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &first), RC_OK);
	for (int batch = 1; batch < 5; batch++) {
		leaves_prove(&leaves, &first, &proof);
		assert_int_equal(proof.groups != 0, batch < 4);
		do
			assert_int_equal(
				leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_OK);
		while (name.batch == (uint32_t)batch);
		settle();
	}
	name = (struct leaf_name){ 0 };
	leaves_prove(&leaves, &name, &proof);
	assert_int_equal(proof.groups, 0);
	assert_int_equal(verdict, RC_OK);
}

/* Strangers do not fill the disk with batches: after a burst they come one by one. */
static void not_faster_than_allowed(void **state)
{
	uint8_t additional[LEAF_SEED_SIZE], secret[DH_SEED_SIZE];
	struct leaf_name name;
	unsigned taken = 0;

	start();
	while (leaves_take(&leaves, DH_CURVE25519, secret, additional, &name) == RC_OK) {
		taken++;
		/* A busy machine takes its time, which earns nothing here. */
		leaves.allowance_at = child.loop.now;
		settle();
	}
	assert_int_equal(taken, LEAVES_BURST * LIVE);
	assert_int_equal(entered[LEDGER_LEAF_BATCH], LEAVES_BURST);
	assert_int_equal(leaves_ready(&leaves, DH_CURVE25519), RC_NOT_FOUND); /* nobody waits for it */
	assert_true(leaves.retry.armed);
	leaves.allowance_at -= LEAVES_EVERY_NS; /* as if the time had gone by */
	leaves_resume(&leaves);
	settle();
	assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_OK);
	assert_int_equal(name.batch, LEAVES_BURST + 1);
	settle();
	assert_int_equal(entered[LEDGER_LEAF_BATCH], LEAVES_BURST + 1);
	assert_int_equal(verdict, RC_OK);
}

/* The end of an orderly stop: entered, and nothing of it left. */
static void at_the_end(void **state)
{
	static struct ipc_frame f;
	uint8_t additional[LEAF_SEED_SIZE], secret[DH_SEED_SIZE];
	struct leaf_name name;

	start();
	assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_OK);
	leaves_done(&leaves);
	while (ipc_recv(&ledger, &f, NULL) == RC_OK)
		ledger_takes(&f);
	assert_int_equal(entered[LEDGER_LEAF_BATCH_END], 2);
	assert_int_equal(verdict, RC_OK);
	for (size_t i = 0; i < LEAVES_N; i++)
		assert_false(memory_holds(kept[1][i].a) || memory_holds(kept[2][i].b));
}

/* ---- what the challenge comes from ---- */

static struct leaves_report started_with(unsigned witnesses, bool policy)
{
	struct leaves_report report;

	cosigners = witnesses;
	if (policy)
		leaves_check_witnesses(check, policy_of_both(), ORIGIN);
	start();
	leaves_check_state(check, &report);
	assert_int_equal(report.opened, 2 * LEAVES_OPENED);
	assert_int_equal(report.weak + report.cosigned + report.unchecked, 2);
	return report;
}

static void challenged_by_witnesses(void **state)
{
	assert_int_equal(started_with(WITNESSES, true).cosigned, 2);
	/* Another answer would have picked others. */
	const struct leaf_batch *b = leaves.current;
	uint32_t alone[LEAVES_OPENED];
	leaf_challenge(b->tree[1].b, "", 0, LEAVES_N, LEAVES_OPENED, alone);
	assert_memory_not_equal(alone, b->picked, sizeof alone);
}

static void fewer_than_the_quorum(void **state)
{
	assert_int_equal(started_with(WITNESSES - 1, true).weak, 2);
}

static void nobody_checks(void **state)
{
	assert_int_equal(started_with(WITNESSES, false).unchecked, 2);
}

/* The ledger takes entries and does not answer this question: the batch continues without. */
static void no_answer(void **state)
{
	struct leaves_report report;
	uint8_t additional[LEAF_SEED_SIZE], secret[DH_SEED_SIZE];
	struct leaf_name name;

	unanswered = true;
	start();
	assert_int_equal(leaves.following->state, BATCH_ASKING);
	assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_AGAIN);
	assert_true(leaves.cosigned.armed);
	assert_true(leaves.cosigned.at <= leaves.child->loop.now + LEAVES_COSIGNED_NS);
	leaves.cosigned.fn(&child.loop, &leaves.cosigned); /* its time has come */
	settle();
	assert_int_equal(leaves_take(&leaves, DH_CURVE25519, secret, additional, &name), RC_OK);
	leaves_check_state(check, &report);
	assert_int_equal(report.weak, 1);
}

/* Answers that are none: of an older checkpoint, of no form, too late. They change nothing. */
static void answers_that_are_none(void **state)
{
	struct msg_cosigned m = { 0 };

	unanswered = true;
	start();
	struct leaf_batch *b = leaves.following;
	leaves_cosigned(&leaves, b->serial + 1, &m);
	assert_int_equal(b->state, BATCH_ASKING);
	m.n = COSIGNED_TEXT_MAX + 1;
	leaves_cosigned(&leaves, b->serial, &m);
	assert_int_equal(b->state, BATCH_CHALLENGING);
	assert_string_equal(b->later, "");
	uint32_t picked[LEAVES_OPENED];
	memcpy(picked, b->picked, sizeof picked);
	leaves_cosigned(&leaves, b->serial, &m);
	assert_int_equal(b->state, BATCH_CHALLENGING);
	assert_memory_equal(picked, b->picked, sizeof picked);
	settle();
	assert_int_equal(verdict, RC_OK);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(committed_opened_then_used),
		T(shares_are_wiped),
		T(waits_for_the_ledger),
		T(commitment_refused),
		T(hashes_refused),
		T(challenge_refused),
		T(opening_refused),
		T(ledger_away),
		T(other_groups),
		T(forgotten_batches),
		T(at_the_end),
		T(not_faster_than_allowed),
		T(challenged_by_witnesses),
		T(fewer_than_the_quorum),
		T(nobody_checks),
		T(no_answer),
		T(answers_that_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
