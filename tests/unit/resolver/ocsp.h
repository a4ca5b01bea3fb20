/* Questions to OCSP responders: tests of test_shell.c, by whose helpers they go. */
#ifndef TESTS_RESOLVER_OCSP_H
#define TESTS_RESOLVER_OCSP_H

static void ocsp_ask(enum proc certifier, uint64_t tag, const char *name, uint32_t n)
{
	struct msg_ocsp_ask m = { .n = n };

	snprintf(m.name, sizeof m.name, "%s", name);
	memset(m.request, 0xfb, sizeof m.request); /* in base64 that has to be escaped */
	assert_int_equal(ipc_send_OCSP_ASK(&others[certifier], tag, &m), RC_OK);
}

/* The responder: asked for that, it answers with these octets. */
static void ocsp_server(const char *asked_for, const char *body, size_t n)
{
	const struct msg_feed m = { 0 };
	char asked[2048] = "", text[256];
	ssize_t got = -1;
	int fds[2];

	next(PROC_SUPERVISOR, IPC_FEED_CONNECT);
	assert_int_equal(frame.u.FEED_CONNECT.kind, DYNAMIC_OCSP);
	assert_string_equal(frame.u.FEED_CONNECT.name, "ca");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(ipc_send_FEED_SOCKET(&others[PROC_SUPERVISOR], frame.head.tag, &m, fds[1]), RC_OK);
	close(fds[1]);
	for (int ms = 0; got <= 0 && ms < ANSWER_MS; ms += 2) {
		turn(2);
		got = read(fds[0], asked, sizeof asked - 1);
	}
	if (!strstr(asked, asked_for))
		fail_msg("'%s' was asked, '%s' was expected", asked, asked_for);
	int head_n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
	memcpy(text + head_n, body, n);
	assert_int_equal(write(fds[0], text, (size_t)head_n + n), (size_t)head_n + n);
	close(fds[0]);
}

static void ocsp_answered(enum proc certifier, uint64_t tag, const char *octets, const char *why)
{
	const struct msg_ocsp_answer *m = &frame.u.OCSP_ANSWER;

	next(certifier, IPC_OCSP_ANSWER);
	assert_int_equal(frame.head.tag, tag);
	assert_int_equal(m->n, strlen(octets));
	assert_memory_equal(m->octets, octets, m->n);
	if (!strstr(m->why, why))
		fail_msg("'%s' is not in '%s'", why, m->why);
}

/* Only who asks hears of it, only about what the configuration names, in a time, and not too many at once. */
static void ocsp(void **state)
{
	const enum proc openssl = PROC_CERTIFIER_OPENSSL, gnutls = PROC_CERTIFIER_GNUTLS;

	begin();
	link_to(openssl);
	link_to(gnutls);
	list_of_one(&(struct snap_dynamic){
		.object = "ca", .name = "ca", .url = "http://192.0.2.7:8080/o", .kind = DYNAMIC_OCSP });
	ocsp_ask(openssl, 7, "ca", 4);
	ocsp_server("GET /o/%2B%2Fv7%2Bw%3D%3D HTTP/1.1\r\n", "anything", 8);
	ocsp_answered(openssl, 7, "anything", "");
	/* more than 255 octets of GET: RFC 5019 has it posted */
	ocsp_ask(gnutls, 8, "ca", OCSP_REQUEST_MAX);
	ocsp_server("POST /o HTTP/1.1\r\n", "else", 4);
	ocsp_answered(gnutls, 8, "else", "");
	ocsp_ask(gnutls, 9, "another", 4);
	ocsp_answered(gnutls, 9, "", "has no OCSP responder");
	ocsp_ask(gnutls, 10, "ca", OCSP_REQUEST_MAX + 1);
	ocsp_answered(gnutls, 10, "", "too long");
	/* as many as one may, and one more; the other one has its own room */
	for (uint64_t i = 0; i < OCSP_ASKED_MAX; i++)
		ocsp_ask(openssl, 20 + i, "ca", 4);
	ocsp_ask(openssl, 40, "ca", 4);
	ocsp_answered(openssl, 40, "", "more questions");
	ocsp_ask(gnutls, 41, "ca", 4);
	/* nobody opens a connection for them: in the end there is an answer all the same */
	for (uint64_t i = 0; i < OCSP_ASKED_MAX; i++) {
		next(openssl, IPC_OCSP_ANSWER);
		assert_int_equal(frame.u.OCSP_ANSWER.n, 0);
	}
	ocsp_answered(gnutls, 41, "", "in time");
	while (comes(PROC_SUPERVISOR, 100))
		assert_int_equal(frame.head.id, IPC_FEED_CONNECT);
	finish();
}

#endif
