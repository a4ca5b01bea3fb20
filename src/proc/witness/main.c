/*
 * plaingate-witness: a witness for anyone's log. Options, key, the logs it knows, signals; the decision is
 * src/witness, what it remembers database.h, what it says server.h. Stands by itself: no other process of
 * Plaingate is needed. One thread.
 */
#include "base/bytes.h"
#include "base/log.h"
#include "base/options.h"
#include "merkle/policy.h"
#include "proc/witness/confine.h"
#include "proc/witness/options.h"
#include "proc/witness/server.h"
#include "proc/witness/limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct option_row rows[] = {
#define E(letter, word, value, text) { letter, word, value, text },
	WITNESS_OPTIONS(E)
#undef E
};

static void usage(FILE *out)
{
	char text[OPTIONS_USAGE_MAX];

	fprintf(out,
		"usage: plaingate-witness --key FILE --db FILE --listen ADDR:PORT (--log VKEY | --policy FILE)... [OPTION]...\n"
		"       plaingate-witness --key FILE --new-key NAME\n"
		"       plaingate-witness --key FILE --show-key\n%s",
		options_usage(text, rows, COUNT_OF(rows)));
}

struct options {
	const char *key, *db, *listen, *new_key;
	const char *log[WITNESS_LOGS_MAX], *policy[WITNESS_FILES_MAX];
	size_t logs_n, policies_n;
	struct server_options server;
	bool show_key, verbose;
};

static enum rc number_read(unsigned *ret, const char *text, struct err *e)
{
	char *end;

	errno = 0;
	unsigned long v = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || v > 1000000)
		return err_add(e, RC_MALFORMED, "'%s' is not a number from 0 to 1000000", text);
	*ret = (unsigned)v;
	return RC_OK;
}

static enum rc list_add(const char **list, size_t *n, size_t max, const char *value, struct err *e)
{
	if (*n == max)
		return err_add(e, RC_LIMIT, "too many options like '%s', at most %zu", value, max);
	list[(*n)++] = value;
	return RC_OK;
}

static enum rc options_read(struct options *o, int argc, char **argv, struct err *e)
{
	struct option names[OPTIONS_MAX];
	enum rc rc = RC_OK;

	o->server = (struct server_options){ .per_s = 20, .burst = 60, .connections_max = 32 };
	options_list(names, rows, COUNT_OF(rows));
	for (int c; rc == RC_OK && (c = getopt_long(argc, argv, "", names, NULL)) >= 0;) {
		switch (c) {
		case 'k':
			o->key = optarg;
			break;
		case 'd':
			o->db = optarg;
			break;
		case 'l':
			o->listen = optarg;
			break;
		case 'o':
			rc = list_add(o->log, &o->logs_n, WITNESS_LOGS_MAX, optarg, e);
			break;
		case 'p':
			rc = list_add(o->policy, &o->policies_n, WITNESS_FILES_MAX, optarg, e);
			break;
		case 'r':
			rc = number_read(&o->server.per_s, optarg, e);
			break;
		case 'b':
			rc = number_read(&o->server.burst, optarg, e);
			break;
		case 'c':
			rc = number_read(&o->server.connections_max, optarg, e);
			break;
		case 'w':
			rc = number_read(&o->server.silence_s, optarg, e);
			break;
		case 'n':
			o->new_key = optarg;
			break;
		case 's':
			o->show_key = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			return err_add(e, RC_MALFORMED, "unknown or incomplete option; see --help");
		}
	}
	if (rc == RC_OK && optind < argc)
		rc = err_add(e, RC_MALFORMED, "'%s' is not an option", argv[optind]);
	if (rc == RC_OK && !o->key)
		rc = err_add(e, RC_MALFORMED, "--key is missing; see --help");
	if (rc == RC_OK && !o->new_key && !o->show_key &&
		(!o->db || !o->listen || o->logs_n + o->policies_n == 0))
		rc = err_add(
			e, RC_MALFORMED, "--db, --listen, or --log and --policy are missing; see --help");
	return rc;
}

/* A whole file of at most max bytes; ret_bytes holds max + 1. */
static enum rc file_read(
	const char *path, bool secret, char *ret_bytes, size_t max, size_t *ret_n, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t n = 0;
	ssize_t got = 1;

	if (fd < 0 || fstat(fd, &st) != 0) {
		if (fd >= 0)
			close(fd);
		return err_errno(e, RC_IO, "open '%s'", path);
	}
	if (secret && (st.st_mode & 077) != 0) {
		close(fd);
		return err_add(e, RC_DENIED,
			"'%s' is accessible to others than its owner (mode %03o); chmod 600", path,
			(unsigned)st.st_mode & 0777);
	}
	while (n <= max && (got = read(fd, ret_bytes + n, max + 1 - n)) > 0)
		n += (size_t)got;
	if (got < 0)
		err_errno(e, RC_IO, "read '%s'", path);
	close(fd);
	if (got < 0)
		return RC_IO;
	*ret_n = n;
	return n <= max ? RC_OK : err_add(e, RC_LIMIT, "'%s' is too long, at most %zu octets", path, max);
}

static enum rc key_load(struct witness *w, const char *path, struct err *e)
{
	char text[COSIGN_SECRET_SIZE + 1];
	size_t n;
	enum rc rc = file_read(path, true, text, sizeof text - 1, &n, e);

	if (rc == RC_OK && (rc = cosign_secret_parse(&w->key, w->seed, text, n, e)) != RC_OK)
		err_add(e, rc, "while loading '%s'", path);
	bytes_wipe(text, sizeof text);
	return rc;
}

/* Never over an existing file: a key that is gone takes the trust in its cosignatures with it. */
static enum rc key_make(const char *path, const char *name, struct err *e)
{
	char text[COSIGN_SECRET_SIZE + 1];
	uint8_t seed[ED25519_SEED_SIZE];
	enum rc rc = RC_IO;

	if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		return err_errno(e, RC_IO, "getrandom");
	if (cosign_secret_text(text, name, seed) != RC_OK) {
		bytes_wipe(seed, sizeof seed);
		return err_add(e, RC_MALFORMED,
			"'%s' is not a valid name: expected less than 128 octets without white space and '+'",
			name);
	}
	size_t n = strlen(text);
	text[n++] = '\n';
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		err_errno(e, RC_IO, "make '%s'", path);
	else if (write(fd, text, n) != (ssize_t)n || fsync(fd) != 0)
		err_errno(e, RC_IO, "write '%s'", path);
	else
		rc = RC_OK;
	if (fd >= 0)
		close(fd);
	bytes_wipe(seed, sizeof seed);
	bytes_wipe(text, sizeof text);
	return rc;
}

/* The logs that are known: what struct witness refers to. */
static struct {
	struct note_key key[WITNESS_LOGS_MAX];
	const char *origin[WITNESS_LOGS_MAX]; /* NULL: the key's name */
} logs;

static enum rc log_add(struct witness *w, const struct note_key *key, const char *origin, struct err *e)
{
	const char *is = origin ? origin : key->name;

	for (size_t i = 0; i < w->logs_n; i++)
		if (memcmp(logs.key[i].public_key, key->public_key, sizeof key->public_key) == 0 &&
			strcmp(logs.key[i].name, key->name) == 0 && strcmp(witness_log_origin(w, i), is) == 0)
			return RC_OK;
	if (w->logs_n == WITNESS_LOGS_MAX)
		return err_add(e, RC_LIMIT, "too many logs, at most %d", WITNESS_LOGS_MAX);
	logs.key[w->logs_n] = *key;
	logs.origin[w->logs_n++] = origin;
	return RC_OK;
}

/* "VKEY" or "VKEY ORIGIN": a verifier key holds no blank, an origin may. */
static enum rc log_read(struct witness *w, const char *text, struct err *e)
{
	size_t n = strcspn(text, " ");
	const char *origin = text[n] ? text + n + 1 : NULL;
	struct note_key key;
	enum rc rc = note_key_parse(&key, text, n, e);

	if (rc == RC_OK && key.type != NOTE_ED25519)
		rc = err_add(e, RC_MALFORMED, "'%s' is not a log's key: expected type 01", text);
	if (rc == RC_OK && origin && (!origin[0] || strlen(origin) >= NOTE_NAME_MAX || strchr(origin, '\n')))
		rc = err_add(e, RC_MALFORMED,
			"'%s' has an invalid origin: expected one line of 1 to %d octets", text,
			NOTE_NAME_MAX - 1);
	return rc == RC_OK ? log_add(w, &key, origin, e) : rc;
}

static enum rc logs_load(struct witness *w, const struct options *o, struct err *e)
{
	static char text[POLICY_BYTES_MAX + 1];
	static struct policy policy;
	enum rc rc = RC_OK;
	size_t n;

	w->log = logs.key;
	w->log_origin = logs.origin;
	for (size_t i = 0; rc == RC_OK && i < o->logs_n; i++)
		rc = log_read(w, o->log[i], e);
	for (size_t i = 0; rc == RC_OK && i < o->policies_n; i++) {
		rc = file_read(o->policy[i], false, text, sizeof text - 1, &n, e);
		if (rc == RC_OK && (rc = policy_parse(&policy, text, n, e)) != RC_OK)
			err_add(e, rc, "in '%s'", o->policy[i]);
		for (size_t k = 0; rc == RC_OK && k < policy.logs_n; k++)
			rc = log_add(w, &policy.log[k].key, NULL, e);
	}
	if (rc == RC_OK && w->logs_n == 0)
		rc = err_add(e, RC_NOT_FOUND, "no log is configured: none of the policies has one");
	return rc;
}

/* "192.0.2.1:8080", "[2001:db8::1]:8080"; numbers only, so that a start does not wait for a name server. */
static enum rc listen_open(int *ret_fd, const char *text, struct err *e)
{
	char host[INET6_ADDRSTRLEN + 1];
	const char *colon = strrchr(text, ':');
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM },
			*found = NULL;
	bool brackets = text[0] == '[' && colon && colon > text && colon[-1] == ']';
	size_t n = !colon ? 0 : (size_t)(colon - text) - (brackets ? 2 : 0);

	*ret_fd = -1;
	if (!colon || n == 0 || n >= sizeof host)
		return err_add(e, RC_MALFORMED, "'%s' is not an ADDR:PORT", text);
	memcpy(host, text + brackets, n);
	host[n] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return err_add(e, RC_MALFORMED, "'%s' is not a numeric ADDR:PORT", text);
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	bool good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
		    (found->ai_family != AF_INET6 ||
			    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0) &&
		    bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, 128) == 0;
	freeaddrinfo(found);
	if (!good) {
		err_errno(e, RC_IO, "listen on '%s'", text);
		if (fd >= 0)
			close(fd);
		return RC_IO;
	}
	*ret_fd = fd;
	return RC_OK;
}

static void say_where(int fd, const struct witness *w)
{
	struct sockaddr_storage address;
	socklen_t n = sizeof address;
	char host[INET6_ADDRSTRLEN] = "?", port[8] = "?", vkey[NOTE_VKEY_MAX];

	if (getsockname(fd, (struct sockaddr *)&address, &n) == 0)
		getnameinfo((struct sockaddr *)&address, n, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV);
	log_info("listening on %s%s%s:%s for %zu logs as %s", address.ss_family == AF_INET6 ? "[" : "", host,
		address.ss_family == AF_INET6 ? "]" : "", port, w->logs_n, note_key_text(vkey, &w->key));
}

/* Until SIGTERM or SIGINT. */
static enum rc serve(struct server *s, int signals, struct err *e)
{
	for (;;) {
		struct pollfd fds[] = { { server_fd(s), POLLIN, 0 }, { signals, POLLIN, 0 } };
		if (poll(fds, COUNT_OF(fds), server_timeout_ms(s)) < 0 && errno != EINTR)
			return err_errno(e, RC_IO, "poll");
		if (fds[1].revents)
			return RC_OK;
		server_run(s);
	}
}

static enum rc run(const struct options *o, struct witness *w, struct err *e)
{
	struct server *server = NULL;
	struct database *store = NULL;
	int listen_fd = -1, signals;
	uint64_t logs_n = 0, refused_n = 0;
	bool begun = false, landlock = false;
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	signal(SIGPIPE, SIG_IGN);
	signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	enum rc rc = signals >= 0 ? logs_load(w, o, e) : err_errno(e, RC_IO, "signalfd");
	if (rc == RC_OK)
		rc = database_open(&store, o->db, &w->key, &begun, e);
	if (rc == RC_OK && begun)
		log_warn("'%s' is new: this witness has no memory and accepts each log as first seen", o->db);
	if (rc == RC_OK)
		rc = database_counts(store, &logs_n, &refused_n, e);
	if (rc == RC_OK)
		rc = listen_open(&listen_fd, o->listen, e);
	if (rc == RC_OK) {
		w->store = database_interface(store);
		log_info("%llu logs were cosigned before; %llu refused requests by their keys are kept",
			(unsigned long long)logs_n, (unsigned long long)refused_n);
		rc = server_start(&server, listen_fd, w, store, &o->server, e);
	}
	if (rc == RC_OK)
		rc = witness_confine(o->db, &landlock, e);
	if (rc == RC_OK) {
		if (!landlock)
			log_warn(
				"this kernel has no Landlock: this process can access files as its user can");
		say_where(listen_fd, w);
		rc = serve(server, signals, e);
	}
	server_stop(server);
	database_close(store);
	if (signals >= 0)
		close(signals);
	return rc;
}

int main(int argc, char **argv)
{
	static struct options o;
	static struct witness w;
	char vkey[NOTE_VKEY_MAX];
	struct err e = { 0 };
	enum rc rc = options_read(&o, argc, argv, &e);

	log_init("witness", o.verbose ? LOG_DEBUG : LOG_INFO);
	if (rc == RC_OK && o.new_key)
		rc = key_make(o.key, o.new_key, &e);
	if (rc == RC_OK)
		rc = key_load(&w, o.key, &e);
	if (rc == RC_OK && (o.new_key || o.show_key))
		printf("%s\n", note_key_text(vkey, &w.key));
	else if (rc == RC_OK)
		rc = run(&o, &w, &e);
	bytes_wipe(w.seed, sizeof w.seed);
	if (rc != RC_OK)
		log_error("%s", e.text);
	return rc != RC_OK;
}
