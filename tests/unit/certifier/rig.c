/* The processes around a certifier, and certificates to ask it about (rig.h). */
#include "rig.h"

#include "crypto/hash.h"
#include "model/certificates.h"
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <fcntl.h>
#include <openssl/pem.h>
#include <poll.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ANSWER_MS 20000

struct certifier certifier;
struct child child;
struct ipc_link supervisor, links[PROC_COUNT];
struct ipc_frame frame;
enum proc self = PROC_CERTIFIER_OPENSSL;
const char *executable; /* NULL: the shell in here */
static pid_t pid;
static char place[64], fetched_place[64]; /* of CRLs */
int directory, fetched = -1;

/* ---- the engine in here ---- */

size_t memory;

uint32_t engine_says = CERTIFY_NO_PATH;

static uint32_t engine_verify(struct certify_verdict *ret_verdict, const struct certify_question *q)
{
	assert_true(q->now_s > 1700000000);
	assert_true(q->anchors_n == 0 || engine_says != CERTIFY_NO_PATH);
	*ret_verdict = (struct certify_verdict){ .reason = engine_says };
	return engine_says;
}

static bool engine_digest(uint8_t ret_digest[CERTIFY_DIGEST_SIZE], const void *b, size_t n)
{
	sha256(ret_digest, b, n);
	return true;
}

static size_t engine_in_use(void)
{
	return memory;
}

int64_t about_to_s;

static bool engine_about(struct certify_about *ret_about, enum certify_input what, struct certify_der der)
{
	*ret_about = (struct certify_about){ .subject = "CN=somebody", .from_s = 1, .to_s = about_to_s };
	return true;
}

static uint32_t engine_input(enum certify_input what, struct certify_der der)
{
	return CERTIFY_OK;
}

static uint32_t engine_crl(struct certify_crl_age *ret_age, struct certify_der crl,
	const struct certify_der *anchors, size_t anchors_n)
{
	return CERTIFY_SIGNATURE;
}

static uint32_t engine_ocsp(struct certify_ocsp_said *ret_said, struct certify_der answer,
	struct certify_der request, struct certify_der issuer, int64_t now_s)
{
	return CERTIFY_OCSP_MALFORMED;
}

static const struct certifier_engine engine = { PROC_CERTIFIER_OPENSSL, RESOURCE_CRL_DIR_OPENSSL,
	RESOURCE_FETCHED_CRL_DIR_OPENSSL, engine_verify, engine_input, engine_crl, engine_ocsp, engine_about,
	engine_digest, engine_in_use };

/* ---- the others ---- */

static void turn(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (executable)
		poll(&p, 1, 2);
	else
		assert_int_equal(loop_once(&child.loop, 2 * NS_PER_MS, NULL), RC_OK);
}

void come(struct ipc_link *l)
{
	enum rc rc = RC_AGAIN;

	for (int ms = 0; rc == RC_AGAIN && ms < ANSWER_MS; ms += 2) {
		turn(l->fd);
		ipc_frame_done(&frame);
		rc = ipc_recv(l, &frame, NULL);
	}
	assert_int_equal(rc, RC_OK);
}

void next(struct ipc_link *l, enum ipc_id id)
{
	come(l);
	if (frame.head.id != (uint16_t)id)
		fail_msg("%s came, %s was expected", ipc_name((enum ipc_id)frame.head.id), ipc_name(id));
}

void silent(struct ipc_link *l)
{
	for (int i = 0; i < 20; i++) {
		turn(l->fd);
		assert_int_equal(ipc_recv(l, &frame, NULL), RC_AGAIN);
	}
}

static void join(enum proc peer)
{
	const struct msg_link m = { .peer = peer };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	ipc_link_close(&links[peer]);
	ipc_link_open(&links[peer], fds[0], peer, self);
	assert_int_equal(ipc_send_LINK(&supervisor, 0, &m, fds[1]), RC_OK);
	close(fds[1]);
}

/* Of the configuration's files; there are none but these. */
char pem[3][8192];
static const char *const pem_names[3] = { "a.crt", "h.crt", "gw.crt" };

static enum rc file_read(void *context, const char *file, char *ret_text, size_t *ret_n, struct err *e)
{
	for (size_t i = 0; i < COUNT_OF(pem); i++)
		if (strcmp(file, pem_names[i]) == 0) {
			*ret_n = strlen(pem[i]);
			memcpy(ret_text, pem[i], *ret_n);
			return RC_OK;
		}
	return err_add(e, RC_NOT_FOUND, "there is no %s", file);
}

int snapshot_of(const char *text, uint64_t generation, size_t *ret_bytes)
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct err e = { 0 };
	struct model *model;
	void *block;
	size_t bytes;

	if (model_load_text(text, strlen(text), "test.conf", &model, &e) != RC_OK ||
		model_compile(model, generation, NULL, &block, &bytes, &e) != RC_OK)
		fail_msg("%s", e.text);
	model_free(model);
	if (certificates_add(&block, &bytes, file_read, NULL, NULL, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(write(fd, block, bytes), bytes);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL), 0);
	free(block);
	*ret_bytes = bytes;
	return fd;
}

void configure(const char *text, uint64_t generation)
{
	size_t bytes;
	int fd = snapshot_of(text, generation, &bytes);

	assert_int_equal(ipc_send_SNAPSHOT(&links[PROC_CONTROL], generation,
				 &(struct msg_snapshot){ .generation = generation, .bytes = bytes }, fd),
		RC_OK);
	close(fd);
	next(&links[PROC_CONTROL], IPC_SNAPSHOT_TAKEN);
	if (frame.u.SNAPSHOT_TAKEN.rc != RC_OK)
		fail_msg("%s", frame.u.SNAPSHOT_TAKEN.text);
}

int start(void **state)
{
	static const struct msg_start m = { .restarts = 0 };
	struct msg_resource r = { .kind = self == PROC_CERTIFIER_OPENSSL ? RESOURCE_CRL_DIR_OPENSSL
									 : RESOURCE_CRL_DIR_GNUTLS };
	int fds[2];

	snprintf(place, sizeof place, "/tmp/plaingate-certifier-XXXXXX");
	assert_non_null(mkdtemp(place));
	assert_int_equal(chmod(place, 0755), 0);
	directory = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fetched < 0) { /* stays over restarts */
		snprintf(fetched_place, sizeof fetched_place, "/tmp/plaingate-fetched-XXXXXX");
		assert_non_null(mkdtemp(fetched_place));
		assert_int_equal(chmod(fetched_place, 0755), 0);
		fetched = open(fetched_place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}

	memory = 1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	ipc_link_open(&supervisor, fds[0], PROC_SUPERVISOR, self);
	for (int i = 0; i < PROC_COUNT; i++)
		links[i] = IPC_LINK_NONE;
	if (executable && (pid = fork()) == 0) {
		setenv("GNUTLS_NO_IMPLICIT_INIT", "1", 1);
		/* out of the way first: dup2() of a file to itself leaves close-on-exec */
		if (dup2(fcntl(fds[1], F_DUPFD, 16), CHILD_SUPERVISOR_FD) < 0)
			_exit(126);
		closefrom(CHILD_SUPERVISOR_FD + 1);
		execl(executable, executable, (char *)NULL);
		_exit(127);
	}
	if (executable)
		close(fds[1]);
	else
		certifier_init(&certifier, &child, &engine, fds[1]);
	join(PROC_CONTROL);
	join(PROC_KEEPER);
	join(PROC_IKE);
	join(PROC_RESOLVER);
	assert_int_equal(ipc_send_RESOURCE(&supervisor, 0, &r, directory), RC_OK);
	r.kind = self == PROC_CERTIFIER_OPENSSL ? RESOURCE_FETCHED_CRL_DIR_OPENSSL
						: RESOURCE_FETCHED_CRL_DIR_GNUTLS;
	unlinkat(fetched, "h.crl", 0);
	assert_int_equal(ipc_send_RESOURCE(&supervisor, 0, &r, fetched), RC_OK);
	assert_int_equal(ipc_send_START(&supervisor, 0, &m), RC_OK);
	next(&supervisor, IPC_READY);
	return 0;
}

int stop_with(int expected)
{
	int status = 0;

	ipc_send_STOP(&supervisor, 0, &(struct msg_empty){ 0 });
	if (executable)
		assert_int_equal(waitpid(pid, &status, 0), pid);
	else
		status = child_run(&child);
	if (status != expected)
		fail_msg("it ended with status %#x", (unsigned)status);
	ipc_frame_done(&frame);
	unlinkat(directory, "a.crl", 0);
	unlinkat(directory, "h.crl", 0);
	close(directory);
	assert_int_equal(rmdir(place), 0);
	ipc_link_close(&supervisor);
	for (int i = 0; i < PROC_COUNT; i++)
		ipc_link_close(&links[i]);
	return 0;
}

int stop(void **state)
{
	return stop_with(0);
}

/* ---- questions ---- */

struct certify_ask ask;

void question(uint64_t generation, uint32_t sa, uint32_t peer)
{
	ask = (struct certify_ask){ .generation = generation, .ike_sa = sa, .peer = peer, .id_n = 13 };
	ask.id[0] = ID_FQDN;
	memcpy(ask.id + 4, "b.example", 9);
	store_be32(ask.bag, 5);
	memcpy(ask.bag + 4, "\x30\x03\x02\x01\x00", 5);
	ask.bag_n = 9;
}

void ask_send(void)
{
	assert_int_equal(ipc_send_CERTIFY_ASK(&links[PROC_IKE], 0, &ask), RC_OK);
}

unsigned revoked_n;

/* What it said of `ask`. */
uint32_t told(void)
{
	const struct certify_told *t = &frame.u.CERTIFY_VERDICT;
	uint8_t digest[SHA256_SIZE];

	do
		come(&links[PROC_KEEPER]);
	while (frame.head.id == IPC_CERTIFY_REVOKED && ++revoked_n);
	assert_int_equal(frame.head.id, IPC_CERTIFY_VERDICT);
	sha256(digest, &ask, sizeof ask);
	assert_memory_equal(t->question, digest, sizeof digest);
	assert_int_equal(t->generation, ask.generation);
	assert_int_equal(t->ike_sa, ask.ike_sa);
	assert_int_equal(t->peer, ask.peer);
	assert_int_equal(t->id_n, ask.id_n);
	assert_memory_equal(t->id, ask.id, sizeof ask.id);
	assert_true(
		t->verdict.reason == CERTIFY_OK || (t->verdict.spki_n == 0 && t->verdict.identity_n == 0));
	return t->verdict.reason;
}

struct made authority, hard, end_entity, below_hard;

void pem_of(size_t i, const struct made *m)
{
	BIO *b = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_X509(b, m->c), 1);
	int n = BIO_read(b, pem[i], sizeof pem[i] - 1);
	assert_true(n > 0);
	pem[i][n] = '\0';
	BIO_free(b);
}

struct made certificate(const char *subject, const struct made *from)
{
	int64_t now = time(NULL);

	return make_certificate((struct make){ .subject = subject,
		.from = from,
		.names = from ? "DNS:b.example" : NULL,
		.constraints = from ? NULL : "critical,CA:TRUE",
		.usage = from ? NULL : "critical,keyCertSign,cRLSign",
		.from_s = now - 3600,
		.to_s = now + 3600 });
}

/* A file as an administrator, or the resolver, puts it there: written beside, and renamed. */
void put_at(int at, const char *name, const void *b, size_t n)
{
	int fd = openat(at, "new", O_CREAT | O_WRONLY | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, b, n), n);
	close(fd);
	assert_int_equal(renameat(at, "new", at, name), 0);
}

void put(const char *name, const void *b, size_t n)
{
	put_at(directory, name, b, n);
}

void put_crl(const char *name, const struct made *from, const struct made *revoked, bool in_pem)
{
	int64_t now = time(NULL);
	struct certify_der der = make_crl(from, revoked, now - 60, now + 3600);
	const uint8_t *at = der.b;
	char text[8192];

	if (!in_pem) {
		put(name, der.b, der.n);
	} else {
		X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)der.n);
		BIO *b = BIO_new(BIO_s_mem());
		assert_int_equal(PEM_write_bio_X509_CRL(b, crl), 1);
		int n = BIO_read(b, text, sizeof text);
		assert_true(n > 0);
		put(name, text, (size_t)n);
		BIO_free(b);
		X509_CRL_free(crl);
	}
	free((void *)(uintptr_t)der.b);
}

/* The verdict about the end entity's certificate, asked for that peer with that identity. */
uint32_t ask_about(uint32_t peer, const struct made *m, uint8_t type, const void *id, size_t n)
{
	static uint32_t sa = 0x5000;

	question(7, ++sa, peer);
	memset(ask.id, 0, sizeof ask.id);
	ask.id[0] = type;
	memcpy(ask.id + 4, id, n);
	ask.id_n = (uint16_t)(4 + n);
	store_be32(ask.bag, (uint32_t)m->der.n);
	memcpy(ask.bag + 4, m->der.b, m->der.n);
	ask.bag_n = (uint16_t)(4 + m->der.n);
	ask_send();
	return told();
}

uint32_t about(uint32_t peer, const struct made *m)
{
	return ask_about(peer, m, ID_FQDN, "b.example", 9);
}

void pki_make(void)
{
	authority = certificate("Authority", NULL);
	hard = certificate("Hard", NULL);
	end_entity = certificate("end", &authority);
	below_hard = certificate("below", &hard);
	pem_of(0, &authority);
	pem_of(1, &hard);
	pem_of(2, &end_entity);
	configure(PKI, 7);
}

void pki_free(void)
{
	made_free(&authority);
	made_free(&hard);
	made_free(&end_entity);
	made_free(&below_hard);
}

void shown(const char *holds)
{
	next(&links[PROC_CONTROL], IPC_SHOW_ROW);
	if (!memmem(frame.u.SHOW_ROW.json, frame.u.SHOW_ROW.n, holds, strlen(holds)))
		fail_msg("'%s' is not in %.*s", holds, (int)frame.u.SHOW_ROW.n, frame.u.SHOW_ROW.json);
}

void shows(void)
{
	const struct msg_show q = { .table = SHOW_PKI };

	assert_int_equal(ipc_send_SHOW(&links[PROC_CONTROL], 5, &q), RC_OK);
}

int rig_run(int argc, char **argv, int (*tests)(void))
{
	if (argc > 2) {
		self = strcmp(argv[1], "certifier-gnutls") == 0 ? PROC_CERTIFIER_GNUTLS
								: PROC_CERTIFIER_OPENSSL;
		executable = argv[2];
		if (geteuid() != 0 || !getpwnam(proc_user(self))) {
			fprintf(stderr, "skipped: needs root and the users that tools/make-users creates\n");
			return 77;
		}
	}
	int failed = tests();
	unlinkat(fetched, "a.crl", 0);
	unlinkat(fetched, "h.crl", 0);
	rmdir(fetched_place);
	return failed;
}
