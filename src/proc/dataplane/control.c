/*
 * Messages between the data plane and the other processes. Nothing here blocks: what a link does not accept
 * waits in the link's queue, or is dropped.
 */
#include "base/json.h"
#include "base/log.h"
#include "base/rate.h"
#include "base/siphash.h"
#include "proc/dataplane/dataplane.h"
#include "proc/dataplane/record.h"
#include "proc/dataplane/rule_log.h"

#include <sys/stat.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void socket_replace(int *at, int fd)
{
	if (*at >= 0)
		close(*at);
	*at = fd;
}

static enum rc on_resource(struct child *c, const struct msg_resource *r, int fd, struct err *e)
{
	struct dataplane *d = c->context;
	struct worker *w = d->workers[0];

	switch (r->kind) {
	case RESOURCE_ESP_UDP_SOCKET:
		tunnels_take(d, r->index == 6 ? TUNNEL_UDP6 : TUNNEL_UDP4, r->worker, fd);
		return RC_OK;
	case RESOURCE_ESP_SOCKET:
		tunnels_take(d, r->index == 6 ? TUNNEL_ESP6 : TUNNEL_ESP4, r->worker, fd);
		return RC_OK;
	case RESOURCE_TUN:
		socket_replace(&w->tun, fd);
		return RC_OK;
	case RESOURCE_TUNNEL_DEVICE:
		devices_take(d, r->name, r->index, fd);
		return RC_OK;
	case RESOURCE_ROUTES:
		return routes_open(d, fd, e);
	case RESOURCE_STATE:
		socket_replace(&d->state_fd, fd);
		return RC_OK;
	case RESOURCE_CARRY:
		return carry_maps_take(&d->carry, r->index, fd, e) == RC_OK ? workers_carry(d, e) : e->rc;
	case RESOURCE_INTERFACE:
		links_take(d, r->name, r->index, r->worker, fd);
		return RC_OK;
	default:
		close(fd);
		return err_add(e, RC_DENIED, "the data plane accepts no resource of kind %d", (int)r->kind);
	}
}

static void on_resource_gone(struct child *c, const struct msg_resource *r)
{
	struct dataplane *d = c->context;

	if (r->kind == RESOURCE_INTERFACE)
		links_take_back(d, r->index);
	if (r->kind == RESOURCE_TUNNEL_DEVICE)
		devices_take_back(d, r->index);
}

/* --- the start --- */

static enum rc on_start(struct child *c, const struct msg_start *s, struct err *e)
{
	struct dataplane *d = c->context;
	enum rc rc = dataplane_start(d, e);

	if (rc == RC_OK) {
		control_snapshot_begin(d);
		control_load_now(d); /* nothing is forwarded before */
	}
	return rc;
}

/* --- SAs --- */

/* With no address at all, or as many as fit, the mirror does not know them all. While a link is down
 * nobody answers to an address that the kernel leaves on it, but without another route there is nothing
 * better. */
static bool local_gone(const struct dataplane *d, uint32_t pair)
{
	struct esp_view v;

	if (!d->routes || !route_local_at(d->routes, 0) || route_local_at(d->routes, ROUTE_LOCALS_MAX - 1))
		return false;
	esp_view(d->esp, pair, &v);
	return v.local->addr.family != ADDR_NONE &&
	       (!route_is_local(d->routes, 0, &v.local->addr) ||
		       uplinks_moved(d, &v.local->addr, &v.remote->addr) ||
		       route_leads_elsewhere(d->routes, &v.local->addr, &v.remote->addr));
}

/* Their owners write what is reported: it is read in pauses, and sent outside of them. */
static uint32_t usage_read(struct dataplane *d, uint32_t from, struct sa_usage ret_usage[USAGE_PIECE])
{
	mono_ns now = clock_mono();
	uint32_t n = 0;

	pause_begin(&d->pause);
	for (; n < USAGE_PIECE && d->esp && from + n < esp_pairs(d->esp); n++)
		esp_usage(d->esp, esp_pair_at(d->esp, from + n), now, &ret_usage[n]);
	pause_end(&d->pause);
	return n;
}

/* Grows with each packet, and is another one for another pair at its place or other flags. */
static uint64_t usage_mark(const struct sa_usage *u)
{
	return ((uint64_t)u->spi_in << 32) + ((uint64_t)u->flags << 28) + u->packets_in * 3 +
	       u->packets_out * 5 + 1;
}

/* Of ten thousand tunnels most say nothing: those are reported by turns, what has changed at once. */
static bool usage_is_new(struct dataplane *d, uint32_t pair, const struct sa_usage *u)
{
	return d->usage_reported[pair] != usage_mark(u) || (u->flags & (SA_LOCAL_GONE | SA_MOVED)) ||
	       pair % USAGE_ROUNDS == d->usage_round % USAGE_ROUNDS;
}

/* Another ike learns from the reports what there is from before it. */
static void on_link(struct child *c, enum proc peer)
{
	struct dataplane *d = c->context;

	if (peer == PROC_IKE && d->usage_reported)
		memset(d->usage_reported, 0, d->pairs_max * sizeof *d->usage_reported);
}

/* False: ike does not read. It is repeated in the next second. */
static bool usage_report(struct dataplane *d, uint32_t pair, struct sa_usage *u)
{
	struct ipc_link *ike = child_link(&d->child, PROC_IKE);

	if (!ipc_link_up(ike))
		return true;
	u->flags |= local_gone(d, pair) ? SA_LOCAL_GONE : 0u;
	if (u->tunnel == INDEX_NONE || !usage_is_new(d, pair, u))
		return true;
	if (ipc_send_SA_USAGE(ike, 0, u) != RC_OK)
		return false;
	d->usage_reported[pair] = usage_mark(u);
	return true;
}

/*
 * Those whose hard lifetime has ended, after ike was told, or where there is no ike. They have carried nothing since; their keys go now. The
 * keeper learns of it as of those whose tunnel is gone: when it has one removed, that is done already.
 */
static void sas_end(struct dataplane *d, const uint32_t *spis, uint32_t n)
{
	if (n == 0)
		return;
	pause_begin(&d->pause);
	for (uint32_t i = 0; i < n; i++)
		if (esp_remove(d->esp, spis[i]) == RC_OK)
			log_warn(
				"SA %08x is removed: its hard lifetime, or its sequence numbers, ended before it was replaced",
				spis[i]);
	workers_changed(d);
	tunnels_changed(d);
	workers_carry_check(d);
	pause_end(&d->pause);
}

void control_report_usage(struct dataplane *d)
{
	struct sa_usage usage[USAGE_PIECE];
	uint32_t n, over[USAGE_PIECE], over_n = 0;
	bool told = true;

	for (uint32_t i = 0; told && (n = usage_read(d, i, usage)) > 0; i += n)
		for (uint32_t k = 0; told && k < n; k++) {
			told = usage_report(d, esp_pair_at(d->esp, i + k), &usage[k]);
			if (told && (usage[k].flags & SA_LIFE_OVER) && over_n < USAGE_PIECE)
				over[over_n++] = usage[k].spi_in;
		}
	sas_end(d, over, over_n);
}

static bool datagram_allowed(struct worker *w, const struct endpoint *remote)
{
	struct dataplane *d = w->dataplane;
	struct ip_addr from = addr_source(remote->addr);
	uint64_t source = siphash13(w->pipeline.hash_key, from.b, sizeof from.b);
	mono_ns now = clock_mono();

	return rate_take(
		       &d->ike_source[source % IKE_SOURCES], IKE_SOURCE_PER_SECOND, IKE_SOURCE_BURST, now) &&
	       rate_take(&d->ike_all, IKE_ALL_PER_SECOND, IKE_ALL_BURST, now);
}

static enum rc datagram_send(struct ipc_link *ike, const struct endpoint *local,
	const struct endpoint *remote, const uint8_t *bytes, uint32_t n)
{
	/* The octets after n are sent too: they are zero or another datagram's. */
	static struct msg_datagram m;
	static struct msg_datagram_short one;

	if (n <= sizeof one.bytes) {
		one.local = *local;
		one.remote = *remote;
		one.n = n;
		memcpy(one.bytes, bytes, n);
		return ipc_send_IKE_DATAGRAM_SHORT(ike, 0, &one);
	}
	m.local = *local;
	m.remote = *remote;
	m.n = n;
	memcpy(m.bytes, bytes, n);
	return ipc_send_IKE_DATAGRAM(ike, 0, &m);
}

void control_ike_datagram(struct worker *w, const struct endpoint *local, const struct endpoint *remote,
	const uint8_t *bytes, uint32_t n)
{
	struct ipc_link *ike = child_link(&w->dataplane->child, PROC_IKE);
	enum drop_reason drop = DROP_NONE;

	assert(w->index == 0); /* in whose thread the link is */
	if (n > DATAGRAM_MAX)
		drop = DROP_TOO_BIG;
	else if (!datagram_allowed(w, remote))
		drop = DROP_IKE_LIMIT;
	/* Half of the queue is reserved for what ike must know about its SAs. */
	else if (ike->waiting_bytes > IPC_QUEUE_BYTES_MAX / 2 ||
		 datagram_send(ike, local, remote, bytes, n) != RC_OK)
		drop = DROP_QUEUE_FULL;
	if (drop != DROP_NONE)
		pipeline_count_drop(&w->pipeline, drop, 1);
}

/* --- what workers have for other processes: only the main thread has links to these --- */

static void acquire_send(struct dataplane *d, const struct sa_acquire *asked)
{
	ipc_send_SA_ACQUIRE(child_link(&d->child, PROC_IKE), 0, asked);
}

static void solicit_send(struct dataplane *d, const struct msg_neighbour *m)
{
	ipc_send_NEIGHBOUR(child_link(&d->child, PROC_SUPERVISOR), 0, m);
}

/* Another worker's request that finds no room in the ring is lost, as one that the network loses: it is repeated. */
void control_acquire(void *context, const struct sa_acquire *asked)
{
	struct worker *w = context;

	if (w->index == 0)
		acquire_send(w->dataplane, asked);
	else
		worker_note(w, RING_NOTE_ACQUIRE, asked, sizeof *asked);
}

void control_solicit(void *context, uint32_t link, const struct ip_addr *addr)
{
	struct worker *w = context;
	struct msg_neighbour m = { .interface = link, .addr = *addr };

	if (w->index == 0)
		solicit_send(w->dataplane, &m);
	else
		worker_note(w, RING_NOTE_SOLICIT, &m, sizeof m);
}

struct trace_note {
	uint32_t packet;
	bool end;
	char stage[TRACE_STAGE_MAX], text[TRACE_TEXT_MAX];
	struct packet_facts facts;
};
_Static_assert(sizeof(struct trace_note) <= RING_NOTE_BYTES_MAX, "it fits a note");

/* A packet of some worker, by its number there: ours, 0 if it is one more than is wanted. */
static uint32_t trace_number(struct traces *t, uint32_t worker, uint32_t packet)
{
	uint32_t at = packet % TRAIN_BURST_MAX;

	if (t->list[worker][at].packet != packet) {
		t->list[worker][at].packet = packet;
		t->list[worker][at].number = t->begun < t->wanted ? ++t->begun : 0;
	}
	return t->list[worker][at].number;
}

static void trace_send(struct dataplane *d, uint32_t worker, uint32_t packet, const char *stage,
	const char *text, const struct packet_facts *facts)
{
	struct msg_row row = { 0 };
	uint32_t number = trace_number(&d->trace, worker, packet);

	if (number == 0)
		return;
	struct jw w = jw_over(row.json, sizeof row.json, false);
	jw_object(&w, NULL);
	jw_u64(&w, "packet", number);
	jw_str(&w, "stage", stage);
	jw_str(&w, "text", text);
	packet_facts_json(&w, facts);
	jw_end(&w);
	row.n = (uint32_t)jw_done(&w);
	ipc_send_TRACE_LINE(child_link(&d->child, PROC_CONTROL), d->trace.tag, &row);
}

void control_trace_line(
	void *context, uint32_t packet, const char *stage, const char *text, const struct packet_facts *facts)
{
	struct worker *w = context;
	struct trace_note note = { .packet = packet };

	if (!text) /* control_trace_end() knows when all have ended */
		return;
	if (w->index == 0) {
		trace_send(w->dataplane, 0, packet, stage, text, facts);
		return;
	}
	snprintf(note.stage, sizeof note.stage, "%s", stage);
	snprintf(note.text, sizeof note.text, "%s", text);
	note.facts = *facts;
	worker_note(w, RING_NOTE_TRACE, &note, sizeof note);
}

static void trace_note_take(struct dataplane *d, uint32_t from, const void *bytes)
{
	struct trace_note note;

	memcpy(&note, bytes, sizeof note);
	trace_send(d, from, note.packet, note.stage, note.text, &note.facts);
}

/* Other workers cannot be kept waiting: a line that is lost is counted, and the next one that is not says so. */
static void log_note_take(struct dataplane *d, const void *bytes)
{
	char text[RULE_LOG_TEXT_MAX];
	struct fw_log l;

	memcpy(&l, bytes, sizeof l);
	record_send(d, &l);
	if (d->block_lines_unsaid) {
		struct fw_log lost = { .kind = FW_LOG_BLOCKS_LOST, .suppressed = d->block_lines_unsaid };
		if (log_record(rule_log_text(text, &lost)))
			d->block_lines_unsaid = 0;
	}
	bool written = log_record(rule_log_text(text, &l));
	if (!written && rule_log_must_arrive(&l)) {
		d->block_lines_lost++;
		d->block_lines_unsaid++;
	}
}

static void main_note_take(struct dataplane *d, uint32_t from, enum ring_note kind, const void *bytes)
{
	struct msg_neighbour neighbour;
	struct sa_acquire asked;
	struct ip_addr remote;

	switch (kind) {
	case RING_NOTE_SOLICIT:
		memcpy(&neighbour, bytes, sizeof neighbour);
		solicit_send(d, &neighbour);
		break;
	case RING_NOTE_ACQUIRE:
		memcpy(&asked, bytes, sizeof asked);
		acquire_send(d, &asked);
		break;
	case RING_NOTE_PATH:
		memcpy(&remote, bytes, sizeof remote);
		routes_ask_path(d, &remote);
		break;
	case RING_NOTE_TRACE:
		trace_note_take(d, from, bytes);
		break;
	default:
		assert(kind == RING_NOTE_LOG);
		log_note_take(d, bytes);
	}
}

void control_note(void *context, uint32_t from, enum ring_note kind, const void *bytes, uint32_t n)
{
	struct worker *w = context;
	struct fw_note note;

	assert(n <= RING_NOTE_BYTES_MAX);
	if (kind != RING_NOTE_FIREWALL) {
		assert(w->index == 0);
		main_note_take(w->dataplane, from, kind, bytes);
		return;
	}
	memcpy(&note, bytes, sizeof note);
	fw_note(w->fw, &note, clock_mono());
	pipeline_notes(&w->pipeline); /* its answer */
}

/* --- requests of control --- */

static void traces_set(struct dataplane *d, const struct packet_filters *filters)
{
	for (uint32_t i = 0; i < d->workers_n; i++)
		pipeline_trace(&d->workers[i]->pipeline, filters);
}

static void on_trace(struct dataplane *d, const struct ipc_frame *f)
{
	const struct packet_filters *m = &f->u.TRACE;

	if (packet_filters_check(m, NULL) != RC_OK)
		return; /* control has checked it */
	d->trace = (struct traces){ .tag = f->head.tag, .wanted = m->count };
	traces_set(d, m);
	workers_carry_pass(d); /* it is to see the packets of carried sessions, too */
}

/* Every worker is asked for all of them, and the first ones count. The last one is complete when the burst is over
 * that it was in. */
void control_trace_end(struct dataplane *d)
{
	struct worker *w = d->workers[0];
	const struct packet_filters none = { 0 };
	struct msg_row end = { 0 };

	if (d->trace.wanted == 0 || d->trace.begun < d->trace.wanted)
		return;
	pause_begin(&d->pause);
	while (worker_rings_run(w) > 0) {
	}
	traces_set(d, &none);
	pause_end(&d->pause);
	ipc_send_TRACE_LINE(child_link(&d->child, PROC_CONTROL), d->trace.tag, &end);
	d->trace = (struct traces){ 0 };
}

static void captures_end(struct dataplane *d)
{
	for (uint32_t i = 0; i < d->workers_n; i++)
		pipeline_capture(&d->workers[i]->pipeline, NULL, NULL);
	if (d->capture)
		munmap(d->capture, sizeof *d->capture);
	d->capture = NULL;
}

/* Memory that nobody can make shorter while it is written to. */
static struct capture_memory *capture_map(int fd, struct err *e)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0 ||
		st.st_size != (off_t)sizeof(struct capture_memory)) {
		err_add(e, RC_MALFORMED,
			"the memory for captured packets is not a sealed memfd of %zu octets",
			sizeof(struct capture_memory));
		return NULL;
	}
	void *p = mmap(NULL, sizeof(struct capture_memory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		return p;
	err_errno(e, RC_IO, "map the memory for captured packets");
	return NULL;
}

static void on_capture(struct dataplane *d, struct ipc_frame *f)
{
	const struct msg_capture *m = &f->u.CAPTURE;
	struct msg_result result = { 0 };
	struct err e = { 0 };
	int fd = ipc_frame_take(f);

	captures_end(d);
	if (packet_filters_check(&m->packets, &e) == RC_OK)
		d->capture = capture_map(fd, &e);
	close(fd);
	if (!d->capture) {
		result.rc = e.rc;
		snprintf(result.text, sizeof result.text, "%s", e.text);
		ipc_send_CAPTURE_ENDED(child_link(&d->child, PROC_CONTROL), f->head.tag, &result);
		return;
	}
	d->capture_what = *m;
	for (uint32_t i = 0; i < d->workers_n; i++)
		pipeline_capture(&d->workers[i]->pipeline, &d->capture->ring[i], m);
	workers_carry_pass(d); /* it is to see the packets of carried sessions, too */
}

static void on_clear(struct dataplane *d, const struct ipc_frame *f)
{
	struct msg_result result = { 0 };
	struct err e = { 0 };

	if (!dataplane_ready(d) || !fw_policy(d->workers[0]->fw))
		err_add(&e, RC_AGAIN, "the data plane has no configuration yet");
	else if (d->clears_n == CLEARS_MAX)
		err_add(&e, RC_AGAIN,
			"%d requests to clear sessions are under way: try again when they have ended",
			CLEARS_MAX);
	else
		fw_filter_check(d->workers[0]->fw, &f->u.CLEAR_SESSIONS, &e);
	if (!e.rc) {
		d->clears[d->clears_n++] =
			(struct clear){ .tag = f->head.tag, .filter = f->u.CLEAR_SESSIONS };
		return;
	}
	result.rc = e.rc;
	snprintf(result.text, sizeof result.text, "%s", e.text);
	ipc_send_CLEARED(child_link(&d->child, PROC_CONTROL), f->head.tag, &result);
}

static void on_clear_hit_count(struct dataplane *d, const struct ipc_frame *f)
{
	struct msg_result result = { 0 };
	const struct snapshot *s = fw_policy(d->workers[0]->fw);

	if (!dataplane_ready(d) || !s) {
		result.rc = RC_AGAIN;
		snprintf(result.text, sizeof result.text, "the data plane has no configuration yet");
	} else {
		pause_begin(&d->pause);
		for (uint32_t i = 0; i < d->workers_n; i++)
			fw_rule_hits_clear(d->workers[i]->fw, clock_mono());
		pause_end(&d->pause);
		result.count = s->rules.count;
	}
	ipc_send_CLEARED(child_link(&d->child, PROC_CONTROL), f->head.tag, &result);
}

bool control_clear(struct dataplane *d, uint32_t budget)
{
	struct clear *c = &d->clears[0];

	if (d->clears_n == 0)
		return true;
	if (c->worker < d->workers_n &&
		show_clear_sessions(d->workers[c->worker], &c->filter, &c->cursor, &c->count, budget)) {
		c->cursor = 0;
		c->worker++;
	}
	if (c->worker >= d->workers_n) {
		struct msg_result result = { .count = c->count };
		ipc_send_CLEARED(child_link(&d->child, PROC_CONTROL), c->tag, &result);
		d->clears_n--;
		memmove(c, c + 1, d->clears_n * sizeof *c);
	}
	return d->clears_n == 0;
}

static void on_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	struct dataplane *d = c->context;

	switch (f->head.id) {
	case IPC_SNAPSHOT:
		control_snapshot(d, f);
		break;
	case IPC_SERVER:
		workers_server(d, &f->u.SERVER.at, f->u.SERVER.up);
		break;
	case IPC_UPLINK:
		uplinks_told(d, &f->u.UPLINK);
		break;
	case IPC_SA_INSTALL:
	case IPC_SA_REMOVE:
	case IPC_SA_ACTIVATE:
	case IPC_SA_ENDPOINT:
		control_sa(d, f);
		break;
	case IPC_SHOW:
		show_table(d, f->head.tag, &f->u.SHOW);
		break;
	case IPC_CLEAR_SESSIONS:
		on_clear(d, f);
		break;
	case IPC_CLEAR_HIT_COUNT:
		on_clear_hit_count(d, f);
		break;
	case IPC_TRACE:
		on_trace(d, f);
		break;
	case IPC_CAPTURE:
		on_capture(d, f);
		break;
	case IPC_CAPTURE_END:
		captures_end(d);
		break;
	default:
		log_warn("unexpected message %s from %s, ignored", ipc_name(f->head.id), proc_name(peer));
	}
}

static void on_link_lost(struct child *c, enum proc peer)
{
	if (peer == PROC_KEEPER)
		control_sas_forget(c->context);
}

const struct child_ops dataplane_ops = {
	.on_resource = on_resource,
	.on_link = on_link,
	.on_resource_gone = on_resource_gone,
	.on_start = on_start,
	.on_message = on_message,
	.on_link_lost = on_link_lost,
};
