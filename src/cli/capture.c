/*
 * `plaingate capture`: makes the memory that the data plane writes packets to (ipc/capture_ring.h), asks control for the capture, which is
 * entered in the ledger before it begins, and writes what comes as pcapng, verdict and rule as each packet's comment.
 * Files are bounded by --file-size and --files: the newest is FILE, then FILE.1 and so on.
 */
#include "cli/capture.h"

#include "cli/client.h"
#include "cli/findings.h"
#include "cli/limits.h"
#include "ipc/capture_ring.h"
#include "wire/link_header.h"
#include "wire/pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct next {
	bool have;
	struct capture_record record;
	const uint8_t *bytes;
};

struct capture_run {
	const struct cli_line *line;
	struct capture_memory *memory;
	struct client_memory given; /* by the gateway */
	int file;
	uint64_t file_bytes, written, to_utc_ns; /* added to the monotonic clock */
	uint64_t tail[WORKERS_MAX];
	struct next next[WORKERS_MAX];
	char interfaces[CAPTURE_INTERFACES_MAX][PCAPNG_NAME_MAX]; /* of the present file */
	uint32_t interfaces_n;
	uint8_t *block;
	struct err e;
};

static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
	stopped = 1;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- files ---- */

static const char *file_name(char ret_name[CAPTURE_PATH_MAX], const struct cli_line *line, uint32_t i)
{
	if (i == 0)
		snprintf(ret_name, CAPTURE_PATH_MAX, "%s", line->output);
	else
		snprintf(ret_name, CAPTURE_PATH_MAX, "%s.%u", line->output, i);
	return ret_name;
}

static enum rc file_write(struct capture_run *c, const struct wr *w)
{
	for (size_t at = 0; !w->bad && at < wr_len(w);) {
		ssize_t n = write(c->file, w->base + at, wr_len(w) - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_errno(&c->e, RC_IO, "write '%s'", c->line->output);
		at += (size_t)n;
	}
	c->file_bytes += wr_len(w);
	return w->bad ? err_add(&c->e, RC_INTERNAL, "a packet does not fit its block") : RC_OK;
}

static enum rc file_begin(struct capture_run *c)
{
	uint8_t head[PCAPNG_COMMENT_MAX + 256];
	char filters[PACKET_FILTERS_TEXT_MAX];
	struct wr w = wr_over(head, sizeof head);

	c->file = open(c->line->output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (c->file < 0)
		return err_errno(&c->e, RC_IO, "create '%s'", c->line->output);
	c->file_bytes = 0;
	c->interfaces_n = 0;
	pcapng_write_section(
		&w, "plaingate " PLAINGATE_VERSION, packet_filters_text(filters, &c->line->packets));
	return file_write(c, &w);
}

/* Nothing that was there before is overwritten. */
static enum rc files_check(struct capture_run *c)
{
	char name[CAPTURE_PATH_MAX];

	if (strlen(c->line->output) + 16 > CAPTURE_PATH_MAX)
		return err_add(&c->e, RC_RANGE, "the path of the file is too long");
	for (uint32_t i = 0; i < MAX_OF(c->line->files, 1u); i++)
		if (access(file_name(name, c->line, i), F_OK) == 0)
			return err_add(&c->e, RC_EXISTS, "'%s' exists: expected a name of no file", name);
	return RC_OK;
}

static enum rc files_rotate(struct capture_run *c)
{
	char from[CAPTURE_PATH_MAX], to[CAPTURE_PATH_MAX];

	close(c->file);
	c->file = -1;
	for (uint32_t i = c->line->files - 1; i > 0; i--)
		if (rename(file_name(from, c->line, i - 1), file_name(to, c->line, i)) < 0 && errno != ENOENT)
			return err_errno(&c->e, RC_IO, "rename '%s'", from);
	if (c->line->files == 1 && unlink(c->line->output) < 0)
		return err_errno(&c->e, RC_IO, "remove '%s'", c->line->output);
	return file_begin(c);
}

static enum rc interface_number(struct capture_run *c, const char *name, uint32_t *ret_number)
{
	uint8_t block[256];
	struct wr w = wr_over(block, sizeof block);

	for (*ret_number = 0; *ret_number < c->interfaces_n; (*ret_number)++)
		if (strcmp(c->interfaces[*ret_number], name) == 0)
			return RC_OK;
	if (c->interfaces_n == CAPTURE_INTERFACES_MAX)
		return err_add(&c->e, RC_LIMIT, "packets came by more than %d interfaces and tunnels",
			CAPTURE_INTERFACES_MAX);
	snprintf(c->interfaces[c->interfaces_n++], PCAPNG_NAME_MAX, "%.63s", name);
	pcapng_write_interface(&w, name, LINKTYPE_RAW, "");
	return file_write(c, &w);
}

/* ---- packets ---- */

static enum rc packet_write(struct capture_run *c, const struct next *next)
{
	const struct capture_record *r = &next->record;
	const struct packet_facts *f = &r->facts;
	char text[PACKET_FACTS_TEXT_MAX], name[NAME_MAX_BYTES + 16];
	const char *link = r->out ? f->out_interface : f->in_interface,
		   *tunnel = r->out ? f->out_tunnel : f->in_tunnel;
	struct pcapng_packet p = {
		.bytes = next->bytes, .n = r->n, .wire_n = r->n, .when_ns = r->when + c->to_utc_ns
	};

	if (r->stage == CAPTURE_DECRYPTED)
		snprintf(name, sizeof name, "tunnel:%.*s", NAME_MAX_BYTES - 1, tunnel);
	else
		snprintf(name, sizeof name, "%.*s", NAME_MAX_BYTES - 1, link);
	name[PCAPNG_NAME_MAX - 1] = '\0';
	if (c->line->files && c->file_bytes > c->line->file_size && files_rotate(c) != RC_OK)
		return c->e.rc;
	if (interface_number(c, name, &p.interface) != RC_OK)
		return c->e.rc;
	p.comment = packet_facts_text(text, f);
	p.comment_n = (uint16_t)strlen(text);
	struct wr w = wr_over(c->block, pcapng_packet_size(CAPTURE_RING_BYTES));
	pcapng_write_packet(&w, &p, r->out ? PCAPNG_OUTBOUND : PCAPNG_INBOUND);
	c->written++;
	return file_write(c, &w);
}

/* The oldest packet of all workers. */
static struct next *oldest(struct capture_run *c)
{
	struct next *first = NULL;
	bool bad = false;

	for (uint32_t i = 0; i < WORKERS_MAX && !bad; i++) {
		struct next *n = &c->next[i];
		if (!n->have)
			n->have = capture_ring_next(
				&c->memory->ring[i], &c->tail[i], &n->record, &n->bytes, &bad);
		if (n->have && (!first || n->record.when < first->record.when))
			first = n;
	}
	if (bad)
		err_add(&c->e, RC_MALFORMED, "the data plane wrote a record of a packet that cannot be");
	return bad ? NULL : first;
}

static bool is_done(const struct capture_run *c)
{
	return stopped || c->e.rc || ((c->line->given & OPT(COUNT)) && c->written >= c->line->count);
}

/* What the gateway has given is what the data plane writes to. */
static bool memory_map(struct capture_run *c)
{
	if (c->memory || c->given.fd < 0)
		return c->memory != NULL;
	void *p = c->given.bytes == sizeof *c->memory
			  ? mmap(NULL, sizeof *c->memory, PROT_READ | PROT_WRITE, MAP_SHARED, c->given.fd, 0)
			  : MAP_FAILED;
	if (p == MAP_FAILED)
		err_errno(&c->e, RC_IO, "map memory for captured packets");
	else
		c->memory = p;
	return c->memory != NULL;
}

static bool drain(void *context)
{
	struct capture_run *c = context;
	struct next *next;

	if (!memory_map(c))
		return !is_done(c);
	while (!is_done(c) && (next = oldest(c))) {
		if (packet_write(c, next) != RC_OK)
			break;
		next->have = false;
		size_t i = (size_t)(next - c->next);
		capture_release(&c->memory->ring[i], c->tail[i]);
	}
	return !is_done(c);
}

static uint64_t lost(const struct capture_run *c)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		n += atomic_load(&c->memory->ring[i].lost);
	return n;
}

/* How many were lost stands in the file as well. */
static void statistics(struct capture_run *c)
{
	uint8_t block[128];
	struct wr w = wr_over(block, sizeof block);

	if (c->file < 0 || c->interfaces_n == 0 || c->e.rc)
		return;
	pcapng_write_statistics(&w, 0, clock_ns(CLOCK_REALTIME), c->written + lost(c), lost(c));
	file_write(c, &w);
}

/* ---- the command ---- */

static enum rc stages_read(const char *text, uint32_t *ret_stages, struct err *e)
{
	static const char *const words[] = {
#define E(id, word) [CAPTURE_##id] = word,
		CAPTURE_STAGES(E)
#undef E
	};

	*ret_stages = 0;
	for (const char *at = text;; at++) {
		size_t n = strcspn(at, ","), i = 0;
		while (i < COUNT_OF(words) && (strlen(words[i]) != n || memcmp(words[i], at, n) != 0))
			i++;
		if (i == COUNT_OF(words))
			return err_add(e, RC_MALFORMED,
				"--stage: '%.60s' found, expected received, sent, decrypted, or several with commas",
				text);
		*ret_stages |= 1u << i;
		at += n;
		if (*at == '\0')
			return RC_OK;
	}
}

static enum rc begin(struct capture_run *c, struct msg_cli_request *q)
{
	const struct cli_line *line = c->line;

	q->packets = line->packets;
	q->stages = 1u << CAPTURE_RECEIVED | 1u << CAPTURE_SENT;
	if (!line->output)
		return err_add(&c->e, RC_MALFORMED, "capture needs -o FILE, the file to write");
	if (!line->files != !line->file_size)
		return err_add(
			&c->e, RC_MALFORMED, "--files and --file-size belong together: give both or none");
	if (line->stage && stages_read(line->stage, &q->stages, &c->e) != RC_OK)
		return c->e.rc;
	if (files_check(c) != RC_OK)
		return c->e.rc;
	c->block = malloc(pcapng_packet_size(CAPTURE_RING_BYTES));
	return c->block ? file_begin(c) : err_add(&c->e, RC_LIMIT, "out of memory");
}

int run_capture(const struct cli_line *line)
{
	static struct capture_run c;
	struct msg_cli_request q = { .command = CLI_CAPTURE };
	struct sigaction stop = { .sa_handler = on_signal };
	struct msg_result result = { 0 };
	struct findings f = { 0 };

	c = (struct capture_run){ .line = line, .given.fd = -1, .file = -1 };
	c.to_utc_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	if (begin(&c, &q) == RC_OK)
		client_request_watched(line->socket, &q, &c.given, NULL, drain, &c, &result, &c.e);
	if (!c.e.rc && result.rc)
		err_add(&c.e, (enum rc)result.rc, "%s",
			result.text[0] ? result.text : rc_text((enum rc)result.rc));
	if (c.memory && !result.rc)
		drain(&c);
	if (c.memory)
		statistics(&c);
	if (c.file >= 0 && close(c.file) < 0 && !c.e.rc)
		err_errno(&c.e, RC_IO, "write '%s'", line->output);
	if (c.block && c.written == 0 && result.rc)
		unlink(line->output); /* nothing was captured into it */
	if (c.e.rc)
		findings_error(&f, c.e.text);
	if (c.memory && !result.rc)
		printf("%llu packets captured, %llu lost\n", (unsigned long long)c.written,
			(unsigned long long)lost(&c));
	free(c.block);
	if (c.memory)
		munmap(c.memory, sizeof *c.memory);
	if (c.given.fd >= 0)
		close(c.given.fd);
	return c.e.rc ? STATUS_FAILED : STATUS_OK;
}
