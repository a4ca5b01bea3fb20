#include "proc/export/http.h"

#include "base/log.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Held by its clients and by who made it. */
struct http_page {
	unsigned holders;
	size_t n;
	char *text;
};

static void page_release(void *page)
{
	struct http_page *p = page;

	if (p && --p->holders == 0) {
		free(p->text);
		free(p);
	}
}

static ssize_t page_read(void *page, uint64_t at, char *ret_bytes, size_t most)
{
	const struct http_page *p = page;
	size_t n = at < p->n ? MIN_OF(p->n - (size_t)at, most) : 0;

	memcpy(ret_bytes, p->text + at, n);
	return n > 0 ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
}

static enum MHD_Result answer(
	struct MHD_Connection *c, unsigned status, const char *type, struct MHD_Response *r, bool allow)
{
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	if (allow)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	enum MHD_Result result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

/*
 * By a callback, as the page: a text that libmicrohttpd has in memory it sends together with the head by sendmsg(), which the sandbox
 * does not have, because it can name another address.
 */
static enum MHD_Result answer_page(
	struct MHD_Connection *c, unsigned status, const char *type, struct http_page *p, bool allow)
{
	struct MHD_Response *r = MHD_create_response_from_callback(p->n, 16384, page_read, p, page_release);

	if (r)
		p->holders++;
	return answer(c, status, type, r, allow);
}

static enum MHD_Result answer_line(struct MHD_Connection *c, unsigned status, const char *line)
{
	struct http_page *p = calloc(1, sizeof *p);

	if (!p)
		return MHD_NO;
	*p = (struct http_page){ .holders = 1, .n = strlen(line), .text = strdup(line) };
	enum MHD_Result result = p->text ? answer_page(c, status, "text/plain; charset=utf-8", p,
						   status == MHD_HTTP_METHOD_NOT_ALLOWED)
					 : MHD_NO;
	page_release(p);
	return result;
}

static struct http_client *client_of(struct http *h, const struct MHD_Connection *c)
{
	for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++)
		if (h->client[i].connection == c)
			return &h->client[i];
	return NULL;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *c, const char *path,
	const char *method, const char *version, const char *bytes, size_t *n, void **request)
{
	static char head_was_read, waited;
	struct http *h = context;
	struct http_client *client = client_of(h, c);

	(void)version;
	(void)bytes;
	if (!*request) { /* more of it may come, which nothing is done with */
		*request = &head_was_read;
		return MHD_YES;
	}
	if (*n > 0)
		return MHD_NO;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer_line(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n");
	if (strcmp(path, "/metrics") != 0)
		return answer_line(c, MHD_HTTP_NOT_FOUND, "no such path: expected /metrics\n");
	if (h->page && (*request == &waited || h->child->loop.now - h->made_at < HTTP_FRESH_NS))
		return answer_page(c, MHD_HTTP_OK, METRICS_CONTENT_TYPE, h->page, false);
	if (*request == &waited || !client)
		return answer_line(c, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
	*request = &waited;
	client->waits = true;
	MHD_suspend_connection(c);
	/* Behind this callback: the page may be there at once. */
	loop_arm(&h->child->loop, &h->timer, 0, 0);
	return MHD_YES;
}

static void clients_resume(struct http *h)
{
	for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++) {
		if (!h->client[i].connection || !h->client[i].waits)
			continue;
		h->client[i].waits = false;
		MHD_resume_connection(h->client[i].connection);
	}
}

static void on_page(void *context, char *text, size_t n)
{
	struct http *h = context;

	page_release(h->page);
	h->page = text ? calloc(1, sizeof *h->page) : NULL;
	if (h->page)
		*h->page = (struct http_page){ .holders = 1, .n = n, .text = text };
	else
		free(text);
	h->made_at = h->child->loop.now;
	clients_resume(h);
	loop_arm(&h->child->loop, &h->timer, 0, 0);
}

/* ---- clients ---- */

/* Whose places a client takes. An IPv4 address may come as a mapped one (RFC 4291 section 2.5.5.2), where the socket listens at ::. */
static struct ip_addr source_of(struct MHD_Connection *c)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct sockaddr_in6 a6;
	struct sockaddr_in a4;

	if (!info || !info->client_addr)
		return (struct ip_addr){ 0 };
	if (info->client_addr->sa_family == AF_INET) {
		memcpy(&a4, info->client_addr, sizeof a4);
		return addr_v4(&a4.sin_addr);
	}
	if (info->client_addr->sa_family != AF_INET6)
		return (struct ip_addr){ 0 };
	memcpy(&a6, info->client_addr, sizeof a6);
	if (memcmp(&a6.sin6_addr, mapped, sizeof mapped) == 0)
		return addr_v4((const uint8_t *)&a6.sin6_addr + sizeof mapped);
	return addr_source(addr_v6(&a6.sin6_addr));
}

static unsigned clients_of(const struct http *h, const struct ip_addr *source)
{
	unsigned n = 0;

	for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++)
		n += h->client[i].connection && addr_equal(&h->client[i].source, source);
	return n;
}

/* All places are taken: of the sources with most of them, the new client's with one more, the one that came first. */
static struct http_client *client_displaced(struct http *h, const struct ip_addr *source)
{
	struct http_client *found = NULL;
	unsigned most = 0;

	for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++) {
		struct http_client *c = &h->client[i];
		unsigned n = clients_of(h, &c->source) + addr_equal(&c->source, source);
		if (!found || n > most || (n == most && c->since < found->since)) {
			found = c;
			most = n;
		}
	}
	return found;
}

static void client_new(struct http *h, struct MHD_Connection *c)
{
	const struct ip_addr source = source_of(c);
	/* The last one that is asked for: libmicrohttpd 1.0 keeps all answers at one place. */
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_client *place = client_of(h, NULL);

	if (!place) {
		place = client_displaced(h, &source);
		/* It is closed when libmicrohttpd finds that it has ended; nothing waits for it. */
		shutdown(place->fd, SHUT_RDWR);
		if (place->waits)
			MHD_resume_connection(place->connection);
	}
	*place = (struct http_client){ .connection = c,
		.fd = info ? info->connect_fd : -1,
		.since = h->child->loop.now,
		.source = source };
}

static void on_connection(
	void *context, struct MHD_Connection *c, void **ret_context, enum MHD_ConnectionNotificationCode what)
{
	struct http *h = context;
	struct http_client *client = client_of(h, c);

	(void)ret_context;
	h->changed = true;
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		client_new(h, c);
	else if (client)
		*client = (struct http_client){ .fd = -1 };
}

static bool clients_waiting(const struct http *h)
{
	for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++)
		if (h->client[i].connection && h->client[i].waits)
			return true;
	return false;
}

/* Those whose time is over; returns when the next one's is. */
static mono_ns clients_late(struct http *h)
{
	mono_ns now = h->child->loop.now, next = UINT64_MAX;

	for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++) {
		struct http_client *c = &h->client[i];
		if (!c->connection || c->waits) /* the page has a time of its own */
			continue;
		if (now - c->since >= HTTP_CLIENT_NS)
			shutdown(c->fd, SHUT_RDWR);
		next = MIN_OF(next,
			now - c->since >= HTTP_CLIENT_NS ? NS_PER_S : HTTP_CLIENT_NS - (now - c->since));
	}
	return next;
}

/* ---- the loop ---- */

static void run(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;
	bool timed = true;

	if (!h->daemon)
		return;
	/* A client that is gone makes room for one that waits for its place, which only the next round takes. */
	for (int i = 0; i < HTTP_ROUNDS_MAX && (h->changed || (timed && ms == 0)); i++) {
		h->changed = false;
		MHD_run(h->daemon);
		timed = MHD_get_timeout(h->daemon, &ms) == MHD_YES;
	}
	mono_ns next = MIN_OF(clients_late(h), h->changed ? 0 : timed ? ms * NS_PER_MS : UINT64_MAX);
	if (next != UINT64_MAX)
		loop_arm(&h->child->loop, &h->timer, next, 0);
	if (clients_waiting(h))
		scrape_begin(&h->scrape);
}

static void on_ready(struct loop *l, struct watch *w, short revents)
{
	(void)l;
	(void)revents;
	run(w->context);
}

static void on_timer(struct loop *l, struct timer *t)
{
	(void)l;
	run(t->context);
}

void http_init(struct http *h, struct child *child)
{
	*h = (struct http){ .child = child };
	for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++)
		h->client[i].fd = -1;
	h->timer = (struct timer){ .fn = on_timer, .context = h };
	scrape_init(&h->scrape, child, on_page, h);
}

static void stop(struct http *h)
{
	if (!h->daemon)
		return;
	loop_remove(&h->child->loop, &h->watch);
	loop_disarm(&h->child->loop, &h->timer);
	clients_resume(h); /* libmicrohttpd ends none that is suspended */
	MHD_stop_daemon(h->daemon);
	h->daemon = NULL;
}

void http_configure(struct http *h, const struct snap_metrics *m)
{
	struct err e = { 0 };

	if (snapshot_metrics_check(m, &e) != RC_OK) {
		log_error("what the supervisor says of measurements is invalid: %s", e.text);
		return;
	}
	h->scrape.rules = m->rules;
	if (!m->on)
		stop(h);
}

void http_listen(struct http *h, int fd)
{
	stop(h);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, h,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)(HTTP_CLIENTS_MAX + 1),
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)(HTTP_CLIENT_NS / NS_PER_S), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)HTTP_CLIENT_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (!h->daemon) {
		log_error("measurements are not served: libmicrohttpd could not be started");
		close(fd);
		return;
	}
	h->watch = (struct watch){ .fd = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
		.events = POLLIN,
		.fn = on_ready,
		.context = h };
	loop_add(&h->child->loop, &h->watch);
}

void http_end(struct http *h)
{
	stop(h);
	scrape_end(&h->scrape);
	page_release(h->page);
	h->page = NULL;
}
