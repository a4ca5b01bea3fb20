/*
 * SAs, as the keeper and ike send them. An SA names its tunnel by a generation of the configuration. One of the loaded generation is
 * installed at once, whatever is being prepared beside it: the next configuration finds its SAs by the names of their tunnels. One of
 * a generation that is not loaded yet waits until it is, for at most SA_HOLD_NS, and meanwhile nothing more is read from the keeper, so
 * that what it says about this SA comes after it. The keeper waits for its answer; nothing else does: preparing needs no other process.
 */
#include "base/bytes.h"
#include "base/log.h"
#include "proc/dataplane/dataplane.h"

#include <stdio.h>
#include <string.h>

static bool selector_inside(const struct selector *inner, const struct selector *outer)
{
	return inner->addrs.first.family == outer->addrs.first.family &&
	       addr_compare(&outer->addrs.first, &inner->addrs.first) <= 0 &&
	       addr_compare(&inner->addrs.last, &outer->addrs.last) <= 0 &&
	       addr_compare(&inner->addrs.first, &inner->addrs.last) <= 0 &&
	       (outer->proto == 0 || outer->proto == inner->proto) &&
	       inner->port_first >= outer->port_first && inner->port_last <= outer->port_last;
}

/* The keeper has checked this too; but a compromised keeper must not be able to route any network through
 * an SA. */
static bool selectors_inside(
	const struct snapshot *s, const struct selector *ts, uint16_t n, struct span configured)
{
	for (uint16_t i = 0; i < n; i++) {
		bool inside = false;
		for (uint32_t k = 0; k < configured.count && !inside; k++)
			inside = selector_inside(&ts[i], &snap_selectors(s)[configured.first + k]);
		if (!inside)
			return false;
	}
	return true;
}

/* Of the loaded snapshot: by its index, or by its name where that is of another one. INDEX_NONE: there is none. */
static uint32_t tunnel_of(const struct snapshot *s, const struct sa_install *sa)
{
	if (sa->generation == s->generation)
		return sa->tunnel < s->tunnels.count ? sa->tunnel : INDEX_NONE;
	for (uint32_t i = 0; i < s->tunnels.count; i++)
		if (strncmp(snap_tunnels(s)[i].name, sa->tunnel_name, NAME_MAX_BYTES) == 0)
			return i;
	return INDEX_NONE;
}

static enum rc install(struct dataplane *d, struct sa_install *sa, struct err *e)
{
	const struct snapshot *s = d->workers[0]->pipeline.snapshot;

	if (!dataplane_ready(d) || !s)
		return err_add(e, RC_AGAIN, "no configuration yet");
	if (sa->local_n > SELECTORS_MAX || sa->remote_n > SELECTORS_MAX)
		return err_add(
			e, RC_RANGE, "an SA has more than %d traffic selectors on a side", SELECTORS_MAX);
	uint32_t tunnel = tunnel_of(s, sa);
	if (tunnel == INDEX_NONE)
		return err_add(e, RC_RANGE,
			"the tunnel of an SA, '%.*s' of configuration %llu, is not in configuration %llu, which is loaded",
			NAME_MAX_BYTES - 1, sa->tunnel_name, (unsigned long long)sa->generation,
			(unsigned long long)s->generation);
	const struct snap_tunnel *t = &snap_tunnels(s)[tunnel];
	if (!selectors_inside(s, sa->local_ts, sa->local_n, t->local) ||
		!selectors_inside(s, sa->remote_ts, sa->remote_n, t->remote))
		return err_add(
			e, RC_DENIED, "the SA's traffic selectors exceed those of tunnel '%s'", t->name);
	sa->tunnel = tunnel;
	struct esp_life life = esp_life_of(t);
	return esp_install(d->esp, sa, t->name, t->replay_window, &life, clock_mono(), e);
}

static void sa_install(struct dataplane *d, uint64_t tag, struct sa_install *sa)
{
	struct sa_result result = { .spi_in = sa->spi_in };
	struct err e = { 0 };

	result.rc = install(d, sa, &e);
	snprintf(result.text, sizeof result.text, "%.*s", (int)sizeof result.text - 1, e.text);
	if (result.rc != RC_OK)
		log_warn("SA %08x was not installed: %s", result.spi_in, e.text);
	workers_changed(d);
	tunnels_changed(d);
	ipc_send_SA_INSTALLED(child_link(&d->child, PROC_KEEPER), tag, &result);
}

/* ---- one that is of a configuration to come ---- */

/* It is being prepared, or control has sent it and it is not read yet. What was refused is not waited for. */
static bool is_ahead(const struct dataplane *d, const struct sa_install *sa)
{
	const struct snapshot *s = d->snapshot.snapshot;

	if (!dataplane_ready(d) || (s && sa->generation == s->generation))
		return false;
	return d->unchecked.snapshot || d->snapshot_next.snapshot || sa->generation > d->pending.generation;
}

/* In a pause. */
static void held_end(struct dataplane *d)
{
	sa_install(d, d->held.tag, &d->held.sa);
	control_sas_forget(d);
	port_hold(&d->child.ports[PROC_KEEPER], false);
}

void control_sas_forget(struct dataplane *d)
{
	bytes_wipe(&d->held, sizeof d->held);
}

void control_sas_go(struct dataplane *d, mono_ns now)
{
	bool ahead = d->held.waits && is_ahead(d, &d->held.sa);

	if (!d->held.waits || (ahead && now < d->held.until))
		return;
	pause_begin(&d->pause);
	if (ahead)
		control_load_now(d);
	held_end(d);
	workers_carry_check(d);
	pause_end(&d->pause);
}

static void on_sa_install(struct dataplane *d, struct ipc_frame *f)
{
	if (d->held.waits) { /* the last words of a keeper whose link is being replaced */
		control_load_now(d);
		held_end(d);
	}
	if (!is_ahead(d, &f->u.SA_INSTALL)) {
		sa_install(d, f->head.tag, &f->u.SA_INSTALL);
		return;
	}
	d->held.waits = true;
	d->held.tag = f->head.tag;
	d->held.until = clock_mono() + SA_HOLD_NS;
	d->held.sa = f->u.SA_INSTALL;
	d->sas_held++;
	port_hold(&d->child.ports[PROC_KEEPER], true);
}

static void on_sa_remove(struct dataplane *d, const struct ipc_frame *f)
{
	struct sa_result result = { .spi_in = f->u.SA_REMOVE.spi_in };

	result.rc = d->esp ? esp_remove(d->esp, result.spi_in) : RC_AGAIN;
	if (result.rc != RC_OK)
		snprintf(result.text, sizeof result.text, "%s", rc_text(result.rc));
	workers_changed(d);
	tunnels_changed(d);
	ipc_send_SA_REMOVED(child_link(&d->child, PROC_KEEPER), f->head.tag, &result);
}

static void on_sa_change(struct dataplane *d, const struct ipc_frame *f)
{
	enum rc rc = RC_AGAIN;

	if (d->esp && f->head.id == IPC_SA_ACTIVATE)
		rc = esp_activate(d->esp, f->u.SA_ACTIVATE.spi_in);
	else if (d->esp)
		rc = esp_endpoint(d->esp, f->u.SA_ENDPOINT.spi_in, &f->u.SA_ENDPOINT.remote);
	if (rc != RC_OK)
		log_warn("%s for SA %08x failed: %s", ipc_name(f->head.id), f->u.SA_ACTIVATE.spi_in,
			rc_text(rc));
	workers_changed(d);
	if (f->head.id == IPC_SA_ACTIVATE)
		ipc_send_SA_ACTIVATED(child_link(&d->child, PROC_IKE), f->head.tag, &f->u.SA_ACTIVATE);
}

void control_sa(struct dataplane *d, struct ipc_frame *f)
{
	if (f->head.id == IPC_SA_INSTALL)
		on_sa_install(d, f);
	else if (f->head.id == IPC_SA_REMOVE)
		on_sa_remove(d, f);
	else
		on_sa_change(d, f);
}
