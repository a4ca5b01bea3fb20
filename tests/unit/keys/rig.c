#include "rig.h"

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

struct rig rig = { .dir = "/tmp/plaingate-keeper-XXXXXX" };

#define ANSWER_MS  20000 /* for an answer that must come */
#define SILENCE_MS 100	 /* for one that must not */

void rig_rounds(void)
{
	if (rig.executable)
		return;
	for (int i = 0; i < 8; i++)
		assert_int_equal(loop_once(&rig.child.loop, 0, NULL), RC_OK);
}

bool rig_receive(enum proc as, enum ipc_id id, int wait_ms)
{
	struct pollfd p = { .fd = rig.others[as].fd, .events = POLLIN };
	enum rc rc;

	rig_rounds();
	if (rig.executable)
		poll(&p, 1, wait_ms);
	rc = ipc_recv(&rig.others[as], &rig.frame, NULL);
	if (rc == RC_AGAIN)
		return false;
	assert_int_equal(rc, RC_OK);
	if (rig.frame.head.id != (uint16_t)id)
		fail_msg("%s came, %s was expected", ipc_name((enum ipc_id)rig.frame.head.id), ipc_name(id));
	return true;
}

/* The next frame to `as`, which must be `id`; false when none comes. */
bool rig_next(enum proc as, enum ipc_id id)
{
	return rig_receive(as, id, ANSWER_MS);
}

bool rig_silent(enum proc as)
{
	return !rig_receive(as, IPC_LINK, SILENCE_MS); /* no message that a keeper could send */
}

void rig_link_to(enum proc peer)
{
	struct msg_link m = { .peer = (uint32_t)peer };
	int fds[2];

	ipc_link_close(&rig.others[peer]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&rig.others[peer], fds[0], peer, PROC_KEEPER);
	assert_int_equal(ipc_send_LINK(&rig.others[PROC_SUPERVISOR], 0, &m, fds[1]), RC_OK);
	close(fds[1]);
	rig_rounds();
}

void rig_key_put(const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/%s", rig.dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	if (rig.executable)
		assert_int_equal(fchown(fd, rig.user->pw_uid, rig.user->pw_gid), 0);
	close(fd);
}

/* What the supervisor does: the link on file 3, nothing else open. */
static void execute(int link_fd)
{
	rig.pid = fork();
	assert_true(rig.pid >= 0);
	if (rig.pid > 0) {
		close(link_fd);
		return;
	}
	if (dup2(link_fd, CHILD_SUPERVISOR_FD) < 0) /* dup2 takes close-on-exec away */
		_exit(126);
	closefrom(CHILD_SUPERVISOR_FD + 1);
	execl(rig.executable, rig.executable, (char *)NULL);
	_exit(127);
}

/* share/known-answers.json as the supervisor hands it over; `wrong`: with another digit in its last answer.
 */
void rig_answers_give(bool wrong)
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
	assert_int_equal(ipc_send_RESOURCE(&rig.others[PROC_SUPERVISOR], 0, &m, fd), RC_OK);
	close(fd);
}

/* Shares of the entropy process, as many as the frame asks for; here anything that is not constant. */
static void shares_answer(void)
{
	static uint64_t drawn;
	struct msg_entropy_share m;
	uint32_t count;

	assert_int_equal(rig.frame.head.id, IPC_ENTROPY_ASK);
	count = rig.frame.u.ENTROPY_ASK.count;
	assert_true(count > 0 && count <= SHARES_MAX);
	while (count-- > 0) {
		sha256(m.share, &drawn, sizeof drawn);
		drawn++;
		assert_int_equal(ipc_send_ENTROPY_SHARE(&rig.others[PROC_ENTROPY], 0, &m), RC_OK);
		if (count % 4 == 0)
			rig_rounds();
	}
}

void rig_shares_give(void)
{
	assert_true(rig_next(PROC_ENTROPY, IPC_ENTROPY_ASK));
	shares_answer();
}

int rig_start(void **state)
{
	struct msg_resource resource = { .kind = RESOURCE_KEY_DIR };
	struct msg_start m = { 0 };
	int fds[2], fd;

	strcpy(rig.dir + sizeof rig.dir - 7, "XXXXXX");
	assert_non_null(mkdtemp(rig.dir));
	if (rig.executable)
		assert_int_equal(chown(rig.dir, rig.user->pw_uid, rig.user->pw_gid), 0);
	rig_key_put("shared.psk", "a secret of the two\n");
	pair_init(&rig.pair);
	rig.epoch_known = false;
	for (int i = 0; i < PROC_COUNT; i++)
		rig.others[i] = IPC_LINK_NONE;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&rig.others[PROC_SUPERVISOR], fds[0], PROC_SUPERVISOR, PROC_KEEPER);
	if (rig.executable)
		execute(fds[1]);
	else
		assert_int_equal(keeper_init(&rig.keeper, &rig.child, fds[1], NULL), RC_OK);
	rig_link_to(PROC_IKE);
	rig_link_to(PROC_LEDGER);
	rig_link_to(PROC_DATAPLANE);
	rig_link_to(PROC_CONTROL);
	rig_link_to(PROC_ENTROPY);
	rig_answers_give(false);
	fd = open(rig.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(ipc_send_RESOURCE(&rig.others[PROC_SUPERVISOR], 0, &resource, fd), RC_OK);
	close(fd);
	assert_int_equal(ipc_send_START(&rig.others[PROC_SUPERVISOR], 0, &m), RC_OK);
	assert_true(rig_next(PROC_SUPERVISOR, IPC_READY));
	rig_shares_give();
	return 0;
}

static void end_shell(void)
{
	keys_free(rig.keeper.keys);
	leaves_free(&rig.keeper.leaves);
	public_free(&rig.keeper.public_values);
	snapshot_file_done(&rig.keeper.snapshot);
	close(rig.keeper.key_dir);
	close(rig.keeper.answers);
	for (int i = 0; i < PROC_COUNT; i++)
		port_close(&rig.child.ports[i]);
	ledger_client_done(&rig.child.ledger);
	loop_done(&rig.child.loop);
}

/* In order, and not by a signal: SIGSYS would be a call that the sandbox does not allow. */
static void end_process(void)
{
	struct msg_empty m = { 0 };
	int status = 0;

	assert_int_equal(ipc_send_STOP(&rig.others[PROC_SUPERVISOR], 0, &m), RC_OK);
	assert_int_equal(waitpid(rig.pid, &status, 0), rig.pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("the keeper ended with status %#x", (unsigned)status);
}

int rig_stop(void **state)
{
	char command[128];

	if (rig.executable)
		end_process();
	else
		end_shell();
	for (int i = 0; i < PROC_COUNT; i++)
		ipc_link_close(&rig.others[i]);
	pair_done(&rig.pair);
	snprintf(command, sizeof command, "rm -rf '%s'", rig.dir);
	return system(command);
}

/* An entry of this type came to the ledger; it answers rc. */
void rig_ledger_answers(enum ledger_type type, enum rc rc)
{
	struct msg_ledger_receipt m = { .rc = (uint32_t)rc, .text = "by the test" };
	struct err e = { 0 };

	assert_true(rig_next(PROC_LEDGER, IPC_LEDGER_APPEND));
	if (rig.frame.u.LEDGER_APPEND.type != type || ledger_body_check(type, rig.frame.u.LEDGER_APPEND.body,
							      rig.frame.u.LEDGER_APPEND.body_n, &e) != RC_OK)
		fail_msg("%s: %s", e.text, rig.frame.u.LEDGER_APPEND.body);
	assert_int_equal(ipc_send_LEDGER_RECEIPT(&rig.others[PROC_LEDGER], rig.frame.head.tag, &m), RC_OK);
	rig_rounds();
}

/* The key of public values is in the ledger before the first of them leaves. */
void rig_epoch_entered(void)
{
	static const char head[] = "{\"key\":\"";
	const char *body = rig.frame.u.LEDGER_APPEND.body;
	char hex[2 * VRF_PUBLIC_SIZE + 1];

	rig_ledger_answers(LEDGER_VRF_EPOCH, RC_OK);
	assert_memory_equal(body, head, sizeof head - 1);
	snprintf(hex, sizeof hex, "%.64s", body + sizeof head - 1);
	assert_true(hex_to_bytes(rig.epoch_key, sizeof rig.epoch_key, hex));
	rig.epoch_known = true;
}

/* The entry that came last proves what left: nonce and SPI are cuts of the one output of the epoch's key. */
void rig_derived_value(uint8_t ret_octets[PUBLIC_SIZE], uint64_t count)
{
	uint8_t alpha[PUBLIC_ALPHA_SIZE], proof[PUBLIC_PROOF_SIZE];
	char hex[2 * PUBLIC_PROOF_SIZE + 1], stated[32];
	const char *at = strstr(rig.frame.u.LEDGER_APPEND.body, "\"vrf_proof\":\"");

	snprintf(stated, sizeof stated, "\"vrf_count\":%llu,", (unsigned long long)count);
	assert_non_null(at);
	assert_non_null(strstr(rig.frame.u.LEDGER_APPEND.body, stated));
	snprintf(hex, sizeof hex, "%.160s", at + strlen("\"vrf_proof\":\""));
	assert_true(hex_to_bytes(proof, sizeof proof, hex));
	public_alpha(alpha, rig.epoch_key, count);
	assert_int_equal(vrf_verify(rig.epoch_key, alpha, sizeof alpha, proof, ret_octets), RC_OK);
}

/*
 * What keeps a keeper's leaves coming, until so many batches were opened as a whole and nothing more of it comes: shares that are asked for
 * are given, entries about batches are taken. Returns how many batches were.
 */
unsigned rig_leaves_pump(unsigned wanted)
{
	struct msg_ledger_receipt yes = { .rc = RC_OK };
	const struct msg_cosigned nobody = { 0 };
	unsigned opened = 0;

	for (int quiet = 0; quiet < (opened / 2 < wanted ? ANSWER_MS : 60);) {
		struct pollfd p[2] = { { .fd = rig.others[PROC_LEDGER].fd, .events = POLLIN },
			{ .fd = rig.others[PROC_ENTROPY].fd, .events = POLLIN } };
		bool any = false;

		rig_rounds();
		poll(p, 2, rig.executable ? 5 : 0);
		if (ipc_link_up(&rig.others[PROC_ENTROPY]) &&
			ipc_recv(&rig.others[PROC_ENTROPY], &rig.frame, NULL) == RC_OK) {
			shares_answer();
			any = true;
		}
		if (ipc_recv(&rig.others[PROC_LEDGER], &rig.frame, NULL) == RC_OK) {
			any = true;
			quiet = 0;
			if (rig.frame.head.id == IPC_COSIGNED_ASK) { /* there are no witnesses */
				assert_int_equal(ipc_send_COSIGNED(&rig.others[PROC_LEDGER],
							 rig.frame.head.tag, &nobody),
					RC_OK);
				continue;
			}
			assert_int_equal(rig.frame.head.id, IPC_LEDGER_APPEND);
			uint32_t type = rig.frame.u.LEDGER_APPEND.type;
			if (type != LEDGER_LEAF_BATCH && type != LEDGER_LEAF_HASHES &&
				type != LEDGER_LEAF_CHALLENGE && type != LEDGER_LEAVES_OPENED &&
				type != LEDGER_LEAF_BATCH_END)
				fail_msg("%s came", ledger_type_name((enum ledger_type)type));
			assert_int_equal(
				ledger_body_check((enum ledger_type)type, rig.frame.u.LEDGER_APPEND.body,
					rig.frame.u.LEDGER_APPEND.body_n, NULL),
				RC_OK);
			opened += type == LEDGER_LEAVES_OPENED;
			assert_int_equal(
				ipc_send_LEDGER_RECEIPT(&rig.others[PROC_LEDGER], rig.frame.head.tag, &yes),
				RC_OK);
		}
		quiet = any ? 0 : quiet + 5;
	}
	return opened / 2;
}

void rig_snapshot_give(void)
{
	struct pair_config *c = &rig.pair.side[0].config;
	struct msg_snapshot m = { .generation = 1, .bytes = sizeof *c };
	int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	for (int i = 0; i < PAIR_IKE_PROPOSALS; i++) /* one group: leaves cost less */
		c->ike[i].dh = DH_CURVE25519;
	for (int i = 0; i < PAIR_ESP_PROPOSALS; i++)
		c->esp[i].dh = c->esp[i].dh == DH_NONE ? DH_NONE : DH_CURVE25519;
	for (int i = 0; i < 2;
		i++) /* the model allows a peer, and a tunnel, fewer than the tests of the core use */
		c->peers[i].proposals.count = PROPOSALS_EACH_MAX;
	for (size_t i = 0; i < COUNT_OF(c->tunnels); i++)
		c->tunnels[i].proposals.count =
			MIN_OF(c->tunnels[i].proposals.count, (uint32_t)PROPOSALS_EACH_MAX);
	assert_int_equal(write(fd, c, sizeof *c), (ssize_t)sizeof *c);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	assert_int_equal(ipc_send_SNAPSHOT(&rig.others[PROC_CONTROL], 77, &m, fd), RC_OK);
	close(fd);
	assert_true(rig_next(PROC_CONTROL, IPC_SNAPSHOT_TAKEN));
	assert_int_equal(rig.frame.head.tag, 77);
	if (rig.frame.u.SNAPSHOT_TAKEN.rc != RC_OK)
		fail_msg("%s", rig.frame.u.SNAPSHOT_TAKEN.text);
}

void rig_configure(void)
{
	bool first = !rig.epoch_known;

	if (first)
		rig_epoch_entered();
	rig_snapshot_give();
	/* One batch to use, and the next one. */
	if (first)
		assert_int_equal(rig_leaves_pump(2), 2);
}

/* The keeper is side 0 and the initiator; side 1 is a core in this test. Until both have keys. */
uint32_t rig_exchange(void)
{
	struct keeper_exchange_begin begin = { .role = KEEPER_INITIATOR, .dh_group = DH_CURVE25519 };
	struct keeper_request q = { .op = KEEPER_EXCHANGE_BEGIN };
	struct keeper_exchange_finish *f = &q.u.EXCHANGE_FINISH;
	struct side *s = &rig.pair.side[0], *r = &rig.pair.side[1];

	assert_int_equal(ipc_send_EXCHANGE_BEGIN(&rig.others[PROC_IKE], 1, &begin), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_BEGUN));
	assert_int_equal(rig.frame.head.tag, 1);
	assert_int_equal(rig.frame.u.EXCHANGE_BEGUN.rc, RC_OK);
	s->begun = rig.frame.u.EXCHANGE_BEGUN;
	q.u.EXCHANGE_BEGIN = begin;
	q.u.EXCHANGE_BEGIN.role = KEEPER_RESPONDER;
	assert_int_equal(side_ask(r, &q), RC_OK);
	r->begun = r->reply.u.EXCHANGE_BEGIN;
	r->ike = r->begun.handle;
	memcpy(rig.pair.spi_i, s->begun.ike_spi, 8);
	memcpy(rig.pair.spi_r, r->begun.ike_spi, 8);
	q = (struct keeper_request){ .op = KEEPER_EXCHANGE_FINISH };
	f->prf = 5;
	f->encr = 20;
	f->encr_bits = 256;
	f->peer_nonce_n = f->peer_ke_n = 32;
	memcpy(f->spi_i, rig.pair.spi_i, 8);
	memcpy(f->spi_r, rig.pair.spi_r, 8);
	f->handle = r->ike;
	memcpy(f->peer_nonce, s->begun.nonce, 32);
	memcpy(f->peer_ke, s->begun.ke, 32);
	assert_int_equal(side_ask(r, &q), RC_OK);
	r->finished = r->reply.u.EXCHANGE_FINISH;
	f->handle = s->begun.handle;
	memcpy(f->peer_nonce, r->begun.nonce, 32);
	memcpy(f->peer_ke, r->begun.ke, 32);
	assert_int_equal(ipc_send_EXCHANGE_FINISH(&rig.others[PROC_IKE], 2, f), RC_OK);
	assert_true(rig_next(PROC_IKE, IPC_EXCHANGE_FINISHED));
	assert_int_equal(rig.frame.u.EXCHANGE_FINISHED.rc, RC_OK);
	assert_memory_equal(rig.frame.u.EXCHANGE_FINISHED.sk_e.ei, r->finished.sk_e.ei, 36);
	return s->begun.handle;
}

struct keeper_auth_sign rig_sign_request(uint32_t handle)
{
	struct side *s = &rig.pair.side[0];
	struct keeper_auth_sign q = { .handle = handle, .hashes = 0, .message_n = 28 + 64 };

	memcpy(q.message, rig.pair.spi_i, 8);
	memcpy(q.message + 28, s->begun.ke, 32);
	memcpy(q.message + 60, s->begun.nonce, 32);
	memcpy(q.id, s->id, s->id_n);
	q.id_n = (uint16_t)s->id_n;
	return q;
}

bool rig_of(const char *executable)
{
	rig.executable = executable;
	rig.user = getpwnam("plaingate-keeper");
	if (!executable || (getuid() == 0 && rig.user))
		return true;
	printf("needs root and the user plaingate-keeper (tools/make-users)\n");
	return false;
}
