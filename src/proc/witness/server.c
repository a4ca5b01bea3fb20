#include "proc/witness/server.h"
#include "base/bytes.h"
#include "base/log.h"
#include "proc/witness/limits.h"

#include <limits.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define TEXT_TYPE "text/plain; charset=utf-8"
#define LOOK_NS	  NS_PER_S /* between looks at who is silent, and at who is late */

struct server {
	struct MHD_Daemon *daemon;
	const struct witness *witness;
	struct database *store;
	struct limit limit;
	struct silence silence;
	struct conns conns;
	mono_ns look_at;    /* the next look at who is silent and who is late */
	mono_ns no_room_at; /* no such warning before */
};

/* A request between its head and its end. */
struct request {
	enum { ADD_CHECKPOINT, GET_CHECKPOINT, GET_REFUSED } what;
	bool too_large;
	uint8_t origin_hash[SHA256_SIZE]; /* of a GET */
	mono_ns since;
	size_t n;
	char body[]; /* WITNESS_BODY_MAX of a POST */
};

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *content_type,
	const char *body, size_t n, const char *header, const char *value)
{
	/* MHD only reads what it is to copy; its type does not say so. */
	union {
		const char *read;
		void *given;
	} bytes = { .read = body };
	struct MHD_Response *r = MHD_create_response_from_buffer(n, bytes.given, MHD_RESPMEM_MUST_COPY);

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	/* What was true a second ago may be a smaller tree than now. */
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	if (header)
		MHD_add_response_header(r, header, value);
	enum MHD_Result result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result answer_line(
	struct MHD_Connection *c, unsigned status, const char *line, const char *header, const char *value)
{
	return answer(c, status, TEXT_TYPE, line, strlen(line), header, value);
}

static struct conn *conn_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static const struct sockaddr *client_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	return info ? info->client_addr : NULL;
}

/* What whoever runs the witness should know. Strangers cannot fill the log: a name stands here only when its
 * log signed, and is repeated only for another checkpoint; without room to keep it, once a minute. */
static void note_refused(struct server *s, const struct witness_answer *a, enum rc kept)
{
	const char *what =
		kept == RC_OK ? "the request is kept" : "the request is not kept: there is no room";

	if (kept == RC_EXISTS || (kept != RC_OK && clock_mono() < s->no_room_at))
		return;
	if (kept != RC_OK)
		s->no_room_at = clock_mono() + SERVER_NO_ROOM_EVERY_NS;
	if (a->forked)
		log_warn("the key of '%s' has signed two roots for %llu entries; %s", a->origin,
			(unsigned long long)a->size, what);
	else
		log_warn("%llu entries of '%s' are not cosigned: %.*s; %s", (unsigned long long)a->size,
			a->origin, (int)strcspn(a->body, "\n"), a->body, what);
}

static void note_answer(const struct witness_answer *a)
{
	int n = (int)strcspn(a->body, "\n");

	if (a->status == WITNESS_COSIGNED)
		log_debug("cosigned %llu entries of '%s'", (unsigned long long)a->size, a->origin);
	else if (a->status == WITNESS_STORE_FAILED || a->status == WITNESS_CLOCK_BEHIND)
		log_error("%.*s", n, a->body);
	else
		log_debug("%d: %.*s", (int)a->status, n, a->body);
}

static struct checkpoint checkpoint_of(const struct witness_answer *a)
{
	struct checkpoint c = { .size = a->size, .root = a->root };

	memcpy(c.origin, a->origin, sizeof a->origin);
	return c;
}

/* A request by a log's own key that was not cosigned: evidence, perhaps. */
static void refused_keep(
	struct server *s, const struct request *q, const struct witness_answer *a, uint64_t now_s)
{
	const struct checkpoint of = checkpoint_of(a);
	struct err e = { 0 };
	enum rc rc = database_refused_add(s->store, &of, a->forked, now_s, q->body, q->n, &e);

	if (rc != RC_OK && rc != RC_EXISTS && rc != RC_LIMIT)
		log_error("a refused request could not be kept: %s", e.text);
	note_refused(s, a, rc);
}

/* Check and keep in one transaction; what the client hears stands on the disk. */
static void decide(struct server *s, const struct request *q, struct witness_answer *ret_answer)
{
	uint64_t now_s = clock_utc() / 1000000;
	struct err e = { 0 };
	enum rc rc = database_begin(s->store, &e);

	if (rc == RC_OK) {
		witness_add_checkpoint(s->witness, q->body, q->n, now_s, ret_answer);
		const struct checkpoint of = checkpoint_of(ret_answer);
		if (ret_answer->status == WITNESS_COSIGNED &&
			database_refused_clear(s->store, &of, &e) != RC_OK)
			log_error("kept requests of this checkpoint could not be removed: %s", e.text);
		rc = database_end(s->store, ret_answer->status == WITNESS_COSIGNED, &e);
	}
	if (rc != RC_OK) {
		log_error("the request could not be decided: %s", e.text);
		memset(ret_answer, 0, sizeof *ret_answer);
		ret_answer->status = WITNESS_STORE_FAILED;
		ret_answer->content_type = TEXT_TYPE;
		ret_answer->body_n = (size_t)snprintf(
			ret_answer->body, sizeof ret_answer->body, "the checkpoint could not be stored\n");
		return;
	}
	note_answer(ret_answer);
	if (ret_answer->status == WITNESS_INCONSISTENT || ret_answer->forked)
		refused_keep(s, q, ret_answer, now_s);
	mono_ns silent;
	if (ret_answer->status == WITNESS_COSIGNED &&
		silence_heard(&s->silence, ret_answer->origin, clock_mono(), &silent))
		log_info("log '%s' is cosigned again, after %llu s", ret_answer->origin,
			(unsigned long long)(silent / NS_PER_S));
}

/* "/<64 lowercase hex digits>/<file>" */
static bool monitor_path_parse(const char *path, const char *file, uint8_t ret_hash[SHA256_SIZE])
{
	char hex[2 * SHA256_SIZE + 1], again[2 * SHA256_SIZE + 1];

	if (strlen(path) != 2 + 2 * SHA256_SIZE + strlen(file) || path[0] != '/' ||
		path[1 + 2 * SHA256_SIZE] != '/' || strcmp(path + 2 + 2 * SHA256_SIZE, file) != 0)
		return false;
	memcpy(hex, path + 1, 2 * SHA256_SIZE);
	hex[2 * SHA256_SIZE] = '\0';
	return hex_to_bytes(ret_hash, SHA256_SIZE, hex) &&
	       strcmp(hex_from_bytes(again, ret_hash, SHA256_SIZE), hex) ==
		       0; /* upper case is another path */
}

static bool path_parse(const char *path, struct request *ret_request)
{
	ret_request->what = strcmp(path, "/add-checkpoint") == 0 ? ADD_CHECKPOINT
			    : monitor_path_parse(path, "checkpoint", ret_request->origin_hash)
				    ? GET_CHECKPOINT
				    : GET_REFUSED;
	return ret_request->what != GET_REFUSED ||
	       monitor_path_parse(path, "refused", ret_request->origin_hash);
}

_Static_assert(WITNESS_BODY_MAX >= NOTE_BYTES_MAX, "one buffer for both");

static enum MHD_Result get_kept(struct server *s, struct MHD_Connection *c, const struct request *q)
{
	char bytes[WITNESS_BODY_MAX];
	struct err e = { 0 };
	size_t n;
	enum rc rc = q->what == GET_CHECKPOINT ? database_note(s->store, q->origin_hash, bytes, &n, &e)
					       : database_refused(s->store, q->origin_hash, bytes, &n, &e);

	if (rc == RC_NOT_FOUND)
		return answer_line(c, MHD_HTTP_NOT_FOUND, "nothing is kept for this origin\n", NULL, NULL);
	if (rc != RC_OK) {
		log_error("the store could not be read: %s", e.text);
		return answer_line(
			c, MHD_HTTP_INTERNAL_SERVER_ERROR, "the store could not be read\n", NULL, NULL);
	}
	return answer(c, MHD_HTTP_OK, TEXT_TYPE, bytes, n, NULL, NULL);
}

/* The head of a request, before its body: what can be refused now is. */
static enum MHD_Result request_begin(struct server *s, struct MHD_Connection *c, const char *path,
	const char *method, struct request **ret_request)
{
	const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	struct request head = { .since = clock_mono() };

	if (!path_parse(path, &head))
		return answer_line(c, MHD_HTTP_NOT_FOUND, "no such path\n", NULL, NULL);
	bool post = head.what == ADD_CHECKPOINT;
	if (post && strcmp(method, MHD_HTTP_METHOD_POST) != 0)
		return answer_line(
			c, MHD_HTTP_METHOD_NOT_ALLOWED, "POST only\n", MHD_HTTP_HEADER_ALLOW, "POST");
	if (!post && strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer_line(
			c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n", MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (!limit_allows(&s->limit, client_of(c), head.since))
		return answer_line(c, MHD_HTTP_TOO_MANY_REQUESTS, "too many requests\n",
			MHD_HTTP_HEADER_RETRY_AFTER, "1");
	if (length && strtoull(length, NULL, 10) > WITNESS_BODY_MAX)
		return answer_line(c, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large\n", NULL, NULL);
	*ret_request = malloc(sizeof head + (post ? WITNESS_BODY_MAX : 0));
	if (!*ret_request)
		return MHD_NO;
	**ret_request = head;
	return MHD_YES;
}

/* A part of the body. MHD_NO ends the connection without an answer: a client that drips, or goes on for ever.
 */
static enum MHD_Result request_more(struct request *q, const char *bytes, size_t n)
{
	if (clock_mono() - q->since > SERVER_REQUEST_S * NS_PER_S || q->n + n > 16 * WITNESS_BODY_MAX)
		return MHD_NO;
	q->too_large |= q->what != ADD_CHECKPOINT || q->n + n > WITNESS_BODY_MAX;
	if (!q->too_large)
		memcpy(q->body + q->n, bytes, n);
	q->n += n;
	return MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *c, const char *path,
	const char *method, const char *version, const char *bytes, size_t *n, void **request)
{
	struct server *s = context;
	struct request *q = *request;
	struct witness_answer a;

	if (!q) {
		conn_asked(conn_of(c));
		return request_begin(s, c, path, method, (struct request **)request);
	}
	if (*n > 0) {
		size_t part = *n;
		*n = 0;
		return request_more(q, bytes, part);
	}
	if (q->too_large)
		return answer_line(c, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large\n", NULL, NULL);
	if (q->what != ADD_CHECKPOINT)
		return get_kept(s, c, q);
	decide(s, q, &a);
	return answer(c, (unsigned)a.status, a.content_type, a.body, a.body_n, NULL, NULL);
}

static void on_completed(
	void *context, struct MHD_Connection *c, void **request, enum MHD_RequestTerminationCode how)
{
	free(*request);
	*request = NULL;
	conn_answered(conn_of(c), clock_mono());
}

/* Before a connection is taken. */
static enum MHD_Result on_client(void *context, const struct sockaddr *client, socklen_t n)
{
	const struct server *s = context;

	return conns_allow(&s->conns, client) ? MHD_YES : MHD_NO;
}

static void on_connection(
	void *context, struct MHD_Connection *c, void **ret_conn, enum MHD_ConnectionNotificationCode what)
{
	struct server *s = context;
	const union MHD_ConnectionInfo *info;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		conns_remove(&s->conns, *ret_conn);
		*ret_conn = NULL;
		return;
	}
	info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	*ret_conn = info ? conns_add(&s->conns, client_of(c), info->connect_fd, clock_mono()) : NULL;
	/* libmicrohttpd finds that they are closed, and closes its end. */
	for (struct conn *k; (k = conns_crowded(&s->conns)) != NULL;)
		shutdown(k->fd, SHUT_RDWR);
}

__attribute__((format(printf, 2, 0))) static void on_message(void *context, const char *format, va_list args)
{
	char text[512];

	vsnprintf(text, sizeof text, format, args);
	text[strcspn(text, "\n")] = '\0';
	log_debug("libmicrohttpd: %s", text);
}

/* Logs that were cosigned before this start are waited for as well. */
static void silence_recall(struct server *s)
{
	struct witness_head head;
	mono_ns silent;

	if (database_begin(s->store, NULL) != RC_OK)
		return;
	for (size_t i = 0; i < s->witness->logs_n; i++) {
		const char *origin = witness_log_origin(s->witness, i);
		if (s->witness->store.get(s->witness->store.context, origin, &head, NULL) == RC_OK)
			silence_heard(&s->silence, origin, clock_mono(), &silent);
	}
	database_end(s->store, false, NULL);
}

static void look(struct server *s)
{
	mono_ns now = clock_mono(), silent;
	const char *origin;
	struct conn *late;

	if (now < s->look_at)
		return;
	s->look_at = now + LOOK_NS;
	while (s->silence.after > 0 && (origin = silence_next(&s->silence, now, &silent)) != NULL)
		log_warn("log '%s' has had nothing cosigned for %llu s", origin,
			(unsigned long long)(silent / NS_PER_S));
	while ((late = conns_late(&s->conns, SERVER_REQUEST_S * NS_PER_S, now)) != NULL)
		shutdown(late->fd, SHUT_RDWR);
}

enum rc server_start(struct server **ret_server, int listen_fd, const struct witness *witness,
	struct database *store, const struct server_options *options, struct err *e)
{
	struct server *s = calloc(1, sizeof *s);
	uint8_t key[16];

	if (!s || getrandom(key, sizeof key, 0) != (ssize_t)sizeof key) {
		free(s);
		close(listen_fd);
		return err_add(e, RC_LIMIT, "out of memory, or no random numbers, for the server");
	}
	s->witness = witness;
	s->store = store;
	limit_init(&s->limit, key, options->per_s, options->burst);
	if (!silence_init(&s->silence, witness->log, witness->logs_n, options->silence_s)) {
		free(s);
		close(listen_fd);
		return err_add(e, RC_LIMIT, "out of memory for the server");
	}
	if (options->silence_s > 0)
		silence_recall(s);
	s->conns.each_max = options->connections_max;
	s->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, on_client, s, on_request, s,
		MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNS_MAX, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
		s, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SERVER_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)(32 * 1024), MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, NULL, MHD_OPTION_END);
	if (!s->daemon) {
		silence_done(&s->silence);
		free(s);
		close(listen_fd);
		return err_add(e, RC_INTERNAL, "libmicrohttpd could not be started");
	}
	*ret_server = s;
	return RC_OK;
}

int server_fd(const struct server *s)
{
	return MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

int server_timeout_ms(const struct server *s)
{
	const int look_ms = LOOK_NS / NS_PER_MS;
	bool looks = s->silence.after > 0 || s->conns.n > 0;
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(s->daemon, &ms) != MHD_YES)
		return looks ? look_ms : -1;
	if (looks && ms > (unsigned)look_ms)
		return look_ms;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

void server_run(struct server *s)
{
	MHD_run(s->daemon);
	look(s);
}

void server_stop(struct server *s)
{
	if (!s)
		return;
	MHD_stop_daemon(s->daemon);
	silence_done(&s->silence);
	free(s);
}
