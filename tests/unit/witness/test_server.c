/*
 * The log's side (client.h, http.h) against the witness's server over a real connection: what a gateway will
 * do. The server runs in a process of its own.
 */
#include "proc/witness/server.h"
#include "witness/http.h"
#include "witness_fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct fixture f;
static char directory[] = "/tmp/plaingate-server-XXXXXX", path[64];
static struct url url;
static pid_t child = -1;
static int connection = -1;

/* Does not return. */
static void serve(int listen_fd)
{
	struct server_options options = { .per_s = 0, .connections_max = 10 };
	struct server *server;
	struct database *store;
	bool begun;

	if (database_open(&store, path, &f.witness.key, &begun, NULL) != RC_OK)
		_exit(1);
	f.witness.store = database_interface(store);
	if (server_start(&server, listen_fd, &f.witness, store, &options, NULL) != RC_OK)
		_exit(1);
	for (;;) {
		struct pollfd p = { server_fd(server), POLLIN, 0 };
		poll(&p, 1, server_timeout_ms(server));
		server_run(server);
	}
}

static int begin(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof in;
	char text[64];

	fixture_init(&f);
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof path, "%s/db", directory);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof in) != 0 || listen(fd, 10) != 0 ||
		getsockname(fd, (struct sockaddr *)&in, &n) != 0)
		return -1;
	snprintf(text, sizeof text, "http://127.0.0.1:%u/", ntohs(in.sin_port));
	child = fork();
	if (child == 0)
		serve(fd);
	close(fd);
	return child < 0 || url_parse(&url, text, NULL) != RC_OK;
}

static int end(void **state)
{
	char command[128];

	if (child > 0 && kill(child, SIGKILL) == 0)
		waitpid(child, NULL, 0);
	if (connection >= 0)
		close(connection);
	snprintf(command, sizeof command, "rm -rf '%s'", directory);
	return system(command);
}

/* One request on the connection, which is opened when there is none. */
static const struct http_answer *ask(const char *at, const void *body, size_t body_n)
{
	static struct http_answer a;
	char bytes[32768];
	size_t n = http_request_text(bytes, sizeof bytes, &url, at, "text/plain", body, body_n), used = 0;
	enum rc rc = RC_AGAIN;

	assert_true(n > 0);
	if (connection < 0) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(url.port) };
		struct timeval wait = { 10, 0 };
		assert_int_equal(inet_pton(AF_INET, url.host, &in.sin_addr), 1);
		connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
		assert_int_equal(connect(connection, (struct sockaddr *)&in, sizeof in), 0);
	}
	assert_int_equal(send(connection, bytes, n, MSG_NOSIGNAL), n);
	http_answer_begin(&a);
	while (rc == RC_AGAIN) {
		ssize_t got = recv(connection, bytes, 7, 0); /* in small pieces */
		assert_true(got > 0);
		rc = http_answer_feed(&a, bytes, (size_t)got, &used, NULL);
		assert_int_equal(used, got);
	}
	assert_int_equal(rc, RC_OK);
	if (!a.keeps_open) {
		close(connection);
		connection = -1;
	}
	return &a;
}

/* As a gateway asks: it knows its own log, and what the answers tell it. Returns the last outcome. */
static struct witness_reply cosign(unsigned history, uint64_t size, uint64_t old, unsigned *ret_requests)
{
	struct merkle_hash root = fixture_root(&f, history, size);
	char note[1024], body[WITNESS_PEER_BODY_MAX];
	size_t note_n = fixture_note(&f, note, sizeof note, 0, NULL, size, &root);
	struct witness_reply r;

	for (*ret_requests = 1;; ++*ret_requests) {
		struct merkle_proof proof = fixture_proof(&f, history, old, size);
		size_t n = witness_request_text(body, sizeof body, old, &proof, note, note_n);
		const struct http_answer *a = ask("/add-checkpoint", body, n);
		witness_reply_read(
			&r, &f.witness.key, note, note_n, old, a->status, a->body, a->body_n, NULL);
		if (r.outcome != WITNESS_OUTCOME_RETRY || *ret_requests == 4)
			return r;
		old = r.size;
	}
}

static void a_gateway_and_its_witness(void **state)
{
	unsigned requests;
	char monitor[WITNESS_PATH_MAX];
	struct checkpoint c;
	uint64_t time_s;

	assert_int_equal(ask(witness_monitor_path(monitor, FIXTURE_ORIGIN), NULL, 0)->status, 404);
	struct witness_reply r = cosign(0, 5, 0, &requests);
	assert_int_equal(r.outcome, WITNESS_OUTCOME_GOOD);
	assert_int_equal(requests, 1);
	r = cosign(0, 12, 5, &requests);
	assert_int_equal(r.outcome, WITNESS_OUTCOME_GOOD);
	assert_int_equal(requests, 1);
	/* Its own memory is gone: one answer more, and it knows. A heartbeat. */
	r = cosign(0, 20, 0, &requests);
	assert_int_equal(r.outcome, WITNESS_OUTCOME_GOOD);
	assert_int_equal(requests, 2);
	r = cosign(0, 20, 20, &requests);
	assert_int_equal(r.outcome, WITNESS_OUTCOME_GOOD);
	/* Set back to 12 entries; set back and grown to another history. */
	r = cosign(0, 12, 12, &requests);
	assert_int_equal(r.outcome, WITNESS_OUTCOME_AHEAD);
	assert_int_equal(r.size, 20);
	r = cosign(1, 20, 12, &requests);
	assert_int_equal(r.outcome, WITNESS_OUTCOME_DISAGREES);
	r = cosign(1, 30, 12, &requests);
	assert_int_equal(r.outcome, WITNESS_OUTCOME_DISAGREES);
	assert_int_equal(requests, 2);
	/* What the witness saw is signed by the log itself. */
	const struct http_answer *a = ask(witness_monitor_path(monitor, FIXTURE_ORIGIN), NULL, 0);
	assert_int_equal(a->status, 200);
	assert_int_equal(
		witness_seen_parse(&c, &time_s, &f.log[0], &f.witness.key, a->body, a->body_n, NULL), RC_OK);
	assert_int_equal(c.size, 20);
	assert_true(time_s > 1500000000);
}

static void refusals(void **state)
{
	struct merkle_hash root = fixture_root(&f, 0, 5);
	char note[1024], body[4096];
	struct witness_reply r;
	size_t note_n = fixture_note(&f, note, sizeof note, 0, "log.example/three", 5, &root);
	size_t n = witness_request_text(body, sizeof body, 0, NULL, note, note_n);
	const struct http_answer *a = ask("/add-checkpoint", body, n);

	witness_reply_read(&r, &f.witness.key, note, note_n, 0, a->status, a->body, a->body_n, NULL);
	assert_int_equal(r.outcome, WITNESS_OUTCOME_UNKNOWN);
	note_n = fixture_note(&f, note, sizeof note, 2, FIXTURE_ORIGIN, 5, &root);
	n = witness_request_text(body, sizeof body, 0, NULL, note, note_n);
	a = ask("/add-checkpoint", body, n);
	witness_reply_read(&r, &f.witness.key, note, note_n, 0, a->status, a->body, a->body_n, NULL);
	assert_int_equal(r.outcome, WITNESS_OUTCOME_REFUSED);
	assert_int_equal(ask("/elsewhere", body, n)->status, 404);
	assert_int_equal(ask("/add-checkpoint", NULL, 0)->status, 405);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gateway_and_its_witness),
		cmocka_unit_test(refusals),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
