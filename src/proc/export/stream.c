#include "proc/export/stream.h"

#include "base/log.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_datagram(const struct stream *s)
{
	return s->config.transport == STREAM_UDP || s->config.transport == STREAM_JOURNAL;
}

static void connection_close(struct stream *s)
{
	SSL_free(s->ssl);
	s->ssl = NULL;
	loop_remove(s->loop, &s->conn);
	if (s->conn.fd >= 0)
		close(s->conn.fd);
	s->conn.fd = -1;
	s->message_at = 0; /* again, as a whole */
	if (s->config.format == STREAM_IPFIX)
		s->message_n = 0; /* its number is that of the connection */
	s->sequence = 0;
	s->since_templates = UINT32_MAX;
}

static void fail(struct stream *s, const char *why)
{
	if (s->state == STREAM_OPEN && s->loop->now - s->opened_at >= STREAM_STEADY_NS)
		s->pause = 0;
	if (s->state == STREAM_OPEN || s->pause == 0)
		log_warn("log stream '%s' is not connected: %s", s->config.name, why);
	snprintf(s->why, sizeof s->why, "%.*s", (int)sizeof s->why - 1, why);
	connection_close(s);
	s->state = STREAM_PAUSED;
	s->pause = s->pause == 0 ? STREAM_PAUSE_MIN_NS
				 : MIN_OF(2 * s->pause,
					   is_datagram(s) ? STREAM_PAUSE_DATAGRAM_NS : STREAM_PAUSE_MAX_NS);
	loop_arm(s->loop, &s->timer, s->pause, 0);
}

static void ask(struct stream *s)
{
	s->state = STREAM_ASKED;
	loop_arm(s->loop, &s->timer, STREAM_CONNECT_NS, 0);
	if (!s->connect(s))
		fail(s, "the request could not be sent to the supervisor");
}

static void on_timer(struct loop *l, struct timer *t)
{
	struct stream *s = t->context;

	(void)l;
	if (s->state == STREAM_PAUSED)
		ask(s);
	else if (s->state == STREAM_ASKED || s->state == STREAM_HELLO)
		fail(s, s->ssl ? "no connection, or no TLS handshake, in time" : "no connection in time");
}

/* ---- the connection ---- */

/* What the call waits for. True: it waits; false: it is over, and *e says of what. */
static bool waits(struct stream *s, int result, struct err *e)
{
	int saved = errno;

	if (s->ssl) {
		int what = SSL_get_error(s->ssl, result);
		if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE) {
			s->conn.events = (short)(POLLIN | (what == SSL_ERROR_WANT_WRITE ? POLLOUT : 0));
			return true;
		}
		errno = saved;
		trust_error(s->ssl, result, e);
		return false;
	}
	if (saved == EAGAIN || saved == EINTR) {
		s->conn.events = POLLIN | POLLOUT;
		return true;
	}
	err_errno(e, RC_IO, s->state == STREAM_HELLO ? "connect" : "connection");
	return false;
}

static void opened(struct stream *s)
{
	s->state = STREAM_OPEN;
	s->opened_at = s->moved_at = s->loop->now;
	loop_disarm(s->loop, &s->timer);
	log_info("log stream '%s' is connected", s->config.name);
	s->why[0] = '\0';
}

/* True: the collector is the one that was meant, go on. */
static bool hello(struct stream *s)
{
	static const uint8_t any[sizeof s->config.server_key];
	const uint8_t *key = memcmp(s->config.server_key, any, sizeof any) != 0 ? s->config.server_key : NULL;
	struct err e = { 0 };

	if (s->ssl) {
		errno = 0;
		int result = SSL_connect(s->ssl);
		if (result != 1) {
			if (!waits(s, result, &e))
				fail(s, e.text);
			return false;
		}
		if (trust_check(s->ssl, key, &e) != RC_OK) {
			fail(s, e.text);
			return false;
		}
		opened(s);
		return true;
	}
	/* Writable, or in error, which a write of nothing does not tell: a read does. */
	char octet;
	errno = 0;
	ssize_t n = read(s->conn.fd, &octet, 1);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		err_errno(&e, RC_IO, "connect");
		fail(s, e.text);
		return false;
	}
	opened(s);
	return true;
}

/* What the collector says means nothing; that it ended does. False: it is over. */
static bool drain(struct stream *s)
{
	char octets[4096];
	struct err e = { 0 };

	errno = 0;
	int n = s->ssl ? SSL_read(s->ssl, octets, sizeof octets)
		       : (int)read(s->conn.fd, octets, sizeof octets);
	if (n > 0)
		return true;
	bool ended = s->ssl ? SSL_get_error(s->ssl, n) == SSL_ERROR_ZERO_RETURN : n == 0 && !is_datagram(s);
	if (!ended && waits(s, n, &e))
		return true;
	fail(s, ended ? "the collector ended the connection" : e.text);
	return false;
}

static bool templates_due(const struct stream *s)
{
	return s->config.format == STREAM_IPFIX &&
	       (s->since_templates == UINT32_MAX ||
		       (s->config.transport == STREAM_UDP && s->since_templates >= STREAM_TEMPLATES_EVERY));
}

static size_t record_put(struct stream *s, const struct session_record *r)
{
	if (s->config.transport == STREAM_JOURNAL)
		return export_journal(s->message, r);
	if (s->config.format == STREAM_IPFIX)
		return export_ipfix((uint8_t *)s->message, r, s->sequence, (uint32_t)(s->clock() / 1000000));
	return export_syslog(s->message, r, s->host_name, s->config.transport != STREAM_UDP);
}

static void record_drop(struct stream *s)
{
	s->head = (s->head + 1) % STREAM_QUEUE_MAX;
	s->queued--;
}

static bool message_next(struct stream *s)
{
	while (s->message_n == 0 && s->queued > 0) {
		s->message_at = 0;
		s->templates = templates_due(s);
		s->message_n = s->templates ? export_ipfix_templates((uint8_t *)s->message, s->sequence,
						      (uint32_t)(s->clock() / 1000000))
					    : record_put(s, &s->queue[s->head]);
		if (s->message_n == 0) /* IPFIX has no word for it; of syslog it cannot be */
			record_drop(s);
	}
	return s->message_n > 0;
}

static void message_done(struct stream *s)
{
	s->message_n = 0;
	if (s->templates) {
		s->since_templates = 0;
		return;
	}
	record_drop(s);
	s->since_templates++;
	s->sequence++;
	s->sent++;
	s->full_said = s->full_said && s->queued > 0;
}

static void pump(struct stream *s)
{
	struct err e = { 0 };

	s->conn.events = POLLIN;
	for (int i = 0; i < STREAM_EACH_ROUND; i++) {
		if (!message_next(s))
			return;
		const char *from = s->message + s->message_at;
		size_t left = s->message_n - s->message_at;
		errno = 0;
		int n = s->ssl ? SSL_write(s->ssl, from, (int)left) : (int)write(s->conn.fd, from, left);
		if (n <= 0) {
			if (!waits(s, n, &e))
				fail(s, e.text);
			return;
		}
		s->message_at += (size_t)n;
		s->moved_at = s->loop->now;
		if (s->message_at == s->message_n)
			message_done(s);
	}
	s->conn.events = POLLIN | POLLOUT; /* more the next time round */
}

static void on_ready(struct loop *l, struct watch *w, short revents)
{
	struct stream *s = w->context;

	(void)l;
	ERR_clear_error();
	if (s->state == STREAM_HELLO && !hello(s))
		return;
	if (s->state == STREAM_OPEN && revents & (POLLIN | POLLHUP | POLLERR) && !drain(s))
		return;
	if (s->state == STREAM_OPEN)
		pump(s);
}

void stream_connected(struct stream *s, int fd)
{
	static const uint8_t any[sizeof s->config.server_key];
	bool key = memcmp(s->config.server_key, any, sizeof any) != 0;
	struct url url = { .port = s->config.to.port, .tls = true };

	if (s->state != STREAM_ASKED) {
		close(fd);
		return;
	}
	s->conn.fd = fd;
	s->conn.events = POLLOUT;
	s->state = STREAM_HELLO;
	if (s->config.server_name[0]) {
		snprintf(url.host, sizeof url.host, "%.*s", URL_HOST_MAX - 1, s->config.server_name);
	} else {
		url.address = s->config.to.addr;
		addr_text(url.host, &url.address);
	}
	if (s->config.transport == STREAM_TLS && !key && s->authorities == 0)
		fail(s, "TLS: no certificate of an authority could be read; set authorities or server-key");
	else if (s->config.transport == STREAM_TLS &&
		 !(s->ssl = trust_begin(s->trust, &url, false, key ? s->config.server_key : NULL, fd)))
		fail(s, "TLS: out of memory");
	else
		loop_add(s->loop, &s->conn);
}

void stream_refused(struct stream *s, const char *why)
{
	if (s->state == STREAM_ASKED)
		fail(s, why);
}

/* ---- the queue ---- */

static void push(struct stream *s, const struct session_record *r)
{
	s->queue[(s->head + s->queued) % STREAM_QUEUE_MAX] = *r;
	s->queued++;
}

void stream_put(struct stream *s, const struct session_record *r)
{
	const struct session_record lost = { .event = SESSION_EVENT_LOST, .at = r->at, .count = s->unsaid };

	if (s->state == STREAM_OFF)
		return;
	if (s->queued + 2 > STREAM_QUEUE_MAX) {
		if (!s->full_said)
			log_warn(
				"log stream '%s' has as many records waiting as it can: more are lost, and counted",
				s->config.name);
		s->full_said = true;
		s->lost++;
		s->unsaid++;
		return;
	}
	if (s->queued == 0)
		s->moved_at = s->loop->now;
	if (s->unsaid > 0) {
		s->unsaid = 0;
		push(s, &lost);
	}
	push(s, r);
	if (s->state == STREAM_OPEN) /* sent when the collector takes more, which it mostly does */
		s->conn.events = (short)(s->conn.events | POLLOUT);
}

/* ---- configuration ---- */

void stream_init(struct stream *s, struct loop *l, bool (*connect)(struct stream *s), void *context)
{
	*s = (struct stream){ .loop = l,
		.connect = connect,
		.context = context,
		.since_templates = UINT32_MAX,
		.clock = clock_utc };
	s->conn = (struct watch){ .fd = -1, .fn = on_ready, .context = s };
	s->timer.fn = on_timer;
	s->timer.context = s;
}

/* What the supervisor was asked for may be the socket of another one, where numbers have changed. */
static void begin_again(struct stream *s)
{
	connection_close(s);
	s->message_n = 0;
	s->pause = 0;
	s->why[0] = '\0';
	s->state = STREAM_PAUSED; /* authorities follow the list */
	loop_arm(s->loop, &s->timer, 100 * NS_PER_MS, 0);
}

bool stream_begin(
	struct stream *s, const struct snap_log_stream *config, uint32_t index, const char *host_name)
{
	bool same = s->state != STREAM_OFF && memcmp(&s->config, config, sizeof *config) == 0;
	bool asked = s->state == STREAM_ASKED && s->index != index;
	struct err e = { 0 };

	snprintf(s->host_name, sizeof s->host_name, "%s", host_name);
	s->index = index;
	if (same) {
		if (asked)
			begin_again(s);
		return true;
	}
	s->config = *config;
	s->queue = s->queue ? s->queue : calloc(STREAM_QUEUE_MAX, sizeof s->queue[0]);
	if (!s->queue || (config->transport == STREAM_TLS && stream_trust(s, NULL, 0, &e) != RC_OK)) {
		stream_end(s);
		return false;
	}
	begin_again(s);
	return true;
}

/* What is under way keeps what it began with: an SSL holds its SSL_CTX. */
enum rc stream_trust(struct stream *s, const char *pem, size_t n, struct err *e)
{
	SSL_CTX *next;
	enum rc rc = trust_make(&next, pem, n, &s->authorities, e);

	if (rc != RC_OK)
		return rc;
	SSL_CTX_free(s->trust);
	s->trust = next;
	return RC_OK;
}

void stream_end(struct stream *s)
{
	if (s->queued > 0)
		log_warn(
			"log stream '%s' ends with %u records that were not sent", s->config.name, s->queued);
	connection_close(s);
	loop_disarm(s->loop, &s->timer);
	SSL_CTX_free(s->trust);
	free(s->queue);
	stream_init(s, s->loop, s->connect, s->context);
}

mono_ns stream_stalled(const struct stream *s)
{
	mono_ns since = s->loop->now - s->moved_at;

	return s->state == STREAM_OPEN && s->queued > 0 && since >= STREAM_STALLED_NS ? since : 0;
}

const char *stream_state_text(const struct stream *s)
{
	if (s->state == STREAM_OPEN)
		return stream_stalled(s) ? "stalled" : "connected";
	return s->state == STREAM_PAUSED ? "waiting" : "connecting";
}
