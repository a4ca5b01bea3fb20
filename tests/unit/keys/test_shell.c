/*
 * The keeper's shell: start, configuration, a request through the core and out again, receipts, a neighbour
 * that dies. The forbidden calls are in tests/unit/sandbox.
 */
#include "rig.h"
#include "sandbox/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void key_waits_for_its_receipt(void **state)
{
	struct keeper_auth_sign q;

	rig_configure();
	q = rig_sign_request(rig_exchange());
	assert_int_equal(ipc_send_AUTH_SIGN(&rig.others[PROC_IKE], 3, &q), RC_OK);
	assert_true(rig_silent(PROC_IKE)); /* the ledger has not answered */
	rig_ledger_answers(LEDGER_KEY_USED, RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_AUTH_SIGNED));
	assert_int_equal(rig.frame.u.AUTH_SIGNED.rc, RC_OK);
	assert_int_equal(rig.frame.u.AUTH_SIGNED.method, AUTH_SHARED_KEY);
	assert_int_equal(ipc_send_AUTH_SIGN(&rig.others[PROC_IKE], 4, &q), RC_OK);
	rig_ledger_answers(LEDGER_KEY_USED, RC_LIMIT);
	assert_true(rig_next(PROC_IKE, IPC_AUTH_SIGNED));
	assert_int_equal(rig.frame.u.AUTH_SIGNED.rc, RC_DENIED);
	assert_int_equal(rig.frame.u.AUTH_SIGNED.auth_n, 0);
}

/* Each kind of private key, from its file, with what libcrypto needs for it inside the sandbox. */
static void signature_by_file(void **state)
{
	static const uint32_t last_octets[PAIR_KEYS] = { 64, 70, 102 }; /* about: DER varies by a few */

	for (size_t i = 0; i < PAIR_KEYS; i++) {
		struct keeper_auth_sign q;

		rig_key_put("shared.pem", pair_pem[0][i]);
		pair_use_signatures(&rig.pair, (enum pair_key)i, (enum pair_key)i);
		rig_configure();
		q = rig_sign_request(rig_exchange());
		q.hashes = pair_hashes;
		assert_int_equal(ipc_send_AUTH_SIGN(&rig.others[PROC_IKE], 3, &q), RC_OK);
		rig_ledger_answers(LEDGER_KEY_USED, RC_OK);
		assert_true(rig_next(PROC_IKE, IPC_AUTH_SIGNED));
		if (rig.frame.u.AUTH_SIGNED.rc != RC_OK)
			fail_msg("%s", rig.frame.u.AUTH_SIGNED.text);
		assert_int_equal(rig.frame.u.AUTH_SIGNED.method, AUTH_DIGITAL_SIGNATURE);
		assert_in_range(rig.frame.u.AUTH_SIGNED.auth_n - 1u - rig.frame.u.AUTH_SIGNED.auth[0],
			last_octets[i] - 6, last_octets[i] + 2);
	}
}

/* The ledger dies with the question in its hands, and stays away; then it is back. */
static void ledger_dies(void **state)
{
	struct keeper_auth_sign q;

	rig_configure();
	q = rig_sign_request(rig_exchange());
	assert_int_equal(ipc_send_AUTH_SIGN(&rig.others[PROC_IKE], 3, &q), RC_OK);
	rig_rounds();
	ipc_link_close(&rig.others[PROC_LEDGER]);
	assert_true(rig_next(PROC_IKE, IPC_AUTH_SIGNED));
	assert_int_equal(rig.frame.u.AUTH_SIGNED.rc, RC_DENIED);
	assert_int_equal(ipc_send_AUTH_SIGN(&rig.others[PROC_IKE], 4, &q), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_AUTH_SIGNED));
	assert_int_equal(rig.frame.u.AUTH_SIGNED.rc, RC_DENIED);
	rig_link_to(PROC_LEDGER);
	rig_ledger_answers(LEDGER_LEDGER_OUTAGE, RC_OK);
	assert_int_equal(ipc_send_AUTH_SIGN(&rig.others[PROC_IKE], 5, &q), RC_OK);
	rig_ledger_answers(LEDGER_KEY_USED, RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_AUTH_SIGNED));
	assert_int_equal(rig.frame.u.AUTH_SIGNED.rc, RC_OK);
}

static void ike_dies(void **state)
{
	struct keeper_auth_sign q;

	rig_configure();
	q = rig_sign_request(rig_exchange());
	assert_true(rig.executable || keys_count(rig.keeper.keys).exchanges == 1);
	ipc_link_close(&rig.others[PROC_IKE]);
	rig_rounds();
	assert_true(rig.executable || keys_count(rig.keeper.keys).exchanges == 0);
	rig_ledger_answers(LEDGER_KEYS_WIPED, RC_OK);
	rig_link_to(PROC_IKE);
	assert_int_equal(ipc_send_AUTH_SIGN(&rig.others[PROC_IKE], 3, &q), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_AUTH_SIGNED));
	assert_int_equal(rig.frame.u.AUTH_SIGNED.rc, RC_NOT_FOUND);
}

/* A whole tunnel through the shell: proofs, entry, hand-over, answer; and its end. */
/* Both sides prove who they are: the keeper under test is the initiator. */
static void both_prove_themselves(struct side *s, struct side *r)
{
	struct keeper_auth_verify verify = { .message_n = 28 + 64 };
	struct keeper_request q = { .op = KEEPER_AUTH_VERIFY };
	struct keeper_auth_sign sign;
	struct keeper_auth_signed auth;
	uint8_t octets[PUBLIC_SIZE];

	rig_configure();
	s->ike = rig_exchange();
	sign = rig_sign_request(s->ike);
	assert_int_equal(ipc_send_AUTH_SIGN(&rig.others[PROC_IKE], 3, &sign), RC_OK);
	rig_ledger_answers(LEDGER_KEY_USED, RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_AUTH_SIGNED));
	auth = rig.frame.u.AUTH_SIGNED;
	/* The peer takes our proof, and gives its own. */
	verify.handle = r->ike;
	verify.method = auth.method;
	verify.auth_n = auth.auth_n;
	memcpy(verify.auth, auth.auth, sizeof auth.auth);
	memcpy(verify.message, sign.message, sizeof sign.message);
	memcpy(verify.id, sign.id, sizeof sign.id);
	verify.id_n = sign.id_n;
	verify.local.addr = r->config.peers[0].local;
	verify.remote.addr = r->config.peers[0].remote;
	q.u.AUTH_VERIFY = verify;
	assert_int_equal(side_ask(r, &q), RC_OK);
	verify.local.addr = s->config.peers[0].local;
	verify.remote.addr = s->config.peers[0].remote;
	memcpy(r->message, rig.pair.spi_i, 8);
	memcpy(r->message + 8, rig.pair.spi_r, 8);
	memcpy(r->message + 28, r->begun.ke, 32);
	memcpy(r->message + 60, r->begun.nonce, 32);
	r->message_n = 28 + 64;
	assert_int_equal(pair_sign(&rig.pair, 1, &auth), RC_OK);
	verify.handle = s->ike;
	verify.method = auth.method;
	verify.auth_n = auth.auth_n;
	memcpy(verify.auth, auth.auth, sizeof auth.auth);
	memcpy(verify.message, r->message, r->message_n);
	memset(verify.id, 0, sizeof verify.id);
	memcpy(verify.id, r->id, r->id_n);
	verify.id_n = (uint16_t)r->id_n;
	assert_int_equal(ipc_send_AUTH_VERIFY(&rig.others[PROC_IKE], 4, &verify), RC_OK);
	assert_true(rig_silent(PROC_IKE));
	rig_ledger_answers(LEDGER_IKE_SA_UP, RC_OK);
	rig_derived_value(octets, 1);
	assert_memory_equal(octets + PUBLIC_NONCE_AT, s->begun.nonce, KEEPER_NONCE_SIZE);
	assert_memory_equal(octets + PUBLIC_SPI_AT, s->begun.ike_spi, 8);
	assert_true(rig_next(PROC_IKE, IPC_AUTH_VERIFIED));
	if (rig.frame.u.AUTH_VERIFIED.rc != RC_OK)
		fail_msg("%s", rig.frame.u.AUTH_VERIFIED.text);
}

static void tunnel_end_to_end(void **state)
{
	struct side *s = &rig.pair.side[0], *r = &rig.pair.side[1];
	struct keeper_child_begin begin = { .role = KEEPER_INITIATOR };
	struct keeper_child_install c;
	struct keeper_child_remove gone = { .reason = "test ends" };
	struct sa_result result = { .rc = RC_OK };
	uint8_t octets[PUBLIC_SIZE];

	both_prove_themselves(s, r);
	begin.handle = s->ike;
	assert_int_equal(ipc_send_CHILD_BEGIN(&rig.others[PROC_IKE], 5, &begin), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_CHILD_BEGUN));
	s->child = rig.frame.u.CHILD_BEGUN.child;
	s->spi_in = rig.frame.u.CHILD_BEGUN.spi_in;
	r->spi_in = 0x5555;
	rig.pair.encr = 20;
	rig.pair.bits = 256;
	c = side_install_request(&rig.pair, 0, CHILD_NONCES_OF_IKE);
	assert_int_equal(ipc_send_CHILD_INSTALL(&rig.others[PROC_IKE], 6, &c), RC_OK);
	assert_true(rig_silent(PROC_DATAPLANE)); /* not before its entry is durable */
	rig_ledger_answers(LEDGER_SA_INSTALL, RC_OK);
	rig_derived_value(octets, 2);
	assert_int_equal(load_be32(octets + PUBLIC_SPI_AT), s->spi_in);
	assert_true(rig_next(PROC_DATAPLANE, IPC_SA_INSTALL));
	assert_int_equal(rig.frame.u.SA_INSTALL.spi_in, s->spi_in);
	assert_int_equal(rig.frame.u.SA_INSTALL.key_n, 36);
	assert_true(rig_silent(PROC_IKE));
	result.spi_in = s->spi_in;
	assert_int_equal(ipc_send_SA_INSTALLED(&rig.others[PROC_DATAPLANE], 0, &result), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_CHILD_INSTALLED));
	assert_int_equal(rig.frame.head.tag, 6);
	assert_int_equal(rig.frame.u.CHILD_INSTALLED.rc, RC_OK);
	gone.child = s->child;
	gone.spi_in = s->spi_in;
	assert_int_equal(ipc_send_CHILD_REMOVE(&rig.others[PROC_IKE], 7, &gone), RC_OK);
	assert_true(rig_next(PROC_DATAPLANE, IPC_SA_REMOVE));
	rig_ledger_answers(LEDGER_SA_REMOVE, RC_OK);
	assert_int_equal(ipc_send_SA_REMOVED(&rig.others[PROC_DATAPLANE], 0, &result), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_CHILD_REMOVED));
	assert_int_equal(rig.frame.u.CHILD_REMOVED.rc, RC_OK);
}

static void wrong_known_answers(void **state)
{
	struct msg_start m = { 0 };

	if (rig.executable)
		return; /* it would end with status 1, which the end of the test does not take */
	rig_answers_give(true);
	rig_rounds();
	assert_int_equal(ipc_send_START(&rig.others[PROC_SUPERVISOR], 0, &m), RC_OK);
	rig_rounds();
	assert_int_equal(rig.child.status, 1);
	assert_true(rig_silent(PROC_SUPERVISOR)); /* not READY */
}

static void bad_configuration(void **state)
{
	struct msg_snapshot m = { .generation = 2, .bytes = 4096 };
	static const char zero[4096];
	int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	rig_configure();
	assert_int_equal(write(fd, zero, sizeof zero), (ssize_t)sizeof zero);
	assert_int_equal(ipc_send_SNAPSHOT(&rig.others[PROC_CONTROL], 1, &m, fd), RC_OK);
	assert_true(rig_next(PROC_CONTROL, IPC_SNAPSHOT_TAKEN));
	assert_int_equal(rig.frame.u.SNAPSHOT_TAKEN.rc, RC_DENIED);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	assert_int_equal(ipc_send_SNAPSHOT(&rig.others[PROC_CONTROL], 2, &m, fd), RC_OK);
	assert_true(rig_next(PROC_CONTROL, IPC_SNAPSHOT_TAKEN));
	assert_int_not_equal(rig.frame.u.SNAPSHOT_TAKEN.rc, RC_OK);
	assert_true(rig.frame.u.SNAPSHOT_TAKEN.text[0] != 0);
	close(fd);
	/* The previous one is still in use. */
	assert_true(rig.executable || rig.keeper.snapshot.snapshot);
	rig_exchange();
}

/* Keys are loaded again with each configuration. */
static void keys_shown(void **state)
{
	static const char *const shown[] = { "\"late\"", "\"shared\"", "bad.psk" };
	int log = memfd_create("log", MFD_CLOEXEC), err = dup(STDERR_FILENO);
	struct msg_show show = { .table = SHOW_KEYS };
	char said[4096] = "";

	rig_key_put("late.psk", "0x00112233445566778899");
	rig_key_put("bad.psk", "short");
	assert_true(dup2(log, STDERR_FILENO) >= 0);
	rig_configure();
	assert_true(dup2(err, STDERR_FILENO) >= 0);
	assert_true(pread(log, said, sizeof said - 1, 0) >= 0);
	close(log);
	close(err);
	assert_true(rig.executable || strstr(said, "'late.psk' has fewer than 20 octets"));
	assert_int_equal(ipc_send_SHOW(&rig.others[PROC_CONTROL], 9, &show), RC_OK);
	assert_true(rig_next(PROC_CONTROL, IPC_SHOW_ROW));
	assert_int_equal(rig.frame.head.tag, 9);
	rig.frame.u.SHOW_ROW.json[rig.frame.u.SHOW_ROW.n] = '\0';
	for (size_t i = 0; i < COUNT_OF(shown); i++)
		assert_non_null(strstr(rig.frame.u.SHOW_ROW.json, shown[i]));
	assert_null(strstr(rig.frame.u.SHOW_ROW.json, "secret of"));
	assert_null(strstr(rig.frame.u.SHOW_ROW.json, "0011"));
	assert_true(rig_next(PROC_CONTROL, IPC_SHOW_END));
	assert_int_equal(rig.frame.u.SHOW_END.rc, RC_OK);
	assert_int_equal(rig.frame.u.SHOW_END.count, 3);
	show.table = SHOW_ROUTES;
	assert_int_equal(ipc_send_SHOW(&rig.others[PROC_CONTROL], 10, &show), RC_OK);
	assert_true(rig_next(PROC_CONTROL, IPC_SHOW_END));
	assert_int_equal(rig.frame.u.SHOW_END.rc, RC_UNSUPPORTED);
}

static void no_key_directory(void **state)
{
	struct msg_start m = { 0 };

	if (rig.executable)
		return; /* it would end with status 1, which the end of the test does not take */
	close(rig.keeper.key_dir);
	rig.keeper.key_dir = -1;
	assert_int_equal(ipc_send_START(&rig.others[PROC_SUPERVISOR], 0, &m), RC_OK);
	rig_rounds();
	assert_int_equal(rig.child.status, 1);
	rig.keeper.key_dir = open(rig.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Above its limit the keeper would refuse peers before its own limits do. */
static void locked_memory_is_below_its_limit(void **state)
{
	size_t n, page = (size_t)sysconf(_SC_PAGESIZE);

	if (rig.executable)
		return;
	keys_memory(rig.keeper.keys, &n);
	/* Each of the three may begin and end within a page. */
	assert_true(n + sizeof rig.keeper + STACK_LOCKED + 6 * page <=
		    confinements[PROC_KEEPER].locked_bytes_max);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_start, rig_stop)
	const struct CMUnitTest tests[] = {
		T(key_waits_for_its_receipt),
		T(signature_by_file),
		T(ledger_dies),
		T(ike_dies),
		T(tunnel_end_to_end),
		T(bad_configuration),
		T(keys_shown),
		T(no_key_directory),
		T(locked_memory_is_below_its_limit),
		T(wrong_known_answers),
	};
	return rig_of(argc > 1 ? argv[1] : NULL) ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
