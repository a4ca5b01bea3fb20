#include "proc/resolver/shell.h"

#include "base/log.h"
#include "ledger/types.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the list of objects ---- */

static bool same(const struct snap_dynamic *a, const struct snap_dynamic *b)
{
	return a->kind == b->kind && strcmp(a->object, b->object) == 0 && strcmp(a->name, b->name) == 0;
}

static void entry_free(struct entry *e)
{
	if (e)
		feed_end(e);
	free(e);
}

/* The entry of the list before this one, taken out of it; a new one; NULL: out of memory. */
static struct entry *entry_for(struct entry **was, uint32_t was_n, const struct snap_dynamic *d)
{
	for (uint32_t i = 0; i < was_n; i++)
		if (was[i] && same(&was[i]->of, d)) {
			struct entry *e = was[i];
			was[i] = NULL;
			if (memcmp(&e->of, d, sizeof *d) !=
				0) { /* its times, or how it is written, are others */
				memset(e->feed.sha256, 0, sizeof e->feed.sha256);
				e->feed.next = 0;
			}
			if (d->kind == DYNAMIC_CRL)
				e->feed.next =
					0; /* the authority's certificate may be another one, under the same name */
			e->of = *d;
			return e;
		}
	struct entry *e = calloc(1, sizeof *e);
	if (e)
		e->of = *d;
	return e;
}

static void entries_take(struct resolver *x, const struct dynamic_area *a, uint32_t count)
{
	struct entry *was[DYNAMICS_MAX];
	uint32_t was_n = x->n;

	memcpy(was, x->entry, was_n * sizeof was[0]);
	for (x->n = 0; x->n < count; x->n++)
		if (!(x->entry[x->n] = entry_for(was, was_n, &a->of[x->n]))) {
			log_error("out of memory for %u domain names, feeds and countries", count);
			break;
		}
	for (uint32_t i = 0; i < was_n; i++)
		entry_free(was[i]);
}

static void area_done(struct resolver *x)
{
	if (x->area)
		munmap(x->area, sizeof *x->area);
	x->area = NULL;
	x->given = 0;
}

/* Control has checked what it lists; what it hands over is as large as it has to be, or reading there would end this process. */
static void list_take(struct resolver *x, struct ipc_frame *f)
{
	uint32_t count = f->u.DYNAMICS.count;
	int fd = ipc_frame_take(f);
	struct stat st;
	void *area = MAP_FAILED;

	names_stop(x);
	fetch_stop(x);
	area_done(x);
	if (count <= DYNAMICS_MAX && fstat(fd, &st) == 0 && st.st_size == sizeof *x->area)
		area = mmap(NULL, sizeof *x->area, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (area == MAP_FAILED) {
		log_error("control's list of domain names, feeds and countries cannot be used");
		return;
	}
	x->area = area;
	entries_take(x, x->area, count);
	if (x->n < count)
		area_done(x); /* what is known goes on */
	x->changed = true;
	countries_listed(x);
	names_begin(x);
	feeds_begin(x);
	countries_begin(x);
}

/* ---- what was found ---- */

static uint32_t entry_count(const struct resolver *x, const struct entry *e)
{
	static struct ip_range ranges[NAME_ADDRESSES_MAX];

	if (e->of.kind == DYNAMIC_PEER)
		return 0; /* control has no use for them */
	return e->of.kind == DYNAMIC_FQDN ? name_ranges(&e->name, ranges) : entry_list(x, e)->n;
}

struct size {
	uint32_t count, entry;
};

static int size_order(const void *a, const void *b)
{
	const struct size *x = a, *y = b;

	return x->count != y->count ? (x->count < y->count ? -1 : 1) : (x->entry < y->entry ? -1 : 1);
}

/* Which of them there is room for: the smaller ones first, so that whose list takes all the room takes it from nobody. One with
 * no more than DYNAMIC_RANGES_MAX / DYNAMICS_MAX has room in any case, as each domain name has. */
static void room_share(struct resolver *x)
{
	static struct size sizes[DYNAMICS_MAX];
	uint32_t n = 0;

	_Static_assert(NAME_ADDRESSES_MAX <= DYNAMIC_RANGES_MAX / DYNAMICS_MAX, "names always have room");
	for (uint32_t i = 0; i < x->n; i++)
		sizes[i] = (struct size){ entry_known(x, x->entry[i]) ? entry_count(x, x->entry[i]) : 0, i };
	qsort(sizes, x->n, sizeof sizes[0], size_order);
	for (uint32_t i = 0; i < x->n; i++) {
		struct entry *e = x->entry[sizes[i].entry];
		bool fits = sizes[i].count <= DYNAMIC_RANGES_MAX - n;
		if (!fits && !e->left_out)
			log_warn("'%s' of object '%s' has %u addresses: " ENTRY_LEFT_OUT, e->of.name,
				e->of.object, sizes[i].count);
		if (!fits)
			feed_release(&e->feed);
		else if (feed_is_released(&e->feed) && !e->feed.again)
			feed_read_again(&e->feed);
		e->left_out = !fits || feed_is_released(&e->feed);
		n += fits ? sizes[i].count : 0;
	}
}

static void publish(struct resolver *x)
{
	static struct ip_range ranges[NAME_ADDRESSES_MAX];
	const struct msg_dynamics_found m = { .count = x->n };
	uint32_t n = 0;

	if (!x->area || x->given || !x->changed)
		return;
	room_share(x);
	for (uint32_t i = 0; i < x->n; i++) {
		const struct entry *e = x->entry[i];
		bool name = e->of.kind == DYNAMIC_FQDN;
		uint32_t count = name ? name_ranges(&e->name, ranges) : entry_count(x, e);
		x->area->known[i] = entry_known(x, e) && !e->left_out && dynamic_has_ranges(e->of.kind);
		x->area->set[i] = (struct span){ n, x->area->known[i] ? count : 0 };
		if (x->area->set[i].count == 0) /* a country without a network has no memory */
			continue;
		memcpy(&x->area->range[n], name ? ranges : entry_list(x, e)->range, count * sizeof ranges[0]);
		n += count;
	}
	x->given = ++x->last_tag;
	x->changed = false;
	if (ipc_send_DYNAMICS_FOUND(child_link(x->child, PROC_CONTROL), x->given, &m) != RC_OK)
		area_done(x); /* a new link brings new memory */
}

static void taken(struct resolver *x, struct ipc_frame *f)
{
	struct msg_result *r = &f->u.DYNAMICS_TAKEN;

	if (f->head.tag != x->given || !x->given)
		return;
	r->text[sizeof r->text - 1] = '\0';
	x->given = 0;
	x->why[0] = '\0';
	if (r->rc != RC_OK)
		snprintf(x->why, sizeof x->why, "%s", r->text);
	publish(x);
}

static void on_tick(struct loop *l, struct timer *t)
{
	struct resolver *x = t->context;

	for (uint32_t i = 0; i < x->n; i++)
		if (name_expire(&x->entry[i]->name, l->now)) {
			x->changed |= x->entry[i]->of.kind != DYNAMIC_PEER;
			peers_changed(x->entry[i]);
		}
	names_begin(x);
	feeds_begin(x);
	countries_begin(x);
	ocsp_begin(x);
	publish(x);
	peers_tell(x);
	crls_tell(x);
}

/* ---- callbacks ---- */

static void on_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	struct resolver *x = c->context;

	if (peer == PROC_SUPERVISOR && (countries_told(x, f) || fetch_told(x, f) || ocsp_told(x, f) ||
					       names_told(x, f) || feeds_told(x, f)))
		return;
	switch (f->head.id) {
	case IPC_DYNAMICS:
		list_take(x, f);
		publish(x);
		peers_again(x);
		break;
	case IPC_PEER_NAME_ASK:
		peers_asked(x, &f->u.PEER_NAME_ASK);
		break;
	case IPC_DYNAMICS_TAKEN:
		taken(x, f);
		break;
	case IPC_CRL_JUDGED:
		crl_judged(x, peer, f);
		break;
	case IPC_OCSP_ASK:
		ocsp_asked(x, peer, f);
		break;
	case IPC_SHOW:
		resolver_show(x, f->head.tag, &f->u.SHOW);
		break;
	default:
		log_warn("unexpected message %s from %s, ignored", ipc_name((enum ipc_id)f->head.id),
			proc_name(peer));
	}
}

static void on_link(struct child *c, enum proc peer)
{
	if (peer == PROC_IKE)
		peers_again(c->context);
	if (peer == PROC_CERTIFIER_OPENSSL)
		crls_again(c->context);
}

static void on_link_lost(struct child *c, enum proc peer)
{
	if (peer == PROC_CONTROL)
		area_done(c->context); /* the next control hands its own over */
}

static enum rc on_resource(struct child *c, const struct msg_resource *r, int fd, struct err *e)
{
	struct resolver *x = c->context;
	int *place = r->kind == RESOURCE_FEED_DIR	   ? &x->feed_dir
		     : r->kind == RESOURCE_FETCHED_CRL_DIR ? &x->crl_dir
							   : NULL;

	if (!place) {
		close(fd);
		return err_add(e, RC_DENIED, "resource %s is not for the resolver",
			resource_name((enum resource)r->kind));
	}
	if (*place >= 0)
		close(*place);
	*place = fd;
	return RC_OK;
}

static enum rc on_start(struct child *c, const struct msg_start *m, struct err *e)
{
	struct resolver *x = c->context;

	(void)m;
	(void)e;
	loop_arm(&c->loop, &x->tick, RESOLVER_TICK_NS, RESOLVER_TICK_NS);
	return RC_OK;
}

static void on_stop(struct child *c)
{
	struct resolver *x = c->context;

	names_stop(x);
	fetch_stop(x);
	ocsp_done(x);
	area_done(x);
	for (uint32_t i = 0; i < x->n; i++)
		entry_free(x->entry[i]);
	x->n = 0;
	countries_end(x);
	if (x->feed_dir >= 0)
		close(x->feed_dir);
	if (x->crl_dir >= 0)
		close(x->crl_dir);
	x->feed_dir = x->crl_dir = -1;
}

static const struct child_ops resolver_ops = {
	.on_resource = on_resource,
	.on_start = on_start,
	.on_link = on_link,
	.on_link_lost = on_link_lost,
	.on_message = on_message,
	.on_stop = on_stop,
};

void resolver_init(struct resolver *x, struct child *child, int supervisor_fd)
{
	/* No file may change what libssl does in here. */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
		abort();
	signal(SIGPIPE, SIG_IGN); /* libssl writes to a connection that may have ended */
	*x = (struct resolver){ .child = child, .room_share = room_share, .feed_dir = -1, .crl_dir = -1 };
	x->tick = (struct timer){ .fn = on_tick, .context = x };
	child_init(child, PROC_RESOLVER, &resolver_ops, x, LEDGER_LEDGER_OUTAGE, supervisor_fd);
	names_init(x);
	fetch_init(x, feed_fetched);
	ocsp_init(x);
}
