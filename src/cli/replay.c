/*
 * `plaingate replay`: packets of captures through the data plane's own pipeline (proc/dataplane/offline.h). The configuration and the
 * routes are the administrator's and are read first; then the program gives up root and all but memory and what is open
 * (sandbox_offline()), and only then reads the captures, which are strangers'.
 */
#include "cli/replay.h"

#include "cli/findings.h"
#include "cli/limits.h"
#include "cli/render.h"
#include "cli/source.h"
#include "model/model.h"
#include "proc/dataplane/offline.h"
#include "sandbox/sandbox.h"
#include "wire/link_header.h"
#include "wire/pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define INTERFACE_ANY UINT32_MAX /* TRAIN_NONE: by the source's route */

struct verdict_count {
	uint32_t verdict;
	char drop[PACKET_DROP_BYTES];
	uint64_t packets;
};

struct replay {
	const struct cli_line *line;
	struct offline *offline;
	uint32_t ingress;
	int fds[CLI_CAPTURES_MAX], out;
	struct pcapng_reader *reader;
	uint64_t printed, other, outbound, unsupported; /* other: no IP packet */
	struct verdict_count counts[REPLAY_COUNTS_MAX];
	size_t counts_n;
	/* of the written capture */
	struct {
		uint32_t link;
		char name[PCAPNG_NAME_MAX];
	} interfaces[REPLAY_INTERFACES_MAX];
	uint32_t interfaces_n;
	bool failed;
};

static void complain(struct replay *r, const struct err *e)
{
	struct findings f = { 0 };

	fflush(stdout);
	findings_error(&f, e->text);
	r->failed = true;
}

/* ---- what is written ---- */

static enum rc out_write(struct replay *r, const struct wr *w, struct err *e)
{
	for (size_t at = 0; !w->bad && at < wr_len(w);) {
		ssize_t n = write(r->out, w->base + at, wr_len(w) - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_errno(e, RC_IO, "write '%s'", r->line->output);
		at += (size_t)n;
	}
	return w->bad ? err_add(e, RC_INTERNAL, "a packet does not fit its block") : RC_OK;
}

static enum rc interface_number(
	struct replay *r, const struct pcapng_packet *p, uint32_t *ret_number, struct err *e)
{
	uint8_t block[256];
	struct wr w = wr_over(block, sizeof block);
	char name[PCAPNG_NAME_MAX];

	snprintf(name, sizeof name, "%.*s", (int)MIN_OF(p->name_n, PCAPNG_NAME_MAX - 1), p->name);
	for (uint32_t i = 0; i < r->interfaces_n; i++)
		if (r->interfaces[i].link == p->link && strcmp(r->interfaces[i].name, name) == 0) {
			*ret_number = i;
			return RC_OK;
		}
	if (r->interfaces_n == REPLAY_INTERFACES_MAX)
		return err_add(
			e, RC_LIMIT, "the captures have more than %d interfaces", REPLAY_INTERFACES_MAX);
	*ret_number = r->interfaces_n++;
	r->interfaces[*ret_number].link = p->link;
	memcpy(r->interfaces[*ret_number].name, name, sizeof name);
	pcapng_write_interface(&w, name, p->link, "");
	return out_write(r, &w, e);
}

static enum rc packet_write(
	struct replay *r, const struct pcapng_packet *p, const struct packet_facts *f, struct err *e)
{
	struct pcapng_packet one = *p;
	size_t room = pcapng_packet_size(p->n);
	char text[PACKET_FACTS_TEXT_MAX];
	uint8_t *block = malloc(room);
	enum rc rc =
		block ? interface_number(r, p, &one.interface, e) : err_add(e, RC_LIMIT, "out of memory");

	if (rc == RC_OK) {
		struct wr w = wr_over(block, room);
		one.comment = packet_facts_text(text, f);
		one.comment_n = (uint16_t)strlen(text);
		pcapng_write_packet(&w, &one, PCAPNG_INBOUND);
		rc = out_write(r, &w, e);
	}
	free(block);
	return rc;
}

/* ---- what is printed ---- */

static void row_json(
	struct replay *r, const char *capture, const struct pcapng_packet *p, const struct packet_facts *f)
{
	char row[REPLAY_ROW_MAX], name[REPLAY_NAME_MAX];
	struct jw w = jw_over(row, sizeof row, false);

	render_safe_text(name, sizeof name, capture, strlen(capture), false);
	jw_object(&w, NULL);
	jw_str(&w, "capture", name);
	jw_u64(&w, "frame", p->number);
	if (p->timed)
		jw_u64(&w, "time_us", p->when_ns / 1000);
	packet_facts_json(&w, f);
	if (f->drop[0])
		jw_str(&w, "reason", offline_drop_text(f->drop));
	jw_end(&w);
	if (jw_done(&w) > 0)
		printf("%s%s", r->printed ? ",\n" : "[\n", row);
}

static void row_text(const char *capture, const struct pcapng_packet *p, const struct packet_facts *f)
{
	char text[PACKET_FACTS_TEXT_MAX], src[ENDPOINT_TEXT_MAX] = "?", dst[ENDPOINT_TEXT_MAX] = "?";

	render_safe(stdout, capture, strlen(capture), false);
	if (f->src.addr.family != ADDR_NONE)
		endpoint_text(src, &f->src);
	if (f->dst.addr.family != ADDR_NONE)
		endpoint_text(dst, &f->dst);
	printf(":%llu  %s > %s  %s", (unsigned long long)p->number, src, dst, packet_facts_text(text, f));
	if (f->drop[0])
		printf(" (%s)", offline_drop_text(f->drop));
	putchar('\n');
}

static void count(struct replay *r, const struct packet_facts *f)
{
	size_t i = 0;

	while (i < r->counts_n &&
		(r->counts[i].verdict != f->verdict || strcmp(r->counts[i].drop, f->drop) != 0))
		i++;
	if (i == REPLAY_COUNTS_MAX)
		return;
	if (i == r->counts_n) {
		r->counts[r->counts_n++].verdict = f->verdict;
		memcpy(r->counts[i].drop, f->drop, sizeof f->drop);
	}
	r->counts[i].packets++;
}

static void summary(const struct replay *r)
{
	printf("%llu packets", (unsigned long long)r->printed);
	for (size_t i = 0; i < r->counts_n; i++) {
		const struct packet_facts f = { .verdict = r->counts[i].verdict };
		char text[PACKET_FACTS_TEXT_MAX];
		printf("%s%s%s%s %llu", i ? ", " : ": ", packet_facts_text(text, &f),
			r->counts[i].drop[0] ? " " : "", r->counts[i].drop,
			(unsigned long long)r->counts[i].packets);
	}
	printf("; not replayed: %llu that are no IP packets, %llu of links that are not supported, %llu that were sent by "
	       "who captured them\n",
		(unsigned long long)r->other, (unsigned long long)r->unsupported,
		(unsigned long long)r->outbound);
}

/* ---- what is read ---- */

static uint32_t ingress_of(const struct replay *r, const struct pcapng_packet *p)
{
	return r->line->ingress ? r->ingress
	       : p->name_n	? offline_interface_named(r->offline, p->name, p->name_n)
				: INTERFACE_ANY;
}

static enum rc packet(struct replay *r, const char *capture, const struct pcapng_packet *p, struct err *e)
{
	struct rd frame = rd_over(p->bytes, p->n);
	struct link_header h;
	struct packet_facts f;

	if (!link_header_known(p->link)) {
		r->unsupported++;
		return RC_OK;
	}
	link_header_take(p->link, &frame, &h);
	if (!h.ip || h.outbound || p->outbound) {
		r->other += !h.ip;
		r->outbound += h.ip;
		return RC_OK;
	}
	offline_packet(r->offline, ingress_of(r, p), frame.at, (uint32_t)rd_left(&frame), p->when_ns, &f);
	if (r->line->given & OPT(JSON))
		row_json(r, capture, p, &f);
	else
		row_text(capture, p, &f);
	r->printed++;
	count(r, &f);
	return r->out >= 0 ? packet_write(r, p, &f, e) : RC_OK;
}

/* All of an open file. The caller frees *ret_bytes. */
static enum rc file_read(int fd, const char *name, uint8_t **ret_bytes, size_t *ret_n, struct err *e)
{
	struct stat st;
	size_t at = 0;

	*ret_bytes = NULL;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_add(e, RC_IO, "'%s' is not a regular file", name);
	if ((uint64_t)st.st_size > CLI_CAPTURE_BYTES_MAX)
		return err_add(e, RC_LIMIT, "'%s' has %lld bytes, at most %llu are allowed", name,
			(long long)st.st_size, (unsigned long long)CLI_CAPTURE_BYTES_MAX);
	*ret_bytes = malloc((size_t)st.st_size + 1);
	if (!*ret_bytes)
		return err_add(e, RC_LIMIT, "out of memory for '%s'", name);
	while (at < (size_t)st.st_size) {
		ssize_t n = read(fd, *ret_bytes + at, (size_t)st.st_size - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, RC_IO, "read '%s'", name);
		if (n == 0)
			break;
		at += (size_t)n;
	}
	*ret_n = at;
	return RC_OK;
}

/* What is readable counts; what is wrong with the rest is told. */
static void capture(struct replay *r, int fd, const char *name)
{
	struct err e = { 0 };
	struct pcapng_packet p;
	uint8_t *bytes;
	size_t n = 0;
	enum rc rc = file_read(fd, name, &bytes, &n, &e);

	if (rc == RC_OK)
		rc = pcapng_open(r->reader, bytes, n, &e);
	while (rc == RC_OK && (rc = pcapng_next(r->reader, &p, &e)) == RC_OK)
		rc = packet(r, name, &p, &e);
	free(bytes);
	if (rc == RC_NOT_FOUND)
		return;
	err_add(&e, rc, "in the capture '%s'", name);
	complain(r, &e);
}

/* ---- before the sandbox ---- */

static enum rc captures_open(struct replay *r, struct err *e)
{
	const struct cli_line *line = r->line;

	for (size_t i = 0; i < line->captures_n; i++) {
		r->fds[i] = open(line->captures[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (r->fds[i] < 0)
			return err_errno(e, RC_IO, "open '%s'", line->captures[i]);
	}
	if (!line->output)
		return RC_OK;
	r->out = open(line->output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return r->out < 0 ? err_errno(e, RC_IO, "create '%s'", line->output) : RC_OK;
}

static enum rc config_read(const char *path, void **ret_block, struct err *e)
{
	struct faults faults = { 0 };
	struct findings f = { .name = path };
	uint8_t *text = NULL;
	size_t n, bytes;
	enum rc rc = source_file(path, CONFIG_TEXT_MAX, &text, &n, e);

	if (rc == RC_OK) {
		rc = model_read((const char *)text, n, path, 0, NULL, ret_block, &bytes, &faults, e);
		if (rc != RC_OK && faults.n)
			findings_faults(&f, &faults);
		if (rc != RC_OK)
			err_add(e, rc, "the configuration '%s' is not valid", path);
	}
	free(text);
	model_done();
	return rc;
}

static enum rc begin(struct replay *r, void **ret_block, struct err *e)
{
	const struct cli_line *line = r->line;
	struct offline_routes read;
	uint8_t *routes = NULL;
	size_t routes_n = 0;
	enum rc rc;

	if (!line->config)
		return err_add(e, RC_MALFORMED, "replay needs --config FILE, the configuration that decides");
	if (!line->routes)
		return err_add(e, RC_MALFORMED,
			"replay needs --routes FILE, with what the gateway prints for "
			"(ip route show table all; ip -6 route show table all)");
	rc = config_read(line->config, ret_block, e);
	if (rc == RC_OK)
		rc = source_file(line->routes, REPLAY_ROUTES_BYTES_MAX, &routes, &routes_n, e);
	if (rc == RC_OK) {
		r->offline = offline_new(
			*ret_block, (const char *)routes, routes_n, 1, OFFLINE_SESSIONS, &read, e);
		rc = r->offline ? RC_OK : e->rc;
	}
	free(routes);
	if (rc == RC_OK && line->ingress) {
		r->ingress = offline_interface_named(r->offline, line->ingress, strlen(line->ingress));
		if (r->ingress == INTERFACE_ANY)
			return err_add(e, RC_NOT_FOUND, "--ingress: no zone has an interface '%.60s'",
				line->ingress);
	}
	r->reader = rc == RC_OK ? malloc(sizeof *r->reader) : NULL;
	if (rc == RC_OK && !r->reader)
		rc = err_add(e, RC_LIMIT, "out of memory");
	return rc == RC_OK ? captures_open(r, e) : rc;
}

static void end(struct replay *r, void *block)
{
	for (size_t i = 0; i < r->line->captures_n; i++)
		if (r->fds[i] >= 0)
			close(r->fds[i]);
	if (r->out >= 0)
		close(r->out);
	offline_free(r->offline);
	free(r->reader);
	free(block);
}

int run_replay(const struct cli_line *line)
{
	static struct replay r;
	struct err e = { 0 };
	void *block = NULL;

	r = (struct replay){ .line = line, .out = -1, .ingress = INTERFACE_ANY };
	memset(r.fds, 0xff, sizeof r.fds);
	enum rc rc = begin(&r, &block, &e);
	if (rc == RC_OK)
		rc = sandbox_offline(&e);
	if (rc == RC_OK && r.out >= 0) {
		uint8_t head[256];
		struct wr w = wr_over(head, sizeof head);
		pcapng_write_section(
			&w, "plaingate " PLAINGATE_VERSION, "replay: each packet's verdict is its comment");
		rc = out_write(&r, &w, &e);
	}
	if (rc != RC_OK)
		complain(&r, &e);
	for (size_t i = 0; rc == RC_OK && i < line->captures_n; i++)
		capture(&r, r.fds[i], line->captures[i]);
	if (rc == RC_OK && line->given & OPT(JSON))
		fputs(r.printed ? "\n]\n" : "[]\n", stdout);
	else if (rc == RC_OK)
		summary(&r);
	end(&r, block);
	return r.failed ? STATUS_FAILED : STATUS_OK;
}
