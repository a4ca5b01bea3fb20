/*
 * Where the keeper's values come from, through its shell: public values after the key of their epoch, secrets
 * of both sources of entropy or none.
 */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <unistd.h>

#include <cmocka.h>

/* No public value leaves before its key is in the ledger; when the ledger refuses it, nothing is begun. */
static void values_wait_for_their_key(void **state)
{
	struct msg_ledger_receipt no = { .rc = RC_LIMIT, .text = "by the test" };
	uint64_t epoch_tag;
	struct keeper_exchange_begin begin = { .role = KEEPER_INITIATOR, .dh_group = DH_CURVE25519 };
	/* A peer's request waits with its values: here the base point, and a nonce of zeros. */
	struct keeper_exchange_answer answer = { .dh_group = DH_CURVE25519,
		.prf = PRF_HMAC_SHA2_256,
		.encr = ENCR_AES_GCM_16,
		.encr_bits = 256,
		.peer_nonce_n = 32,
		.peer_ke_n = 32,
		.spi_i = { 1 },
		.peer_ke = { 9 } };

	/* The entry of the key is the first one; its answer is held back. */
	assert_true(rig_next(PROC_LEDGER, IPC_LEDGER_APPEND));
	assert_int_equal(rig.frame.u.LEDGER_APPEND.type, LEDGER_VRF_EPOCH);
	epoch_tag = rig.frame.head.tag;
	rig_snapshot_give();
	assert_int_equal(rig_leaves_pump(2), 2);
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&rig.others[PROC_IKE], 1, &begin), RC_OK);
	assert_true(rig_silent(PROC_IKE));
	assert_int_equal(ipc_send_LEDGER_RECEIPT(&rig.others[PROC_LEDGER], epoch_tag, &no), RC_OK);
	rig_rounds();
	assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(rig.frame.u.EXCHANGE_BEGUN.rc, RC_AGAIN);
	assert_int_equal(rig.frame.u.EXCHANGE_BEGUN.ke_n, 0);
	/* Each further one asks again, with a key that was never shown. So many wait, one more does not. */
	for (uint64_t tag = 2; tag <= PUBLIC_WAITING_MAX + 1; tag++)
		assert_int_equal(tag == 3 ? ipc_send_EXCHANGE_ANSWER(&rig.others[PROC_IKE], tag, &answer)
					  : ipc_send_EXCHANGE_BEGIN(&rig.others[PROC_IKE], tag, &begin),
			RC_OK);
	assert_true(rig_silent(PROC_IKE));
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&rig.others[PROC_IKE], 1000, &begin), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(rig.frame.head.tag, 1000);
	assert_int_not_equal(rig.frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	assert_int_equal(ipc_send_EXCHANGE_ANSWER(&rig.others[PROC_IKE], 1001, &answer), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_ANSWERED));
	assert_int_equal(rig.frame.u.EXCHANGE_ANSWERED.rc, RC_AGAIN);
	assert_int_equal(rig.frame.u.EXCHANGE_ANSWERED.ke_n, 0);
	rig_epoch_entered();
	for (uint64_t tag = 2; tag <= PUBLIC_WAITING_MAX + 1; tag++) {
		assert_true(rig_next(PROC_IKE, tag == 3 ? IPC_EXCHANGE_ANSWERED : IPC_EXCHANGE_BEGUN));
		assert_int_equal(rig.frame.head.tag, tag);
		if (tag == 3)
			assert_int_equal(rig.frame.u.EXCHANGE_ANSWERED.sk_e.n, 36);
		else
			assert_int_equal(rig.frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	}
}

/* At the end of an epoch the key stays in use until the next one is entered: a full ledger does not stop
 * rekeys. */
static void old_key_until_the_new_one_is_entered(void **state)
{
	struct keeper_exchange_begin begin = { .role = KEEPER_RESPONDER, .dh_group = DH_CURVE25519 };
	struct public_source *p = &rig.keeper.public_values;

	if (rig.executable)
		return; /* it would take all the values of an epoch */
	rig_configure();
	p->count = PUBLIC_EPOCH_COUNT;
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&rig.others[PROC_IKE], 1, &begin), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(rig.frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	rig_ledger_answers(LEDGER_VRF_EPOCH, RC_LIMIT);
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&rig.others[PROC_IKE], 2, &begin), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(rig.frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	assert_memory_equal(p->key.public_key, rig.epoch_key, sizeof rig.epoch_key);
	assert_true(rig_silent(PROC_LEDGER));
	p->count = PUBLIC_EPOCH_COUNT + PUBLIC_CHANGE_EVERY;
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&rig.others[PROC_IKE], 3, &begin), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	rig_ledger_answers(LEDGER_VRF_EPOCH, RC_OK);
	rig_ledger_answers(LEDGER_VRF_EPOCH_END, RC_OK);
	assert_memory_not_equal(p->key.public_key, rig.epoch_key, sizeof rig.epoch_key);
	assert_int_equal(p->count, 0);
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&rig.others[PROC_IKE], 4, &begin), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(rig.frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	assert_int_equal(p->count, 1);
}

/* At an orderly end the key is disclosed: also what exchanges without an entry showed can be recomputed. */
static void key_is_disclosed(void **state)
{
	struct keeper_exchange_begin begin = { .role = KEEPER_RESPONDER, .dh_group = DH_CURVE25519 };
	uint8_t alpha[PUBLIC_ALPHA_SIZE], proof[PUBLIC_PROOF_SIZE], octets[PUBLIC_SIZE],
		scalar[VRF_SCALAR_SIZE];
	char hex[2 * VRF_SCALAR_SIZE + 1];
	struct keeper_exchange_begun begun;
	struct vrf_key key;
	const char *at;

	if (rig.executable)
		return; /* the end of the test stops that one */
	rig_configure();
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&rig.others[PROC_IKE], 1, &begin), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	begun = rig.frame.u.EXCHANGE_BEGUN;
	public_end(&rig.keeper.public_values);
	rig_ledger_answers(LEDGER_VRF_EPOCH_END, RC_OK);
	at = strstr(rig.frame.u.LEDGER_APPEND.body, "\"scalar\":\"");
	assert_non_null(at);
	assert_non_null(strstr(rig.frame.u.LEDGER_APPEND.body, "{\"count\":1,"));
	snprintf(hex, sizeof hex, "%.64s", at + strlen("\"scalar\":\""));
	assert_true(hex_to_bytes(scalar, sizeof scalar, hex));
	assert_int_equal(vrf_key_import(&key, scalar), RC_OK);
	assert_memory_equal(key.public_key, rig.epoch_key, sizeof rig.epoch_key);
	public_alpha(alpha, rig.epoch_key, 1);
	assert_int_equal(vrf_prove(&key, alpha, sizeof alpha, proof), RC_OK);
	assert_int_equal(vrf_proof_hash(proof, octets), RC_OK);
	assert_memory_equal(octets + PUBLIC_NONCE_AT, begun.nonce, KEEPER_NONCE_SIZE);
	assert_memory_equal(octets + PUBLIC_SPI_AT, begun.ike_spi, 8);
}

/* One source is not enough: without the other's shares an exchange waits, and is refused when that has
 * failed. */
static void both_sources_or_none(void **state)
{
	struct keeper_exchange_begin begin = { .role = KEEPER_INITIATOR, .dh_group = DH_CURVE25519 };
	struct msg_result end = { .rc = RC_DENIED, .text = "told so by the test" };
	uint64_t tag = 1;

	rig_configure();
	ipc_link_close(&rig.others[PROC_ENTROPY]);
	/* What was delivered is used up; then exchanges wait. */
	for (;; tag++) {
		assert_int_equal(ipc_send_EXCHANGE_BEGIN(&rig.others[PROC_IKE], tag, &begin), RC_OK);
		if (!rig_receive(PROC_IKE, IPC_EXCHANGE_BEGUN, 2000))
			break;
		assert_int_equal(rig.frame.u.EXCHANGE_BEGUN.rc, RC_OK);
		assert_true(tag <= 2 * LIVE_LEAVES + SHARES_MAX);
	}
	/* The third batch has taken what lies above the reserve, or was on its way to. */
	assert_in_range(tag, 2 * LIVE_LEAVES + SHARES_RESERVE + 1, 2 * LIVE_LEAVES + SHARES_MAX + 1);
	rig_link_to(PROC_ENTROPY);
	assert_int_equal(rig_leaves_pump(2), 2);
	assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(rig.frame.head.tag, tag);
	assert_int_equal(rig.frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	/* It fails: also what it gave before is not used. */
	assert_int_equal(ipc_send_ENTROPY_END(&rig.others[PROC_ENTROPY], 0, &end), RC_OK);
	rig_rounds();
	for (tag = 500; tag < 500 + SHARES_RESERVE;
		tag++) { /* two links: which is read first is nobody's promise */
		assert_int_equal(ipc_send_EXCHANGE_BEGIN(&rig.others[PROC_IKE], tag, &begin), RC_OK);
		assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_BEGUN));
		if (rig.frame.u.EXCHANGE_BEGUN.rc != RC_OK)
			break;
		usleep(20000);
	}
	assert_int_equal(rig.frame.u.EXCHANGE_BEGUN.rc, RC_AGAIN);
	assert_non_null(strstr(rig.frame.u.EXCHANGE_BEGUN.text, "the entropy process has stopped"));
	assert_non_null(strstr(rig.frame.u.EXCHANGE_BEGUN.text, "told so by the test"));
	assert_int_equal(rig.frame.u.EXCHANGE_BEGUN.ke_n, 0);
	/* A new process is a new source. */
	rig_link_to(PROC_ENTROPY);
	assert_int_equal(rig_leaves_pump(2), 2);
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&rig.others[PROC_IKE], 901, &begin), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(rig.frame.u.EXCHANGE_BEGUN.rc, RC_OK);
}

/* The kernel's source breaks: the ledger is told, and nothing is made of the other's shares alone. */
static bool broken_random(void *ret_bytes, size_t n)
{
	memset(ret_bytes, 0xaa, n);
	return true;
}

static void kernel_source_fails(void **state)
{
	struct keeper_exchange_begin begin = { .role = KEEPER_INITIATOR, .dh_group = DH_CURVE25519 };

	if (rig.executable)
		return; /* nobody can break it in there */
	rig_configure();
	rig.keeper.shares.random = broken_random;
	/* Until the next batch is begun nobody asks it for anything. */
	for (uint64_t tag = 1; tag <= LIVE_LEAVES; tag++) {
		assert_int_equal(ipc_send_EXCHANGE_BEGIN(&rig.others[PROC_IKE], tag, &begin), RC_OK);
		assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_BEGUN));
		assert_int_equal(rig.frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	}
	rig_rounds();
	rig_ledger_answers(LEDGER_LEAF_BATCH_END, RC_OK); /* of the one that is used up */
	for (uint64_t tag = 1001; tag <= 1002; tag++) {
		assert_int_equal(ipc_send_EXCHANGE_BEGIN(&rig.others[PROC_IKE], tag, &begin), RC_OK);
		assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_BEGUN));
		assert_int_equal(rig.frame.u.EXCHANGE_BEGUN.rc, RC_AGAIN);
		assert_non_null(strstr(
			rig.frame.u.EXCHANGE_BEGUN.text, "getrandom failed the repetition count test"));
	}
	rig_ledger_answers(LEDGER_ENTROPY_FAILED, RC_OK);
	assert_non_null(strstr(rig.frame.u.LEDGER_APPEND.body, "\"source\":\"getrandom\""));
	rig_ledger_answers(LEDGER_LEAF_BATCH_END, RC_OK); /* what was made of it is not used */
	assert_true(rig_silent(PROC_LEDGER));		  /* each said once */
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_start, rig_stop)
	const struct CMUnitTest tests[] = {
		T(values_wait_for_their_key),
		T(key_is_disclosed),
		T(old_key_until_the_new_one_is_entered),
		T(both_sources_or_none),
		T(kernel_source_fails),
	};
	return rig_of(argc > 1 ? argv[1] : NULL) ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
