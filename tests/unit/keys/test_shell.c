/*
 * The keeper's shell over real links, with this test as supervisor, ike, ledger, data plane and control:
 * start, configuration, a request through the core and out again, receipts, a neighbour that dies. No sandbox
 * here: tests/unit/sandbox has it.
 */
#include "proc/keeper/shell.h"

#include "ledger/types.h"
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct keeper keeper;
static struct child child;
static struct ipc_link others[PROC_COUNT]; /* our ends */
static struct ipc_frame frame;
static char dir[] = "/tmp/plaingate-keeper-XXXXXX";
static struct pair pair; /* side 0 lends its configuration, side 1 is the peer that talks to the keeper */

/* The executable under test, its process and its user; NULL: the shell in here. */
static const char *executable;
static const struct passwd *user;
static pid_t pid;

static uint8_t epoch_key[VRF_PUBLIC_SIZE]; /* of the keeper's public values */
static bool epoch_known;

#define ANSWER_MS  3000 /* for an answer that must come */
#define SILENCE_MS 100	/* for one that must not */

#define LIVE_LEAVES (LEAVES_N - LEAVES_OPENED)

static void rounds(void)
{
	if (executable)
		return;
	for (int i = 0; i < 8; i++)
		assert_int_equal(loop_once(&child.loop, 0, NULL), RC_OK);
}

static bool receive(enum proc as, enum ipc_id id, int wait_ms)
{
	struct pollfd p = { .fd = others[as].fd, .events = POLLIN };
	enum rc rc;

	rounds();
	if (executable)
		poll(&p, 1, wait_ms);
	rc = ipc_recv(&others[as], &frame, NULL);
	if (rc == RC_AGAIN)
		return false;
	assert_int_equal(rc, RC_OK);
	if (frame.head.id != (uint16_t)id)
		fail_msg("%s came, %s was expected", ipc_name((enum ipc_id)frame.head.id), ipc_name(id));
	return true;
}

/* The next frame to `as`, which must be `id`; false when none comes. */
static bool next(enum proc as, enum ipc_id id)
{
	return receive(as, id, ANSWER_MS);
}

static bool silent(enum proc as)
{
	return !receive(as, IPC_LINK, SILENCE_MS); /* no message that a keeper could send */
}

static void link_to(enum proc peer)
{
	struct msg_link m = { .peer = (uint32_t)peer };
	int fds[2];

	ipc_link_close(&others[peer]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&others[peer], fds[0], peer, PROC_KEEPER);
	assert_int_equal(ipc_send_LINK(&others[PROC_SUPERVISOR], 0, &m, fds[1]), RC_OK);
	close(fds[1]);
	rounds();
}

static void key_put(const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	if (executable)
		assert_int_equal(fchown(fd, user->pw_uid, user->pw_gid), 0);
	close(fd);
}

/* What the supervisor does: the link on file 3, nothing else open. */
static void execute(int link_fd)
{
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0) {
		close(link_fd);
		return;
	}
	if (dup2(link_fd, CHILD_SUPERVISOR_FD) < 0) /* dup2 takes close-on-exec away */
		_exit(126);
	closefrom(CHILD_SUPERVISOR_FD + 1);
	execl(executable, executable, (char *)NULL);
	_exit(127);
}

/* share/known-answers.json as the supervisor hands it over; `wrong`: with another digit in its last answer.
 */
static void answers_give(bool wrong)
{
	struct msg_resource m = { .kind = RESOURCE_KNOWN_ANSWERS };
	int file = open("share/known-answers.json", O_RDONLY | O_CLOEXEC);
	int fd = memfd_create("known-answers", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char text[16384];
	ssize_t n = read(file, text, sizeof text);

	assert_true(n > 100 && n < (ssize_t)sizeof text);
	close(file);
	if (wrong)
		text[n - 7] = text[n - 7] == '1' ? '2' : '1';
	assert_int_equal(write(fd, text, (size_t)n), n);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	assert_int_equal(ipc_send_RESOURCE(&others[PROC_SUPERVISOR], 0, &m, fd), RC_OK);
	close(fd);
}

/* Shares of the entropy process, as many as the frame asks for; here anything that is not constant. */
static void shares_answer(void)
{
	static uint64_t drawn;
	struct msg_entropy_share m;
	uint32_t count;

	assert_int_equal(frame.head.id, IPC_ENTROPY_ASK);
	count = frame.u.ENTROPY_ASK.count;
	assert_true(count > 0 && count <= SHARES_MAX);
	while (count-- > 0) {
		sha256(m.share, &drawn, sizeof drawn);
		drawn++;
		assert_int_equal(ipc_send_ENTROPY_SHARE(&others[PROC_ENTROPY], 0, &m), RC_OK);
		if (count % 4 == 0)
			rounds();
	}
}

static void shares_give(void)
{
	assert_true(next(PROC_ENTROPY, IPC_ENTROPY_ASK));
	shares_answer();
}

static int start(void **state)
{
	struct msg_resource resource = { .kind = RESOURCE_KEY_DIR };
	struct msg_start m = { 0 };
	int fds[2], fd;

	strcpy(dir + sizeof dir - 7, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	if (executable)
		assert_int_equal(chown(dir, user->pw_uid, user->pw_gid), 0);
	key_put("shared.psk", "a secret of the two\n");
	pair_init(&pair);
	epoch_known = false;
	for (int i = 0; i < PROC_COUNT; i++)
		others[i] = IPC_LINK_NONE;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&others[PROC_SUPERVISOR], fds[0], PROC_SUPERVISOR, PROC_KEEPER);
	if (executable)
		execute(fds[1]);
	else
		assert_int_equal(keeper_init(&keeper, &child, fds[1], NULL), RC_OK);
	link_to(PROC_IKE);
	link_to(PROC_LEDGER);
	link_to(PROC_DATAPLANE);
	link_to(PROC_CONTROL);
	link_to(PROC_ENTROPY);
	answers_give(false);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(ipc_send_RESOURCE(&others[PROC_SUPERVISOR], 0, &resource, fd), RC_OK);
	close(fd);
	assert_int_equal(ipc_send_START(&others[PROC_SUPERVISOR], 0, &m), RC_OK);
	assert_true(next(PROC_SUPERVISOR, IPC_READY));
	shares_give();
	return 0;
}

static void end_shell(void)
{
	keys_free(keeper.keys);
	leaves_free(&keeper.leaves);
	snapshot_file_done(&keeper.snapshot);
	close(keeper.key_dir);
	close(keeper.answers);
	for (int i = 0; i < PROC_COUNT; i++)
		port_close(&child.ports[i]);
	ledger_client_done(&child.ledger);
	loop_done(&child.loop);
}

/* In order, and not by a signal: SIGSYS would be a call that the sandbox does not allow. */
static void end_process(void)
{
	struct msg_empty m = { 0 };
	int status = 0;

	assert_int_equal(ipc_send_STOP(&others[PROC_SUPERVISOR], 0, &m), RC_OK);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("the keeper ended with status %#x", (unsigned)status);
}

static int stop(void **state)
{
	char command[128];

	if (executable)
		end_process();
	else
		end_shell();
	for (int i = 0; i < PROC_COUNT; i++)
		ipc_link_close(&others[i]);
	pair_done(&pair);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command);
}

/* An entry of this type came to the ledger; it answers rc. */
static void ledger_answers(enum ledger_type type, enum rc rc)
{
	struct msg_ledger_receipt m = { .rc = (uint32_t)rc, .text = "by the test" };
	struct err e = { 0 };

	assert_true(next(PROC_LEDGER, IPC_LEDGER_APPEND));
	if (frame.u.LEDGER_APPEND.type != type || ledger_body_check(type, frame.u.LEDGER_APPEND.body,
							  frame.u.LEDGER_APPEND.body_n, &e) != RC_OK)
		fail_msg("%s: %s", e.text, frame.u.LEDGER_APPEND.body);
	assert_int_equal(ipc_send_LEDGER_RECEIPT(&others[PROC_LEDGER], frame.head.tag, &m), RC_OK);
	rounds();
}

/* The key of public values is in the ledger before the first of them leaves. */
static void epoch_entered(void)
{
	static const char head[] = "{\"key\":\"";
	const char *body = frame.u.LEDGER_APPEND.body;
	char hex[2 * VRF_PUBLIC_SIZE + 1];

	ledger_answers(LEDGER_VRF_EPOCH, RC_OK);
	assert_memory_equal(body, head, sizeof head - 1);
	snprintf(hex, sizeof hex, "%.64s", body + sizeof head - 1);
	assert_true(hex_to_bytes(epoch_key, sizeof epoch_key, hex));
	epoch_known = true;
}

/* The entry that came last proves what left: nonce and SPI are cuts of the one output of the epoch's key. */
static void derived_value(uint8_t ret_octets[PUBLIC_SIZE], uint64_t count)
{
	uint8_t alpha[PUBLIC_ALPHA_SIZE], proof[PUBLIC_PROOF_SIZE];
	char hex[2 * PUBLIC_PROOF_SIZE + 1], stated[32];
	const char *at = strstr(frame.u.LEDGER_APPEND.body, "\"vrf_proof\":\"");

	snprintf(stated, sizeof stated, "\"vrf_count\":%llu,", (unsigned long long)count);
	assert_non_null(at);
	assert_non_null(strstr(frame.u.LEDGER_APPEND.body, stated));
	snprintf(hex, sizeof hex, "%.160s", at + strlen("\"vrf_proof\":\""));
	assert_true(hex_to_bytes(proof, sizeof proof, hex));
	public_alpha(alpha, epoch_key, count);
	assert_int_equal(vrf_verify(epoch_key, alpha, sizeof alpha, proof, ret_octets), RC_OK);
}

/*
 * What keeps a keeper's leaves coming, until nothing more of it comes: shares that are asked for are given,
 * entries about batches are taken. Returns how many batches were opened as a whole.
 */
static unsigned leaves_pump(int silence_ms)
{
	struct msg_ledger_receipt yes = { .rc = RC_OK };
	const struct msg_cosigned nobody = { 0 };
	unsigned opened = 0;

	for (int quiet = 0; quiet < silence_ms;) {
		struct pollfd p[2] = { { .fd = others[PROC_LEDGER].fd, .events = POLLIN },
			{ .fd = others[PROC_ENTROPY].fd, .events = POLLIN } };
		bool any = false;

		rounds();
		poll(p, 2, executable ? 5 : 0);
		if (ipc_link_up(&others[PROC_ENTROPY]) &&
			ipc_recv(&others[PROC_ENTROPY], &frame, NULL) == RC_OK) {
			shares_answer();
			any = true;
		}
		if (ipc_recv(&others[PROC_LEDGER], &frame, NULL) == RC_OK) {
			any = true;
			quiet = 0;
			if (frame.head.id == IPC_COSIGNED_ASK) { /* there are no witnesses */
				assert_int_equal(
					ipc_send_COSIGNED(&others[PROC_LEDGER], frame.head.tag, &nobody),
					RC_OK);
				continue;
			}
			assert_int_equal(frame.head.id, IPC_LEDGER_APPEND);
			uint32_t type = frame.u.LEDGER_APPEND.type;
			if (type != LEDGER_LEAF_BATCH && type != LEDGER_LEAF_HASHES &&
				type != LEDGER_LEAF_CHALLENGE && type != LEDGER_LEAVES_OPENED &&
				type != LEDGER_LEAF_BATCH_END)
				fail_msg("%s came", ledger_type_name((enum ledger_type)type));
			assert_int_equal(ledger_body_check((enum ledger_type)type, frame.u.LEDGER_APPEND.body,
						 frame.u.LEDGER_APPEND.body_n, NULL),
				RC_OK);
			opened += type == LEDGER_LEAVES_OPENED;
			assert_int_equal(
				ipc_send_LEDGER_RECEIPT(&others[PROC_LEDGER], frame.head.tag, &yes), RC_OK);
		}
		quiet = any ? 0 : quiet + 5;
	}
	return opened / 2;
}

static void snapshot_give(void)
{
	struct pair_config *c = &pair.side[0].config;
	struct msg_snapshot m = { .generation = 1, .bytes = sizeof *c };
	int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	for (int i = 0; i < PAIR_IKE_PROPOSALS; i++) /* one group: leaves cost less */
		c->ike[i].dh = DH_CURVE25519;
	for (int i = 0; i < PAIR_ESP_PROPOSALS; i++)
		c->esp[i].dh = c->esp[i].dh == DH_NONE ? DH_NONE : DH_CURVE25519;
	for (int i = 0; i < 2; i++) /* the model allows a peer fewer than the tests of the core use */
		c->peers[i].proposals.count = PROPOSALS_EACH_MAX;
	assert_int_equal(write(fd, c, sizeof *c), (ssize_t)sizeof *c);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	assert_int_equal(ipc_send_SNAPSHOT(&others[PROC_CONTROL], 77, &m, fd), RC_OK);
	close(fd);
	assert_true(next(PROC_CONTROL, IPC_SNAPSHOT_TAKEN));
	assert_int_equal(frame.head.tag, 77);
	if (frame.u.SNAPSHOT_TAKEN.rc != RC_OK)
		fail_msg("%s", frame.u.SNAPSHOT_TAKEN.text);
}

static void configure(void)
{
	bool first = !epoch_known;

	if (first)
		epoch_entered();
	snapshot_give();
	/* One batch to use, and the next one. */
	if (first)
		assert_int_equal(leaves_pump(60), 2);
}

/* The keeper is side 0 and the initiator; side 1 is a core in this test. Until both have keys. */
static uint32_t exchange(void)
{
	struct keeper_exchange_begin begin = { .role = KEEPER_INITIATOR, .dh_group = DH_CURVE25519 };
	struct keeper_request q = { .op = KEEPER_EXCHANGE_BEGIN };
	struct keeper_exchange_finish *f = &q.u.EXCHANGE_FINISH;
	struct side *s = &pair.side[0], *r = &pair.side[1];

	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&others[PROC_IKE], 1, &begin), RC_OK);
	assert_true(next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(frame.head.tag, 1);
	assert_int_equal(frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	s->begun = frame.u.EXCHANGE_BEGUN;
	q.u.EXCHANGE_BEGIN = begin;
	q.u.EXCHANGE_BEGIN.role = KEEPER_RESPONDER;
	assert_int_equal(side_ask(r, &q), RC_OK);
	r->begun = r->reply.u.EXCHANGE_BEGIN;
	r->ike = r->begun.handle;
	memcpy(pair.spi_i, s->begun.ike_spi, 8);
	memcpy(pair.spi_r, r->begun.ike_spi, 8);
	q = (struct keeper_request){ .op = KEEPER_EXCHANGE_FINISH };
	f->prf = 5;
	f->encr = 20;
	f->encr_bits = 256;
	f->peer_nonce_n = f->peer_ke_n = 32;
	memcpy(f->spi_i, pair.spi_i, 8);
	memcpy(f->spi_r, pair.spi_r, 8);
	f->handle = r->ike;
	memcpy(f->peer_nonce, s->begun.nonce, 32);
	memcpy(f->peer_ke, s->begun.ke, 32);
	assert_int_equal(side_ask(r, &q), RC_OK);
	r->finished = r->reply.u.EXCHANGE_FINISH;
	f->handle = s->begun.handle;
	memcpy(f->peer_nonce, r->begun.nonce, 32);
	memcpy(f->peer_ke, r->begun.ke, 32);
	assert_int_equal(ipc_send_EXCHANGE_FINISH(&others[PROC_IKE], 2, f), RC_OK);
	assert_true(next(PROC_IKE, IPC_EXCHANGE_FINISHED));
	assert_int_equal(frame.u.EXCHANGE_FINISHED.rc, RC_OK);
	assert_memory_equal(frame.u.EXCHANGE_FINISHED.sk_ei, r->finished.sk_ei, 36);
	return s->begun.handle;
}

static struct keeper_auth_sign sign_request(uint32_t handle)
{
	struct side *s = &pair.side[0];
	struct keeper_auth_sign q = { .handle = handle, .hashes = 0, .message_n = 28 + 64 };

	memcpy(q.message, pair.spi_i, 8);
	memcpy(q.message + 28, s->begun.ke, 32);
	memcpy(q.message + 60, s->begun.nonce, 32);
	memcpy(q.id, s->id, s->id_n);
	q.id_n = (uint16_t)s->id_n;
	return q;
}

static void key_waits_for_its_receipt(void **state)
{
	struct keeper_auth_sign q;

	configure();
	q = sign_request(exchange());
	assert_int_equal(ipc_send_AUTH_SIGN(&others[PROC_IKE], 3, &q), RC_OK);
	assert_true(silent(PROC_IKE)); /* the ledger has not answered */
	ledger_answers(LEDGER_KEY_USED, RC_OK);
	assert_true(next(PROC_IKE, IPC_AUTH_SIGNED));
	assert_int_equal(frame.u.AUTH_SIGNED.rc, RC_OK);
	assert_int_equal(frame.u.AUTH_SIGNED.method, AUTH_SHARED_KEY);
	assert_int_equal(ipc_send_AUTH_SIGN(&others[PROC_IKE], 4, &q), RC_OK);
	ledger_answers(LEDGER_KEY_USED, RC_LIMIT);
	assert_true(next(PROC_IKE, IPC_AUTH_SIGNED));
	assert_int_equal(frame.u.AUTH_SIGNED.rc, RC_DENIED);
	assert_int_equal(frame.u.AUTH_SIGNED.auth_n, 0);
}

/* Each kind of private key, from its file, with what libcrypto needs for it inside the sandbox. */
static void signature_by_file(void **state)
{
	static const uint32_t last_octets[PAIR_KEYS] = { 64, 70, 102 }; /* about: DER varies by a few */

	for (size_t i = 0; i < PAIR_KEYS; i++) {
		struct keeper_auth_sign q;

		key_put("shared.pem", pair_pem[0][i]);
		pair_use_signatures(&pair, (enum pair_key)i, (enum pair_key)i);
		configure();
		q = sign_request(exchange());
		q.hashes = pair_hashes;
		assert_int_equal(ipc_send_AUTH_SIGN(&others[PROC_IKE], 3, &q), RC_OK);
		ledger_answers(LEDGER_KEY_USED, RC_OK);
		assert_true(next(PROC_IKE, IPC_AUTH_SIGNED));
		if (frame.u.AUTH_SIGNED.rc != RC_OK)
			fail_msg("%s", frame.u.AUTH_SIGNED.text);
		assert_int_equal(frame.u.AUTH_SIGNED.method, AUTH_DIGITAL_SIGNATURE);
		assert_in_range(frame.u.AUTH_SIGNED.auth_n - 1u - frame.u.AUTH_SIGNED.auth[0],
			last_octets[i] - 6, last_octets[i] + 2);
	}
}

/* The ledger dies with the question in its hands, and stays away; then it is back. */
static void ledger_dies(void **state)
{
	struct keeper_auth_sign q;

	configure();
	q = sign_request(exchange());
	assert_int_equal(ipc_send_AUTH_SIGN(&others[PROC_IKE], 3, &q), RC_OK);
	rounds();
	ipc_link_close(&others[PROC_LEDGER]);
	assert_true(next(PROC_IKE, IPC_AUTH_SIGNED));
	assert_int_equal(frame.u.AUTH_SIGNED.rc, RC_DENIED);
	assert_int_equal(ipc_send_AUTH_SIGN(&others[PROC_IKE], 4, &q), RC_OK);
	assert_true(next(PROC_IKE, IPC_AUTH_SIGNED));
	assert_int_equal(frame.u.AUTH_SIGNED.rc, RC_DENIED);
	link_to(PROC_LEDGER);
	ledger_answers(LEDGER_LEDGER_OUTAGE, RC_OK);
	assert_int_equal(ipc_send_AUTH_SIGN(&others[PROC_IKE], 5, &q), RC_OK);
	ledger_answers(LEDGER_KEY_USED, RC_OK);
	assert_true(next(PROC_IKE, IPC_AUTH_SIGNED));
	assert_int_equal(frame.u.AUTH_SIGNED.rc, RC_OK);
}

static void ike_dies(void **state)
{
	struct keeper_auth_sign q;

	configure();
	q = sign_request(exchange());
	assert_true(executable || keys_count(keeper.keys).exchanges == 1);
	ipc_link_close(&others[PROC_IKE]);
	rounds();
	assert_true(executable || keys_count(keeper.keys).exchanges == 0);
	ledger_answers(LEDGER_KEYS_WIPED, RC_OK);
	link_to(PROC_IKE);
	assert_int_equal(ipc_send_AUTH_SIGN(&others[PROC_IKE], 3, &q), RC_OK);
	assert_true(next(PROC_IKE, IPC_AUTH_SIGNED));
	assert_int_equal(frame.u.AUTH_SIGNED.rc, RC_NOT_FOUND);
}

/* A whole tunnel through the shell: proofs, entry, hand-over, answer; and its end. */
static void tunnel_end_to_end(void **state)
{
	struct side *s = &pair.side[0], *r = &pair.side[1];
	struct keeper_auth_verify verify = { .message_n = 28 + 64 };
	struct keeper_request q = { .op = KEEPER_AUTH_VERIFY };
	struct keeper_child_begin begin = { .role = KEEPER_INITIATOR };
	struct keeper_auth_sign sign;
	struct keeper_auth_signed auth;
	struct keeper_child_install c;
	struct keeper_child_remove gone = { .reason = "test ends" };
	struct sa_result result = { .rc = RC_OK };
	uint8_t octets[PUBLIC_SIZE];

	configure();
	s->ike = exchange();
	sign = sign_request(s->ike);
	assert_int_equal(ipc_send_AUTH_SIGN(&others[PROC_IKE], 3, &sign), RC_OK);
	ledger_answers(LEDGER_KEY_USED, RC_OK);
	assert_true(next(PROC_IKE, IPC_AUTH_SIGNED));
	auth = frame.u.AUTH_SIGNED;
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
	memcpy(r->message, pair.spi_i, 8);
	memcpy(r->message + 8, pair.spi_r, 8);
	memcpy(r->message + 28, r->begun.ke, 32);
	memcpy(r->message + 60, r->begun.nonce, 32);
	r->message_n = 28 + 64;
	assert_int_equal(pair_sign(&pair, 1, &auth), RC_OK);
	verify.handle = s->ike;
	verify.method = auth.method;
	verify.auth_n = auth.auth_n;
	memcpy(verify.auth, auth.auth, sizeof auth.auth);
	memcpy(verify.message, r->message, r->message_n);
	memset(verify.id, 0, sizeof verify.id);
	memcpy(verify.id, r->id, r->id_n);
	verify.id_n = (uint16_t)r->id_n;
	assert_int_equal(ipc_send_AUTH_VERIFY(&others[PROC_IKE], 4, &verify), RC_OK);
	assert_true(silent(PROC_IKE));
	ledger_answers(LEDGER_IKE_SA_UP, RC_OK);
	derived_value(octets, 1);
	assert_memory_equal(octets + PUBLIC_NONCE_AT, s->begun.nonce, KEEPER_NONCE_SIZE);
	assert_memory_equal(octets + PUBLIC_SPI_AT, s->begun.ike_spi, 8);
	assert_true(next(PROC_IKE, IPC_AUTH_VERIFIED));
	if (frame.u.AUTH_VERIFIED.rc != RC_OK)
		fail_msg("%s", frame.u.AUTH_VERIFIED.text);
	/* The child. */
	begin.handle = s->ike;
	assert_int_equal(ipc_send_CHILD_BEGIN(&others[PROC_IKE], 5, &begin), RC_OK);
	assert_true(next(PROC_IKE, IPC_CHILD_BEGUN));
	s->child = frame.u.CHILD_BEGUN.child;
	s->spi_in = frame.u.CHILD_BEGUN.spi_in;
	r->spi_in = 0x5555;
	pair.encr = 20;
	pair.bits = 256;
	c = side_install_request(&pair, 0, CHILD_NONCES_OF_IKE);
	assert_int_equal(ipc_send_CHILD_INSTALL(&others[PROC_IKE], 6, &c), RC_OK);
	assert_true(silent(PROC_DATAPLANE)); /* not before its entry is durable */
	ledger_answers(LEDGER_SA_INSTALL, RC_OK);
	derived_value(octets, 2);
	assert_int_equal(load_be32(octets + PUBLIC_SPI_AT), s->spi_in);
	assert_true(next(PROC_DATAPLANE, IPC_SA_INSTALL));
	assert_int_equal(frame.u.SA_INSTALL.spi_in, s->spi_in);
	assert_int_equal(frame.u.SA_INSTALL.key_n, 36);
	assert_true(silent(PROC_IKE));
	result.spi_in = s->spi_in;
	assert_int_equal(ipc_send_SA_INSTALLED(&others[PROC_DATAPLANE], 0, &result), RC_OK);
	assert_true(next(PROC_IKE, IPC_CHILD_INSTALLED));
	assert_int_equal(frame.head.tag, 6);
	assert_int_equal(frame.u.CHILD_INSTALLED.rc, RC_OK);
	gone.child = s->child;
	gone.spi_in = s->spi_in;
	assert_int_equal(ipc_send_CHILD_REMOVE(&others[PROC_IKE], 7, &gone), RC_OK);
	assert_true(next(PROC_DATAPLANE, IPC_SA_REMOVE));
	ledger_answers(LEDGER_SA_REMOVE, RC_OK);
	assert_int_equal(ipc_send_SA_REMOVED(&others[PROC_DATAPLANE], 0, &result), RC_OK);
	assert_true(next(PROC_IKE, IPC_CHILD_REMOVED));
	assert_int_equal(frame.u.CHILD_REMOVED.rc, RC_OK);
}

/* No public value leaves before its key is in the ledger; when the ledger refuses it, nothing is begun. */
static void values_wait_for_their_key(void **state)
{
	struct msg_ledger_receipt no = { .rc = RC_LIMIT, .text = "by the test" };
	uint64_t epoch_tag;
	struct keeper_exchange_begin begin = { .role = KEEPER_INITIATOR, .dh_group = DH_CURVE25519 };

	/* The entry of the key is the first one; its answer is held back. */
	assert_true(next(PROC_LEDGER, IPC_LEDGER_APPEND));
	assert_int_equal(frame.u.LEDGER_APPEND.type, LEDGER_VRF_EPOCH);
	epoch_tag = frame.head.tag;
	snapshot_give();
	assert_int_equal(leaves_pump(60), 2);
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&others[PROC_IKE], 1, &begin), RC_OK);
	assert_true(silent(PROC_IKE));
	assert_int_equal(ipc_send_LEDGER_RECEIPT(&others[PROC_LEDGER], epoch_tag, &no), RC_OK);
	rounds();
	assert_true(next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(frame.u.EXCHANGE_BEGUN.rc, RC_AGAIN);
	assert_int_equal(frame.u.EXCHANGE_BEGUN.ke_n, 0);
	/* Each further one asks again, with a key that was never shown. So many wait, one more does not. */
	for (uint64_t tag = 2; tag <= PUBLIC_WAITING_MAX + 1; tag++)
		assert_int_equal(ipc_send_EXCHANGE_BEGIN(&others[PROC_IKE], tag, &begin), RC_OK);
	assert_true(silent(PROC_IKE));
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&others[PROC_IKE], 1000, &begin), RC_OK);
	assert_true(next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(frame.head.tag, 1000);
	assert_int_not_equal(frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	epoch_entered();
	for (uint64_t tag = 2; tag <= PUBLIC_WAITING_MAX + 1; tag++) {
		assert_true(next(PROC_IKE, IPC_EXCHANGE_BEGUN));
		assert_int_equal(frame.head.tag, tag);
		assert_int_equal(frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	}
}

/* At the end of an epoch the key stays in use until the next one's entry is durable: a full ledger does not stop
 * rekeys. */
static void old_key_until_the_new_one_stands(void **state)
{
	struct keeper_exchange_begin begin = { .role = KEEPER_RESPONDER, .dh_group = DH_CURVE25519 };
	struct public_source *p = &keeper.public_values;

	if (executable)
		return; /* it would take all the values of an epoch */
	configure();
	p->count = PUBLIC_EPOCH_COUNT;
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&others[PROC_IKE], 1, &begin), RC_OK);
	assert_true(next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	ledger_answers(LEDGER_VRF_EPOCH, RC_LIMIT);
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&others[PROC_IKE], 2, &begin), RC_OK);
	assert_true(next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	assert_memory_equal(p->key.public_key, epoch_key, sizeof epoch_key);
	assert_true(silent(PROC_LEDGER));
	p->count = PUBLIC_EPOCH_COUNT + PUBLIC_CHANGE_EVERY;
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&others[PROC_IKE], 3, &begin), RC_OK);
	assert_true(next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	ledger_answers(LEDGER_VRF_EPOCH, RC_OK);
	ledger_answers(LEDGER_VRF_EPOCH_END, RC_OK);
	assert_memory_not_equal(p->key.public_key, epoch_key, sizeof epoch_key);
	assert_int_equal(p->count, 0);
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&others[PROC_IKE], 4, &begin), RC_OK);
	assert_true(next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	assert_int_equal(p->count, 1);
}

/* At an orderly end the key is disclosed: also what exchanges without an entry showed can be recomputed. */
static void key_is_laid_open(void **state)
{
	struct keeper_exchange_begin begin = { .role = KEEPER_RESPONDER, .dh_group = DH_CURVE25519 };
	uint8_t alpha[PUBLIC_ALPHA_SIZE], proof[PUBLIC_PROOF_SIZE], octets[PUBLIC_SIZE],
		scalar[VRF_SCALAR_SIZE];
	char hex[2 * VRF_SCALAR_SIZE + 1];
	struct keeper_exchange_begun begun;
	struct vrf_key key;
	const char *at;

	if (executable)
		return; /* the end of the test stops that one */
	configure();
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&others[PROC_IKE], 1, &begin), RC_OK);
	assert_true(next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	begun = frame.u.EXCHANGE_BEGUN;
	public_end(&keeper.public_values);
	ledger_answers(LEDGER_VRF_EPOCH_END, RC_OK);
	at = strstr(frame.u.LEDGER_APPEND.body, "\"scalar\":\"");
	assert_non_null(at);
	assert_non_null(strstr(frame.u.LEDGER_APPEND.body, "{\"count\":1,"));
	snprintf(hex, sizeof hex, "%.64s", at + strlen("\"scalar\":\""));
	assert_true(hex_to_bytes(scalar, sizeof scalar, hex));
	assert_int_equal(vrf_key_import(&key, scalar), RC_OK);
	assert_memory_equal(key.public_key, epoch_key, sizeof epoch_key);
	public_alpha(alpha, epoch_key, 1);
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

	configure();
	ipc_link_close(&others[PROC_ENTROPY]);
	/* What was delivered is used up; then exchanges wait. */
	for (;; tag++) {
		assert_int_equal(ipc_send_EXCHANGE_BEGIN(&others[PROC_IKE], tag, &begin), RC_OK);
		if (!receive(PROC_IKE, IPC_EXCHANGE_BEGUN, 200))
			break;
		assert_int_equal(frame.u.EXCHANGE_BEGUN.rc, RC_OK);
		assert_true(tag <= 2 * LIVE_LEAVES + SHARES_MAX);
	}
	/* The third batch has taken what lies above the reserve, or was on its way to. */
	assert_in_range(tag, 2 * LIVE_LEAVES + SHARES_RESERVE + 1, 2 * LIVE_LEAVES + SHARES_MAX + 1);
	link_to(PROC_ENTROPY);
	assert_int_equal(leaves_pump(60), 2);
	assert_true(next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(frame.head.tag, tag);
	assert_int_equal(frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	/* It fails: also what it gave before is not used. */
	assert_int_equal(ipc_send_ENTROPY_END(&others[PROC_ENTROPY], 0, &end), RC_OK);
	rounds();
	for (tag = 500; tag < 500 + SHARES_RESERVE;
		tag++) { /* two links: which is read first is nobody's promise */
		assert_int_equal(ipc_send_EXCHANGE_BEGIN(&others[PROC_IKE], tag, &begin), RC_OK);
		assert_true(next(PROC_IKE, IPC_EXCHANGE_BEGUN));
		if (frame.u.EXCHANGE_BEGUN.rc != RC_OK)
			break;
		usleep(20000);
	}
	assert_int_equal(frame.u.EXCHANGE_BEGUN.rc, RC_AGAIN);
	assert_non_null(strstr(frame.u.EXCHANGE_BEGUN.text, "the entropy process has stopped"));
	assert_non_null(strstr(frame.u.EXCHANGE_BEGUN.text, "told so by the test"));
	assert_int_equal(frame.u.EXCHANGE_BEGUN.ke_n, 0);
	/* A new process is a new source. */
	link_to(PROC_ENTROPY);
	assert_int_equal(leaves_pump(60), 2);
	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&others[PROC_IKE], 901, &begin), RC_OK);
	assert_true(next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(frame.u.EXCHANGE_BEGUN.rc, RC_OK);
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

	if (executable)
		return; /* nobody can break it in there */
	configure();
	keeper.shares.random = broken_random;
	/* Until the next batch is begun nobody asks it for anything. */
	for (uint64_t tag = 1; tag <= LIVE_LEAVES; tag++) {
		assert_int_equal(ipc_send_EXCHANGE_BEGIN(&others[PROC_IKE], tag, &begin), RC_OK);
		assert_true(next(PROC_IKE, IPC_EXCHANGE_BEGUN));
		assert_int_equal(frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	}
	rounds();
	ledger_answers(LEDGER_LEAF_BATCH_END, RC_OK); /* of the one that is used up */
	for (uint64_t tag = 1001; tag <= 1002; tag++) {
		assert_int_equal(ipc_send_EXCHANGE_BEGIN(&others[PROC_IKE], tag, &begin), RC_OK);
		assert_true(next(PROC_IKE, IPC_EXCHANGE_BEGUN));
		assert_int_equal(frame.u.EXCHANGE_BEGUN.rc, RC_AGAIN);
		assert_non_null(
			strstr(frame.u.EXCHANGE_BEGUN.text, "getrandom failed the repetition count test"));
	}
	ledger_answers(LEDGER_ENTROPY_FAILED, RC_OK);
	assert_non_null(strstr(frame.u.LEDGER_APPEND.body, "\"source\":\"getrandom\""));
	ledger_answers(LEDGER_LEAF_BATCH_END, RC_OK); /* what was made of it is not used */
	assert_true(silent(PROC_LEDGER));	      /* each said once */
}

static void wrong_known_answers(void **state)
{
	struct msg_start m = { 0 };

	if (executable)
		return; /* it would end with status 1, which the end of the test does not take */
	answers_give(true);
	rounds();
	assert_int_equal(ipc_send_START(&others[PROC_SUPERVISOR], 0, &m), RC_OK);
	rounds();
	assert_int_equal(child.status, 1);
	assert_true(silent(PROC_SUPERVISOR)); /* not READY */
}

static void bad_configuration(void **state)
{
	struct msg_snapshot m = { .generation = 2, .bytes = 4096 };
	static const char zero[4096];
	int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	configure();
	assert_int_equal(write(fd, zero, sizeof zero), (ssize_t)sizeof zero);
	assert_int_equal(ipc_send_SNAPSHOT(&others[PROC_CONTROL], 1, &m, fd), RC_OK);
	assert_true(next(PROC_CONTROL, IPC_SNAPSHOT_TAKEN));
	assert_int_equal(frame.u.SNAPSHOT_TAKEN.rc, RC_DENIED);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	assert_int_equal(ipc_send_SNAPSHOT(&others[PROC_CONTROL], 2, &m, fd), RC_OK);
	assert_true(next(PROC_CONTROL, IPC_SNAPSHOT_TAKEN));
	assert_int_not_equal(frame.u.SNAPSHOT_TAKEN.rc, RC_OK);
	assert_true(frame.u.SNAPSHOT_TAKEN.text[0] != 0);
	close(fd);
	/* The previous one is still in use. */
	assert_true(executable || keeper.snapshot.snapshot);
	exchange();
}

/* Keys are loaded again with each configuration. */
static void keys_shown(void **state)
{
	static const char *const shown[] = { "\"late\"", "\"shared\"", "bad.psk" };
	int log = memfd_create("log", MFD_CLOEXEC), err = dup(STDERR_FILENO);
	struct msg_show show = { .table = SHOW_KEYS };
	char said[4096] = "";

	key_put("late.psk", "0x00112233445566778899");
	key_put("bad.psk", "short");
	assert_true(dup2(log, STDERR_FILENO) >= 0);
	configure();
	assert_true(dup2(err, STDERR_FILENO) >= 0);
	assert_true(pread(log, said, sizeof said - 1, 0) >= 0);
	close(log);
	close(err);
	assert_true(executable || strstr(said, "'late.psk' has fewer than 20 octets"));
	assert_int_equal(ipc_send_SHOW(&others[PROC_CONTROL], 9, &show), RC_OK);
	assert_true(next(PROC_CONTROL, IPC_SHOW_ROW));
	assert_int_equal(frame.head.tag, 9);
	frame.u.SHOW_ROW.json[frame.u.SHOW_ROW.n] = '\0';
	for (size_t i = 0; i < COUNT_OF(shown); i++)
		assert_non_null(strstr(frame.u.SHOW_ROW.json, shown[i]));
	assert_null(strstr(frame.u.SHOW_ROW.json, "secret of"));
	assert_null(strstr(frame.u.SHOW_ROW.json, "0011"));
	assert_true(next(PROC_CONTROL, IPC_SHOW_END));
	assert_int_equal(frame.u.SHOW_END.rc, RC_OK);
	assert_int_equal(frame.u.SHOW_END.count, 3);
	show.table = SHOW_ROUTES;
	assert_int_equal(ipc_send_SHOW(&others[PROC_CONTROL], 10, &show), RC_OK);
	assert_true(next(PROC_CONTROL, IPC_SHOW_END));
	assert_int_equal(frame.u.SHOW_END.rc, RC_UNSUPPORTED);
}

static void no_key_directory(void **state)
{
	struct msg_start m = { 0 };

	if (executable)
		return; /* it would end with status 1, which the end of the test does not take */
	close(keeper.key_dir);
	keeper.key_dir = -1;
	assert_int_equal(ipc_send_START(&others[PROC_SUPERVISOR], 0, &m), RC_OK);
	rounds();
	assert_int_equal(child.status, 1);
	keeper.key_dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int main(int argc, char **argv)
{

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		T(key_waits_for_its_receipt),
		T(signature_by_file),
		T(ledger_dies),
		T(ike_dies),
		T(tunnel_end_to_end),
		T(values_wait_for_their_key),
		T(key_is_laid_open),
		T(old_key_until_the_new_one_stands),
		T(bad_configuration),
		T(keys_shown),
		T(no_key_directory),
		T(both_sources_or_none),
		T(kernel_source_fails),
		T(wrong_known_answers),
	};
	executable = argc > 1 ? argv[1] : NULL;
	user = getpwnam("plaingate-keeper");
	if (executable && (getuid() != 0 || !user)) {
		printf("needs root and the user plaingate-keeper (tools/make-users)\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
