/*
 * All workers together: their number, and what changes for all of them. Each has a firewall and a pipeline of its own
 * over the same SAs, routes and configuration.
 */
#include "base/log.h"
#include "proc/dataplane/dataplane.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

void workers_changed(struct dataplane *d)
{
	for (uint32_t i = 0; i < d->workers_n; i++)
		pipeline_changed(&d->workers[i]->pipeline);
}

/* The mirror is read, and its events come, before the first worker has anything to work with. */
static bool is_equipped(const struct worker *w)
{
	return w->pipeline.routes != NULL;
}

void workers_routes(struct dataplane *d)
{
	for (uint32_t i = 0; i < d->workers_n; i++)
		if (is_equipped(d->workers[i]))
			pipeline_routes(&d->workers[i]->pipeline, d->routes);
}

void workers_path_mtu(struct dataplane *d, uint32_t tunnel, uint32_t mtu)
{
	for (uint32_t i = 0; i < d->workers_n; i++)
		pipeline_path_mtu(&d->workers[i]->pipeline, tunnel, mtu);
}

void workers_neighbour(struct dataplane *d, uint32_t link, const struct ip_addr *addr, mono_ns now)
{
	for (uint32_t i = 0; i < d->workers_n; i++)
		if (is_equipped(d->workers[i]))
			pipeline_neighbour(&d->workers[i]->pipeline, link, addr, now);
}

static void servers_tell(struct dataplane *d)
{
	for (uint32_t i = 0; i < d->workers_n; i++)
		for (uint32_t k = 0; d->workers[i]->fw && k < d->servers_down_n; k++)
			fw_server_set(d->workers[i]->fw, &d->servers_down[k], false);
}

void workers_server(struct dataplane *d, const struct endpoint *server, bool up)
{
	uint32_t i = 0;

	while (i < d->servers_down_n && !endpoint_same(&d->servers_down[i], server))
		i++;
	if (up && i < d->servers_down_n)
		d->servers_down[i] = d->servers_down[--d->servers_down_n];
	else if (!up && i == d->servers_down_n && i < HEALTH_SERVERS_MAX)
		d->servers_down[d->servers_down_n++] = *server;
	for (uint32_t k = 0; k < d->workers_n; k++)
		if (d->workers[k]->fw)
			fw_server_set(d->workers[k]->fw, server, up);
}

/* In a pause: what is on its way between workers names interfaces, zones and tunnels by numbers that change then. */
static void trains_drop(struct dataplane *d)
{
	for (uint32_t i = 0; i < d->workers_n; i++) {
		struct worker *w = d->workers[i];
		const struct rings_reader reader = worker_reader(w);
		rings_drop(&d->rings, i, &reader);
	}
}

/* So it goes on before, as far as a pause may be long. */
static void trains_finish(struct dataplane *d)
{
	uint32_t all = 0;

	for (uint32_t n = 1; n > 0 && all < FINISH_TRAINS;) {
		n = 0;
		for (uint32_t i = 0; i < d->workers_n && all < FINISH_TRAINS; i++) {
			uint32_t done = worker_rings_run(d->workers[i]);
			n += done;
			all += done;
		}
	}
	trains_drop(d);
}

void workers_prepare_end(struct dataplane *d)
{
	for (uint32_t i = 0; i < d->workers_n; i++)
		pipeline_prepare_end(&d->workers[i]->pipeline);
}

/* The others begin when it is their turn. */
enum rc workers_prepare(struct dataplane *d, const struct snapshot *s, struct err *e)
{
	workers_prepare_end(d);
	return pipeline_prepare(&d->workers[0]->pipeline, s, e);
}

static enum rc prepare_go(struct dataplane *d, uint32_t i, uint32_t budget, bool *ret_ready, struct err *e)
{
	struct pipeline *p = &d->workers[i]->pipeline;

	if (!p->preparing.snapshot) {
		enum rc rc = pipeline_prepare(p, d->workers[0]->pipeline.preparing.snapshot, e);
		*ret_ready = false;
		if (rc != RC_OK || budget < UINT32_MAX) /* that was a piece of its own */
			return rc;
	}
	return pipeline_prepare_go(p, budget, ret_ready, e);
}

/* One after the other: each has a policy with counters of its own. */
enum rc workers_prepare_go(struct dataplane *d, uint32_t budget, bool *ret_ready, struct err *e)
{
	*ret_ready = true;
	for (uint32_t i = 0; i < d->workers_n && *ret_ready; i++) {
		enum rc rc = prepare_go(d, i, budget, ret_ready, e);
		if (rc != RC_OK) {
			workers_prepare_end(d);
			return rc;
		}
		*ret_ready = *ret_ready && fw_load_has_room(d->workers[i]->fw); /* its sweep makes room */
	}
	return RC_OK;
}

void workers_load_prepared(struct dataplane *d)
{
	mono_ns now = clock_mono();

	trains_finish(d);
	schedules_tell(d, d->workers[0]->pipeline.preparing.snapshot);
	for (uint32_t i = 0; i < d->workers_n; i++) {
		pipeline_load_prepared(&d->workers[i]->pipeline, now);
		links_bind(d->workers[i]);
		devices_bind(d->workers[i]);
		pipeline_notes(&d->workers[i]->pipeline);
	}
	devices_tell_again(d);
	servers_tell(d); /* a worker may be a new one */
}

void workers_sweep(struct dataplane *d)
{
	for (uint32_t i = 0; i < d->workers_n; i++)
		while (!fw_sweep(d->workers[i]->fw, clock_mono(), UINT32_MAX))
			;
}

static enum rc load(struct dataplane *d, const struct snapshot *s, struct err *e)
{
	enum rc rc = workers_prepare(d, s, e);

	for (bool ready = false; rc == RC_OK && !ready;) {
		rc = workers_prepare_go(d, UINT32_MAX, &ready, e);
		if (rc == RC_OK && !ready)
			workers_sweep(d);
	}
	if (rc == RC_OK)
		workers_load_prepared(d);
	return rc;
}

/* --- their number --- */

static void counters_add(uint64_t *to, const uint64_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] += from[i];
}

/* The first one goes on with what this one has counted. */
static void counts_keep(struct pipeline *to, const struct pipeline *from)
{
	counters_add(to->drops, from->drops, DROP_COUNT);
	for (uint32_t z = 0; z < ZONES_MAX; z++)
		for (uint32_t i = 0; i < SCREEN_COUNT; i++)
			to->screens->met[z][i].packets += from->screens->met[z][i].packets;
	to->packets_in += from->packets_in;
	to->packets_out += from->packets_out;
	to->bytes_in += from->bytes_in;
	to->bytes_out += from->bytes_out;
	to->trains_in += from->trains_in;
	to->trains_handed_over += from->trains_handed_over;
	to->notes_lost += from->notes_lost;
	to->alg_full += from->alg_full;
	counters_add(to->syn_counts, from->syn_counts, SYN_COUNT_N);
	to->carried.packets += from->carried.packets;
	to->carried.placed += from->carried.placed;
	to->carried.taken_back += from->carried.taken_back;
	to->carried.no_room += from->carried.no_room;
	to->proxies.answers += from->proxies.answers;
	to->proxies.suppressed += from->proxies.suppressed;
	to->proxies.conflicts += from->proxies.conflicts;
	to->error_replies_sent += from->error_replies_sent;
	to->error_replies_suppressed += from->error_replies_suppressed;
	for (uint32_t i = 0; i < INTERFACES_MAX; i++) {
		to->interfaces[i].packets_in += from->interfaces[i].packets_in;
		to->interfaces[i].packets_out += from->interfaces[i].packets_out;
		to->interfaces[i].bytes_in += from->interfaces[i].bytes_in;
		to->interfaces[i].bytes_out += from->interfaces[i].bytes_out;
	}
}

static void others_end(struct dataplane *d)
{
	while (d->workers_n > 1) {
		struct worker *w = d->workers[--d->workers_n];
		counts_keep(&d->workers[0]->pipeline, &w->pipeline);
		d->workers[0]->datagrams_in += w->datagrams_in;
		d->workers[0]->keepalives += w->keepalives;
		d->workers[0]->tunnel_too_big += w->tunnel_too_big;
		fw_detach(w->fw);
		worker_free(w);
		d->workers[d->workers_n] = NULL;
	}
}

/* Those that are to be adopted may be fewer. */
static unsigned long long sessions_now(const struct dataplane *d)
{
	unsigned long long n = 0;

	for (uint32_t i = 0; i < d->workers_n; i++)
		n += d->workers[i]->fw ? fw_counters(d->workers[i]->fw)->sessions_now +
						 fw_counters(d->workers[i]->fw)->adoption_left
				       : 0;
	return n;
}

static enum rc others_begin(struct dataplane *d, uint32_t n, struct err *e)
{
	if (!rings_init(&d->rings, n))
		return err_add(e, RC_LIMIT, "out of memory for the rings of %u workers", n);
	while (d->workers_n < n) {
		d->workers[d->workers_n] = worker_new(d, d->workers_n);
		if (!d->workers[d->workers_n])
			return err_add(
				e, RC_LIMIT, "out of memory for worker %u of the data plane", d->workers_n);
		struct packet_filters filters = d->workers[0]->pipeline.trace.filters;
		filters.count = d->workers[0]->pipeline.trace.left;
		pipeline_trace(&d->workers[d->workers_n]->pipeline, &filters);
		if (d->capture)
			pipeline_capture(&d->workers[d->workers_n]->pipeline, &d->capture->ring[d->workers_n],
				&d->capture_what);
		d->workers_n++;
	}
	return RC_OK;
}

static enum rc carry_begin(struct dataplane *d, bool divided, struct err *e)
{
	struct carry_tables t = { d->carry.head, d->carry.buckets, d->carry.records };
	uint8_t key[16];

	d->carries = carry_maps_ready(&d->carry);
	if (!d->carries)
		return RC_OK;
	if (getrandom(key, sizeof key, 0) != sizeof key)
		return err_errno(e, RC_IO, "read random octets for the hash key of carried sessions");
	carry_tables_begin(&t, key, divided);
	for (uint32_t i = 0; i < d->workers_n; i++)
		if (!pipeline_carry(&d->workers[i]->pipeline, &t))
			return err_add(e, RC_LIMIT, "out of memory for the carried sessions of worker %u", i);
	return RC_OK;
}

enum rc workers_carry(struct dataplane *d, struct err *e)
{
	if (!d->started || d->carries || !carry_maps_ready(&d->carry))
		return RC_OK;
	return carry_begin(d, true, e);
}

void workers_carry_check(struct dataplane *d)
{
	for (uint32_t i = 0; d->carries && i < d->workers_n; i++)
		pipeline_carry_check(&d->workers[i]->pipeline);
}

void workers_carry_pass(struct dataplane *d)
{
	if (d->carries)
		pipeline_carry_pass(&d->workers[0]->pipeline); /* the epoch is that of all */
}

/* Before the memory is attached there is nothing else to give them. */
static enum rc equip(struct dataplane *d, bool divided, struct err *e)
{
	struct pipeline *all[WORKERS_MAX];

	for (uint32_t i = 0; i < d->workers_n; i++) {
		struct worker *w = d->workers[i];
		w->pipeline.fw = w->fw;
		w->pipeline.esp = d->esp;
		w->pipeline.routes = d->routes;
		all[i] = &w->pipeline;
		w->pipeline.health = &d->health;
	}
	pipeline_join(all, d->workers_n);
	enum rc rc = carry_begin(d, divided, e);
	if (rc != RC_OK)
		return rc;
	for (uint32_t i = 0; i < d->workers_n; i++)
		pipeline_notes(&d->workers[i]->pipeline);
	if (d->snapshot.snapshot)
		return load(d, d->snapshot.snapshot, e);
	return RC_OK;
}

enum rc workers_set(struct dataplane *d, uint32_t n, struct err *e)
{
	enum rc rc = RC_OK;
	bool dividing = d->state != NULL; /* sessions end then */

	assert(n > 0 && n <= WORKERS_MAX);
	threads_stop(d);
	workers_prepare_end(d);
	unsigned long long ending = sessions_now(d);
	if (ending > 0)
		log_warn("the number of workers changes from %u to %u: %llu sessions end", d->workers_n, n,
			ending);
	if (d->rings.workers > 0)
		trains_drop(d);
	rings_done(&d->rings);
	others_end(d);
	rc = others_begin(d, n, e);
	if (rc == RC_OK)
		rc = dividing ? memory_divide(d, e) : memory_attach(d, d->state_fd, e);
	if (rc == RC_OK)
		links_share_out(d);
	if (rc == RC_OK)
		tunnels_share_out(d);
	if (rc == RC_OK)
		rc = equip(d, d->resumed && !dividing, e);
	if (rc == RC_OK && d->snapshot_next.snapshot)
		rc = workers_prepare(d, d->snapshot_next.snapshot, e); /* from its beginning */
	if (rc != RC_OK)
		return rc;
	workers_changed(d);
	return threads_start(d, e);
}

void workers_done(struct dataplane *d)
{
	threads_stop(d);
	workers_carry_pass(d); /* nothing is forwarded without this process */
	rings_done(&d->rings);
	links_close(d);
	devices_close(d);
	tunnels_close(d);
	memory_detach(d);
	while (d->workers_n > 0)
		worker_free(d->workers[--d->workers_n]);
}
