/*
 * The courier over sockets of the test's own: this is the supervisor, the ledger, the name servers and the
 * witness. With an argument the same against the executable in its sandbox. Real TLS is
 * tests/system/test_courier.py's.
 */
#include "crypto/hash.h"
#include "proc/courier/shell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct courier courier;
static struct child child;
static struct ipc_link supervisor, ledger;
static struct ipc_frame frame;
static const char *executable; /* NULL: the shell in here */
static pid_t pid;

#define ANSWER_MS 20000

/* One round of the courier, or a little time for it. */
static void turn(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (executable)
		poll(&p, 1, 2);
	else
		assert_int_equal(loop_once(&child.loop, 2 * NS_PER_MS, NULL), RC_OK);
}

static void next(struct ipc_link *l, enum ipc_id id)
{
	enum rc rc = RC_AGAIN;

	for (int ms = 0; rc == RC_AGAIN && ms < ANSWER_MS; ms += 2) {
		turn(l->fd);
		ipc_frame_done(&frame);
		rc = ipc_recv(l, &frame, NULL);
	}
	assert_int_equal(rc, RC_OK);
	if (frame.head.id != (uint16_t)id)
		fail_msg("%s came, %s was expected", ipc_name((enum ipc_id)frame.head.id), ipc_name(id));
}

static void silent(struct ipc_link *l)
{
	for (int i = 0; i < 30; i++) {
		turn(l->fd);
		assert_int_equal(ipc_recv(l, &frame, NULL), RC_AGAIN);
	}
}

/* What comes to our end of a socket; "" at its end. */
static const char *heard(int fd)
{
	static char text[4096];
	ssize_t n = -1;

	for (int ms = 0; n < 0 && ms < ANSWER_MS; ms += 2) {
		turn(fd);
		n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
	}
	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

/* ---- what the supervisor hands over ---- */

static int pair(int kind, int *ret_theirs)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	*ret_theirs = fds[1];
	return fds[0];
}

static void ledger_join(void)
{
	const struct msg_link m = { .peer = PROC_LEDGER };
	int theirs;

	ipc_link_close(&ledger);
	ipc_link_open(&ledger, pair(SOCK_SEQPACKET, &theirs), PROC_LEDGER, PROC_COURIER);
	assert_int_equal(ipc_send_LINK(&supervisor, 0, &m, theirs), RC_OK);
	close(theirs);
}

static void configure_key(const char *url, const uint8_t key[32])
{
	struct snap_evidence v = { .count = 1, .quorum = 1, .heartbeat_s = 30 };

	snprintf(v.witness[0].name, sizeof v.witness[0].name, "one");
	snprintf(v.witness[0].key, sizeof v.witness[0].key, "key");
	snprintf(v.witness[0].url, sizeof v.witness[0].url, "%s", url);
	memcpy(v.witness[0].server_key, key, sizeof v.witness[0].server_key);
	assert_int_equal(snapshot_evidence_check(&v, NULL), RC_OK);
	assert_int_equal(ipc_send_WITNESSES(&supervisor, 0, &v), RC_OK);
	for (int i = 0; i < 5; i++) /* before the ledger's question, as in life */
		turn(-1);
}

static void configure(const char *url)
{
	static const uint8_t any[32];

	configure_key(url, any);
}

/* Asked for this address; our end of the connection. */
static int connection(const char *address, uint16_t port)
{
	struct endpoint at = { .port = port };
	int ours, theirs;

	next(&supervisor, IPC_WITNESS_CONNECT);
	assert_int_equal(addr_parse(&at.addr, address), RC_OK);
	assert_memory_equal(&frame.u.WITNESS_CONNECT, &at, sizeof at);
	ours = pair(SOCK_STREAM, &theirs);
	assert_int_equal(ipc_send_WITNESS_SOCKET(&supervisor, frame.head.tag, &at, theirs), RC_OK);
	close(theirs);
	return ours;
}

static int start(void **state)
{
	const struct msg_start m = { 0 };
	int theirs;

	ledger = IPC_LINK_NONE;
	ipc_link_open(&supervisor, pair(SOCK_SEQPACKET, &theirs), PROC_SUPERVISOR, PROC_COURIER);
	if (executable && (pid = fork()) == 0) {
		/* out of the way first: dup2() of a file to itself leaves close-on-exec */
		if (dup2(fcntl(theirs, F_DUPFD, 16), CHILD_SUPERVISOR_FD) < 0)
			_exit(126);
		closefrom(CHILD_SUPERVISOR_FD + 1);
		execl(executable, executable, (char *)NULL);
		_exit(127);
	}
	if (executable)
		close(theirs);
	else
		courier_init(&courier, &child, theirs);
	ledger_join();
	assert_int_equal(ipc_send_START(&supervisor, 0, &m), RC_OK);
	next(&supervisor, IPC_READY);
	return 0;
}

static int stop(void **state)
{
	int status = 0;

	assert_int_equal(ipc_send_STOP(&supervisor, 0, &(struct msg_empty){ 0 }), RC_OK);
	if (executable)
		assert_int_equal(waitpid(pid, &status, 0), pid);
	else
		status = child_run(&child);
	if (status != 0)
		fail_msg("it ended with status %#x", (unsigned)status);
	ipc_frame_done(&frame);
	ipc_link_close(&supervisor);
	ipc_link_close(&ledger);
	return 0;
}

/* ---- what the ledger asks ---- */

static struct msg_witness_ask question(const char *witness, const char *at, const char *body)
{
	struct msg_witness_ask m = { .post = body != NULL, .body_n = body ? (uint32_t)strlen(body) : 0 };

	snprintf(m.witness, sizeof m.witness, "%s", witness);
	snprintf(m.at, sizeof m.at, "%s", at);
	memcpy(m.body, body ? body : "", m.body_n);
	return m;
}

static void ask(uint64_t tag, const char *at, const char *body)
{
	const struct msg_witness_ask m = question("one", at, body);

	assert_int_equal(ipc_send_WITNESS_ASK(&ledger, tag, &m), RC_OK);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static const struct msg_witness_answer *answer(uint64_t tag, uint32_t status)
{
	next(&ledger, IPC_WITNESS_ANSWER);
	if (frame.head.tag != tag || frame.u.WITNESS_ANSWER.status != status)
		fail_msg("question %llu, status %u: %.*s", (unsigned long long)frame.head.tag,
			frame.u.WITNESS_ANSWER.status, WITNESS_WHY_MAX, frame.u.WITNESS_ANSWER.why);
	return &frame.u.WITNESS_ANSWER;
}

static void failed(uint64_t tag, const char *why)
{
	const struct msg_witness_answer *a = answer(tag, 0);

	assert_int_equal(a->body_n, 0);
	if (!strstr(a->why, why))
		fail_msg("it does not say '%s': %s", why, a->why);
}

/* ---- tests ---- */

static void there_and_back(void **state)
{
	configure("http://[2001:db8::7]:8080/x/");
	ask(7, "/add-checkpoint", "old 0\n");
	int fd = connection("2001:db8::7", 8080);
	assert_string_equal(heard(fd), "POST /x/add-checkpoint HTTP/1.1\r\nHost: [2001:db8::7]:8080\r\n"
				       "User-Agent: plaingate\r\nContent-Type: text/plain\r\n"
				       "Content-Length: 6\r\n\r\nold 0\n");
	say(fd, "HTTP/1.1 429 x\r\nRetry-After: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\n");
	silent(&ledger);
	say(fd, "c\r\n0\r\n\r\n");
	const struct msg_witness_answer *a = answer(7, 429);
	assert_true(a->body_n == 3 && memcmp(a->body, "abc", 3) == 0 && a->retry_after_s == 9);
	assert_string_equal(heard(fd), "");
	close(fd);

	ask(8, "/0a/checkpoint", NULL);
	fd = connection("2001:db8::7", 8080);
	assert_int_equal(strncmp(heard(fd), "GET /x/0a/checkpoint HTTP/1.1\r\n", 31), 0);
	say(fd, "HTTP/1.1 200 x\r\n\r\nto the end");
	shutdown(fd, SHUT_WR);
	assert_int_equal(answer(8, 200)->body_n, 10);
	close(fd);
}

static void answers_that_are_none(void **state)
{
	static char large[WITNESS_ANSWER_MAX + 100];
	static const struct {
		const char *says, *why;
	} rows[] = {
		{ "SSH-2.0-x\r\n", "expected a status line of HTTP/1.1" },
		{ "HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\nabc", "ended before the answer was complete" },
		{ "HTTP/1.1 200 x\r\nContent-Length: 40000\r\n\r\n", "at most 32768" },
		{ "", "ended before the answer was complete" },
	};

	configure("http://192.0.2.1");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		ask(i, "/", "x");
		int fd = connection("192.0.2.1", 80);
		heard(fd);
		say(fd, rows[i].says);
		shutdown(fd, SHUT_WR);
		failed(i, rows[i].why);
		close(fd);
	}
	ask(20, "/", "x");
	int fd = connection("192.0.2.1", 80);
	heard(fd);
	int n = snprintf(large, sizeof large, "HTTP/1.1 200 x\r\nContent-Length: %d\r\n\r\n%0*d",
		WITNESS_ANSWER_MAX + 1, WITNESS_ANSWER_MAX + 1, 0);
	assert_int_equal(send(fd, large, (size_t)n, MSG_NOSIGNAL), n);
	failed(20, "at most 8192");
	close(fd);
}

/* The kinds of the questions that came, 1 and 28; the last one's octets stay. */
static uint8_t query[512];

static ssize_t query_take(int fd, unsigned *ret_kind)
{
	ssize_t n = -1;

	for (int ms = 0; n < 0 && ms < ANSWER_MS; ms += 2) {
		turn(fd);
		n = recv(fd, query, sizeof query, MSG_DONTWAIT);
	}
	assert_true(n > 16);
	*ret_kind = query[n - 3];
	return n;
}

static int name_server(void)
{
	const struct endpoint at = { .port = 53 };
	int theirs, ours;

	next(&supervisor, IPC_NAMES_ASK);
	ours = pair(SOCK_DGRAM, &theirs);
	assert_int_equal(ipc_send_NAMES_SOCKET(&supervisor, frame.head.tag, &at, theirs), RC_OK);
	close(theirs);
	const struct msg_result end = { .count = 1 };
	assert_int_equal(ipc_send_NAMES_END(&supervisor, frame.head.tag, &end), RC_OK);
	return ours;
}

static void names(void **state)
{
	static const uint8_t a_record[] = "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2";
	const struct msg_result refused = { .rc = RC_IO, .text = "connect: Network is unreachable" };

	configure("http://w.example");
	ask(1, "/", "x");
	int fd = name_server();
	for (int i = 0; i < 2; i++) {
		unsigned kind;
		size_t n = (size_t)query_take(fd, &kind);
		query[2] |= 0x80;
		if (kind == 1) {
			query[7] = 2;
			for (uint8_t k = 1; k <= 2; k++) {
				memcpy(query + n, a_record, sizeof a_record - 1);
				query[n + sizeof a_record - 1] = k;
				n += sizeof a_record;
			}
		}
		assert_int_equal(send(fd, query, n, 0), n);
	}
	next(&supervisor, IPC_WITNESS_CONNECT);
	assert_int_equal(frame.u.WITNESS_CONNECT.addr.b[3], 1);
	assert_int_equal(ipc_send_WITNESS_REFUSED(&supervisor, frame.head.tag, &refused), RC_OK);
	int conn = connection("192.0.2.2", 80);
	assert_non_null(strstr(heard(conn), "\r\nHost: w.example\r\n"));
	say(conn, "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n");
	answer(1, 200);
	close(conn);
	assert_int_equal(send(fd, query, 1, MSG_NOSIGNAL),
		-1); /* it is closed: each question has sockets of its own */
	close(fd);

	/* nobody answers, and there is nobody to ask */
	ask(2, "/", "x");
	fd = name_server();
	failed(2, "no answer from the name servers for 'w.example'");
	close(fd);
	ask(3, "/", "x");
	next(&supervisor, IPC_NAMES_ASK);
	const struct msg_result none = { .rc = RC_IO, .text = "name server ::1: no" };
	assert_int_equal(ipc_send_NAMES_END(&supervisor, frame.head.tag, &none), RC_OK);
	failed(3, "name server ::1: no");
}

static void questions_that_are_none(void **state)
{
	struct msg_witness_ask m;

	configure("http://192.0.2.1");
	static const char *const paths[] = { "", "x", "/a b", "/\r\nX: y", "/A", "/%0a" };
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		ask(i, paths[i], "x");
		failed(i, "malformed request");
	}
	m = question("one", "/", "x");
	memset(m.at, 'a', sizeof m.at); /* not terminated */
	m.at[0] = '/';
	assert_int_equal(ipc_send_WITNESS_ASK(&ledger, 10, &m), RC_OK);
	failed(10, "malformed request");
	m = question("one", "/", "x");
	m.body_n = sizeof m.body + 1;
	assert_int_equal(ipc_send_WITNESS_ASK(&ledger, 11, &m), RC_OK);
	failed(11, "malformed request");
	m = question("another", "/", "x");
	assert_int_equal(ipc_send_WITNESS_ASK(&ledger, 12, &m), RC_OK);
	failed(12, "configuration");
	silent(&supervisor);
}

static void what_ends_a_question(void **state)
{
	configure("http://192.0.2.1");
	/* the next one */
	ask(1, "/", "x");
	int fd = connection("192.0.2.1", 80);
	heard(fd);
	ask(2, "/", "y");
	assert_string_equal(heard(fd), "");
	close(fd);
	/* another configuration */
	fd = connection("192.0.2.1", 80);
	heard(fd);
	configure("http://192.0.2.2");
	failed(2, "configuration");
	assert_string_equal(heard(fd), "");
	close(fd);
	/* the ledger's end, of which nobody hears */
	ask(3, "/", "x");
	fd = connection("192.0.2.2", 80);
	heard(fd);
	ledger_join();
	assert_string_equal(heard(fd), "");
	close(fd);
	silent(&ledger);
	/* what comes too late, or was not asked for */
	struct endpoint at = { .port = 80 };
	int theirs;
	fd = pair(SOCK_STREAM, &theirs);
	assert_int_equal(ipc_send_WITNESS_SOCKET(&supervisor, 1, &at, theirs), RC_OK);
	close(theirs);
	assert_string_equal(heard(fd), "");
	close(fd);
}

static void no_tls_without_trust(void **state)
{
	configure("https://192.0.2.1");
	ask(1, "/", "x");
	failed(1, "no list of certificate authorities");
	configure_key("https://192.0.2.1", (const uint8_t[32]){ 1 });
	ask(2, "/", "x");
	int fd = connection("192.0.2.1", 443);
	const char *hello = heard(fd);
	assert_true(hello[0] == 22 && hello[1] == 3); /* a handshake's record, and nothing of the question */
	say(fd, "HTTP/1.1 400 no\r\n\r\n");
	failed(2, "TLS: the server does not speak TLS");
	close(fd);
	ask(3, "/", "x");
	fd = connection("192.0.2.1", 443);
	heard(fd);
	close(fd);
	failed(3, "");
}

/* ---- TLS ---- */

static EVP_PKEY *server_pkey;
static X509 *certificate;
static uint8_t server_key[SHA256_SIZE];
static unsigned certificates_more; /* that the server sends behind its own */

/* For this name, valid until so many seconds from now; by itself, so it is its own authority. */
static void certificate_make(const char *name, long valid_s)
{
	static const uint8_t cn[] = "a witness";
	uint8_t *der = NULL;

	X509_free(certificate);
	EVP_PKEY_free(server_pkey);
	server_pkey = EVP_EC_gen("P-256");
	certificate = X509_new();
	assert_true(server_pkey && certificate);
	X509_NAME *who = X509_get_subject_name(certificate);
	X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, name);
	assert_int_equal(X509_set_version(certificate, 2), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), -86400));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), valid_s));
	assert_int_equal(X509_NAME_add_entry_by_txt(who, "CN", MBSTRING_ASC, cn, -1, -1, 0), 1);
	assert_int_equal(X509_set_issuer_name(certificate, who), 1);
	assert_int_equal(X509_set_pubkey(certificate, server_pkey), 1);
	assert_int_equal(X509_add_ext(certificate, names, -1), 1);
	assert_true(X509_sign(certificate, server_pkey, EVP_sha256()) > 0);
	X509_EXTENSION_free(names);
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	assert_true(n > 0);
	sha256(server_key, der, (size_t)n);
	OPENSSL_free(der);
}

/* The list of authorities: the certificate, behind a line that is none and before one that is broken. */
static void authorities_give(void)
{
	static const char broken[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	const struct msg_resource m = { .kind = RESOURCE_AUTHORITIES };
	int fd = memfd_create("authorities", MFD_CLOEXEC);
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;

	assert_true(bio && BIO_puts(bio, "# somebody\n") > 0 && PEM_write_bio_X509(bio, certificate) == 1 &&
		    BIO_puts(bio, broken) > 0);
	long n = BIO_get_mem_data(bio, &pem);
	assert_int_equal(write(fd, pem, (size_t)n), n);
	assert_int_equal(ipc_send_RESOURCE(&supervisor, 0, &m, fd), RC_OK);
	close(fd);
	BIO_free(bio);
}

/* The server's end, as far as its handshake comes. */
static SSL *server(int fd, int version)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());

	assert_int_equal(SSL_CTX_use_certificate(c, certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(c, server_pkey), 1);
	for (unsigned i = 0; i < certificates_more; i++)
		assert_int_equal(SSL_CTX_add1_chain_cert(c, certificate), 1);
	assert_int_equal(SSL_CTX_set_min_proto_version(c, TLS1_VERSION), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(c, version), 1);
	SSL_CTX_set_security_level(c, 0);
	SSL *ssl = SSL_new(c);
	SSL_CTX_free(c);
	assert_int_equal(SSL_set_fd(ssl, fd), 1);
	for (int ms = 0; ms < ANSWER_MS; ms += 2) {
		int result = SSL_accept(ssl);
		if (result == 1 || SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ)
			break;
		turn(fd);
	}
	return ssl;
}

static const char *decrypted(SSL *ssl)
{
	static char text[4096];
	int n = 0;

	for (int ms = 0; n <= 0 && ms < ANSWER_MS; ms += 2) {
		turn(SSL_get_fd(ssl));
		n = SSL_read(ssl, text, sizeof text - 1);
	}
	assert_true(n > 0);
	text[n] = '\0';
	return text;
}

static void tls_answer(const char *says, uint32_t status)
{
	int fd;

	ask(1, "/add-checkpoint", "x");
	fd = connection("192.0.2.1", 443);
	SSL *ssl = server(fd, TLS1_3_VERSION);
	assert_non_null(strstr(decrypted(ssl), "POST /add-checkpoint HTTP/1.1\r\nHost: 192.0.2.1\r\n"));
	assert_int_equal(SSL_write(ssl, says, (int)strlen(says)), strlen(says));
	if (status)
		SSL_shutdown(ssl);
	else
		shutdown(fd, SHUT_WR); /* no word of TLS that this is the end */
	if (status)
		answer(1, status);
	else
		failed(1, "TLS: the server ended the connection");
	SSL_free(ssl);
	close(fd);
}

static void tls_refused(const char *why, int version)
{
	ask(2, "/", "x");
	int fd = connection("192.0.2.1", 443);
	SSL *ssl = server(fd, version);
	failed(2, why);
	assert_int_equal(SSL_read(ssl, (char[1]){ 0 }, 1) > 0, 0); /* nothing was asked */
	SSL_free(ssl);
	close(fd);
}

/* A server that has much to say for TLS itself: in between the loop goes on, to all the others. */
static void nobody_keeps_the_others_waiting(void **state)
{
	static const char says[] = "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n";
	const int count = 100;
	int rounds = 0;

	certificate_make("IP:192.0.2.1", 3600);
	configure_key("https://192.0.2.1", server_key);
	ask(1, "/add-checkpoint", "x");
	int fd = connection("192.0.2.1", 443);
	SSL *ssl = server(fd, TLS1_3_VERSION);
	assert_non_null(strstr(decrypted(ssl), "POST"));
	for (int i = 0; i < count; i++) {
		assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(ssl), 1);
	}
	assert_int_equal(SSL_write(ssl, says, (int)strlen(says)), strlen(says));
	while (!executable && courier.errands[0].state != ERRAND_IDLE && rounds < 10 * count) {
		turn(fd);
		rounds++;
	}
	if (!executable && (rounds < count || rounds == 10 * count))
		fail_msg("%d messages in %d rounds", count, rounds);
	answer(1, 200);
	SSL_free(ssl);
	close(fd);
	X509_free(certificate);
	EVP_PKEY_free(server_pkey);
	certificate = NULL;
	server_pkey = NULL;
}

static void who_is_trusted(void **state)
{
	static const char whole[] = "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n",
			  to_the_end[] = "HTTP/1.1 200 x\r\n\r\nabc";

	/* by its key, whatever the certificate says */
	certificate_make("DNS:other.example", -3600);
	configure_key("https://192.0.2.1", server_key);
	tls_answer(whole, 200);
	tls_answer(to_the_end, 200);
	tls_answer(to_the_end, 0);
	/* with a chain of 64 KB at the most, which libssl alone would take up to 100 KB */
	int der_n = i2d_X509(certificate, NULL);
	certificates_more = 60000 / (unsigned)der_n;
	tls_answer(whole, 200);
	certificates_more = 70000 / (unsigned)der_n;
	tls_refused("TLS: excessive message size", TLS1_3_VERSION);
	certificates_more = 0;
	certificate_make("IP:192.0.2.1", 3600); /* another key */
	tls_refused("does not match server-key", TLS1_3_VERSION);
	/* by an authority */
	authorities_give();
	configure("https://192.0.2.1");
	tls_answer(whole, 200);
	tls_refused("TLS:", TLS1_1_VERSION);
	certificate_make("IP:192.0.2.1", 3600); /* of the same name, and nobody stands for it */
	tls_refused("certificate is not trusted: self-signed certificate", TLS1_3_VERSION);
	certificate_make("IP:192.0.2.1", -3600);
	authorities_give();
	tls_refused("certificate is not trusted: certificate has expired", TLS1_3_VERSION);
	certificate_make("IP:192.0.2.2,DNS:192.0.2.1", 3600);
	authorities_give();
	tls_refused("certificate is not trusted: IP address mismatch", TLS1_2_VERSION);
	X509_free(certificate);
	EVP_PKEY_free(server_pkey);
	certificate = NULL;
	server_pkey = NULL;
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(there_and_back),
		TEST(answers_that_are_none),
		TEST(names),
		TEST(questions_that_are_none),
		TEST(what_ends_a_question),
		TEST(no_tls_without_trust),
		TEST(who_is_trusted),
		TEST(nobody_keeps_the_others_waiting),
	};

	signal(SIGPIPE, SIG_IGN); /* the server's end of a connection that was refused */
	executable = argc > 1 ? argv[1] : NULL;
	if (executable && (geteuid() != 0 || !getpwnam("plaingate-courier"))) {
		fprintf(stderr, "skipped: needs root and the users that tools/make-users creates\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
