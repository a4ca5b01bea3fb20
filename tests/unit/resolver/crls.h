/* CRLs: tests of test_shell.c, by whose helpers they go. */
#ifndef TESTS_RESOLVER_CRLS_H
#define TESTS_RESOLVER_CRLS_H

/* It is the directory of feeds as well. */
static void crl_list(void)
{
	const struct msg_resource r = { .kind = RESOURCE_FETCHED_CRL_DIR };

	assert_int_equal(ipc_send_RESOURCE(&others[PROC_SUPERVISOR], 0, &r, place), RC_OK);
	list_of_one(&(struct snap_dynamic){ .object = "ca",
		.name = "ca",
		.url = "http://192.0.2.7:8080/ca.crl",
		.kind = DYNAMIC_CRL,
		.interval_s = 1 });
	assert_false(area->known[0]);
}

/* The server: asked for the path in clear, it answers with that. */
static void crl_server(const char *status, const char *body, size_t n)
{
	const struct msg_feed m = { 0 };
	char asked[1024] = "", text[256];
	ssize_t got = -1;
	int fds[2];

	next(PROC_SUPERVISOR, IPC_FEED_CONNECT);
	assert_int_equal(frame.u.FEED_CONNECT.kind, DYNAMIC_CRL);
	assert_string_equal(frame.u.FEED_CONNECT.name, "ca");
	assert_int_equal(frame.u.FEED_CONNECT.to.port, 8080);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(ipc_send_FEED_SOCKET(&others[PROC_SUPERVISOR], frame.head.tag, &m, fds[1]), RC_OK);
	close(fds[1]);
	for (int ms = 0; got <= 0 && ms < ANSWER_MS; ms += 2) {
		turn(2);
		got = read(fds[0], asked, sizeof asked - 1);
	}
	assert_non_null(strstr(asked, "GET /ca.crl HTTP/1.1\r\n"));
	int head_n = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", status, n);
	memcpy(text + head_n, body, n);
	assert_int_equal(write(fds[0], text, (size_t)head_n + n), (size_t)head_n + n);
	close(fds[0]);
}

/* What stands in that file, for the certifiers to read. */
static void crl_is(const char *name, const char *body, size_t n)
{
	char path[sizeof directory + 24], text[64];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(read(fd, text, sizeof text), n);
	assert_memory_equal(text, body, n);
	close(fd);
}

static void crl_judge_one(enum proc certifier, const char *body, size_t n, enum rc says)
{
	struct msg_result r = { .rc = says, .text = "it is older" };

	do
		assert_true(comes(certifier, ANSWER_MS));
	while (frame.head.id == IPC_CRL_STATE);
	assert_int_equal(frame.head.id, IPC_CRL_OFFER);
	assert_string_equal(frame.u.CRL_OFFER.name, "ca");
	crl_is("ca.crl.new", body, n);
	assert_int_equal(ipc_send_CRL_JUDGED(&others[certifier], frame.head.tag, &r), RC_OK);
}

/* What both certifiers are given, and what they say of it: also after the first one has answered, whatever that was. */
static void crl_judge(const char *body, size_t n, enum rc openssl, enum rc gnutls)
{
	crl_judge_one(PROC_CERTIFIER_GNUTLS, body, n, gnutls);
	for (int i = 0; i < 10; i++)
		turn(2);
	crl_judge_one(PROC_CERTIFIER_OPENSSL, body, n, openssl);
}

/* The next state but those that are about nothing new. */
static void crl_state(const char *why)
{
	do
		next(PROC_CERTIFIER_OPENSSL, IPC_CRL_STATE);
	while (!strstr(frame.u.CRL_STATE.why, why) || (!why[0] && frame.u.CRL_STATE.why[0]));
	assert_string_equal(frame.u.CRL_STATE.name, "ca");
}

/* A commit may have replaced the authority's certificate, of which nothing is in the list: it is fetched long before its time. */
static void crl_with_each_list(void **state)
{
	static const char text[] = "0first";
	const struct msg_dynamics m = { .count = 1 };

	unlinkat(place, "ca.crl", 0);
	begin();
	link_to(PROC_CERTIFIER_OPENSSL);
	link_to(PROC_CERTIFIER_GNUTLS);
	crl_list();
	crl_server("200 OK", text, sizeof text);
	crl_judge(text, sizeof text, RC_OK, RC_OK);
	crl_state("");
	for (int i = 0; i < 2; i++) {
		int fd = area_new();
		area->of[0] = (struct snap_dynamic){ .object = "ca",
			.name = "ca",
			.url = "http://192.0.2.7:8080/ca.crl",
			.kind = DYNAMIC_CRL,
			.interval_s = 3600 };
		assert_int_equal(ipc_send_DYNAMICS(&others[PROC_CONTROL], 0, &m, fd), RC_OK);
		close(fd);
		found();
		take();
		crl_server("200 OK", text, sizeof text);
		crl_state("");
	}
	finish();
}

/* A certifier that puts it off for ever is entered as one that refuses. */
static void crl_put_off(void **state)
{
	static const char text[] = "0first";

	if (executable) /* its own time is the test's */
		return;
	unlinkat(place, "ca.crl", 0);
	begin();
	link_to(PROC_CERTIFIER_OPENSSL);
	link_to(PROC_CERTIFIER_GNUTLS);
	crl_list();
	for (int i = 0; i < 5; i++) {
		crl_server("200 OK", text, sizeof text);
		crl_judge(text, sizeof text, RC_OK, RC_AGAIN);
		for (int ms = 0; resolver.entry[0]->feed.awaited && ms < ANSWER_MS; ms += 2)
			turn(2);
		resolver.entry[0]->feed.next = i < 4 ? 0 : resolver.entry[0]->feed.next;
	}
	crl_state("it is older");
	assert_false(stands("ca.crl"));
	finish();
}

#endif
