#include "proc/resolver/shell.h"

#include "base/log.h"
#include "crypto/hash.h"
#include "ledger/types.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void feed_end(struct entry *e)
{
	feed_done(&e->feed.list);
}

void feed_release(struct feed_of *f)
{
	free(f->list.range);
	f->list.range = NULL;
}

bool feed_is_released(const struct feed_of *f)
{
	return f->list.n > 0 && !f->list.range;
}

void feed_read_again(struct feed_of *f)
{
	f->again = true;
	f->disk_read = false;
	f->next = 0;
}

/* RC_AGAIN: the supervisor has not applied this commit yet, which is no fault that anybody has to know. */
static void feed_refused(struct resolver *x, struct entry *e, const struct msg_result *refused)
{
	if (refused->rc == RC_AGAIN)
		feed_put_off(x, &e->feed, e->of.interval_s, refused->text);
	else
		feed_failed(x, e, refused->text);
}

static void enter(struct resolver *x, const struct entry *e, const char *from)
{
	static struct ledger_body b;
	char hex[2 * SHA256_SIZE + 1];

	ledger_body_begin(&b, LEDGER_ADDRESS_FEED);
	ledger_body_u64(&b, "addresses", e->feed.list.n);
	ledger_body_str(&b, "from", from);
	ledger_body_str(&b, "name", e->of.name);
	ledger_body_str(&b, "object", e->of.object);
	ledger_body_str(&b, "sha256", hex_from_bytes(hex, e->feed.sha256, SHA256_SIZE));
	size_t n = ledger_body_done(&b);
	if (n == 0 || child_append(x->child, LEDGER_ASYNC, LEDGER_ADDRESS_FEED, b.text, n, NULL, 0) != RC_OK)
		log_error("the digest of feed '%s' could not be entered", e->of.name);
}

/* ---- the last good copy ---- */

static const char *copy_name(char ret_name[COPY_NAME_MAX], const struct entry *e, const char *ending)
{
	snprintf(ret_name, COPY_NAME_MAX, "%s@%.63s%s", e->of.object, e->of.name, ending);
	return ret_name;
}

static bool copy_write(struct resolver *x, const struct entry *e, const char *text, size_t n)
{
	char made[COPY_NAME_MAX], name[COPY_NAME_MAX];
	int fd = x->feed_dir < 0 ? -1
				 : openat(x->feed_dir, copy_name(made, e, ".new"),
					   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool good = fd >= 0 && feed_write_all(fd, text, n) && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	if (good && renameat(x->feed_dir, made, x->feed_dir, copy_name(name, e, "")) == 0)
		return true;
	if (!e->feed.unkept)
		log_error("feed '%s' is in use, but was not kept for the next start: %m", e->of.name);
	if (fd >= 0)
		unlinkat(x->feed_dir, made, 0); /* a part of it takes room of a full disk for nothing */
	return false;
}

/* ---- a list ---- */

static enum rc list_take(struct resolver *x, struct entry *e, const char *text, size_t n, struct err *err)
{
	struct feed_of *f = &e->feed;
	uint8_t digest[SHA256_SIZE];
	struct feed list;

	sha256(digest, text, n);
	if (f->known && !f->again && memcmp(digest, f->sha256, sizeof digest) == 0)
		return RC_AGAIN; /* the same as before */
	enum rc rc = feed_parse(&list, text, n, &e->of, err);
	if (rc != RC_OK)
		return rc;
	feed_done(&f->list);
	f->list = list;
	f->known = true;
	f->again = false;
	memcpy(f->sha256, digest, sizeof digest);
	x->changed = true;
	if (list.n > DYNAMIC_RANGES_MAX / DYNAMICS_MAX) /* a smaller one has room in any case */
		x->room_share(x);
	return RC_OK;
}

static void read_now(struct resolver *x, struct entry *e, const char *text, size_t n, const char *from)
{
	struct feed_of *f = &e->feed;
	struct err err = { 0 };
	enum rc rc = list_take(x, e, text, n, &err);

	if (rc != RC_OK && rc != RC_AGAIN) {
		feed_failed(x, e, err.text);
		return;
	}
	feed_succeeded(x, e);
	if (rc != RC_AGAIN) {
		log_info("feed '%s': %u addresses from %s", e->of.name, f->list.n, from);
		enter(x, e, from);
	}
	if (rc != RC_AGAIN || f->unkept) /* there may be room by now */
		f->unkept = !copy_write(x, e, text, n);
}

static void disk_read(struct resolver *x, struct entry *e)
{
	char name[COPY_NAME_MAX];
	struct err err = { 0 };
	utc_us written = 0;
	size_t n = 0;
	int fd = x->feed_dir < 0
			 ? -1
			 : openat(x->feed_dir, copy_name(name, e, ""), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	e->feed.disk_read = true;
	if (fd < 0)
		return;
	char *text = feed_file_read(fd, &n, &written, &err);
	close(fd);
	if (text && list_take(x, e, text, n, &err) == RC_OK) {
		e->feed.read_at = written;
		snprintf(e->feed.why, sizeof e->feed.why, "not read yet since the start");
		enter(x, e, "the last good copy");
	} else {
		log_warn("the last good copy of feed '%s' cannot be used: %s", e->of.name, err.text);
	}
	free(text);
}

static bool has_key(const struct snap_dynamic *d)
{
	static const uint8_t any[sizeof d->server_key];

	return d->url[0] && memcmp(d->server_key, any, sizeof any) != 0;
}

static bool is_in_clear(const struct snap_dynamic *d)
{
	return strncmp(d->url, "http://", 7) == 0;
}

void feed_fetched(struct resolver *x, struct entry *e, const char *text, size_t n, const char *why)
{
	if (!text)
		feed_failed(x, e, why);
	else if (e->of.kind == DYNAMIC_CRL)
		crl_fetched(x, e, text, n);
	else
		read_now(x, e, text, n, e->of.url);
}

/* What it waits for of the supervisor or of a server is over without it. */
static void overdue(struct resolver *x)
{
	for (uint32_t i = 0; i < x->n; i++) {
		struct entry *e = x->entry[i];
		if (!entry_is_fetched(e) || !e->feed.awaited || e->feed.deadline > x->child->loop.now)
			continue;
		if (e->judges)
			crl_overdue(x, e);
		else
			feed_failed(x, e, "the supervisor has not opened it in time");
	}
}

/* From opening its authorities on to its last octet. */
static uint32_t urls_under_way(const struct resolver *x)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->n; i++)
		n += entry_is_fetched(x->entry[i]) && x->entry[i]->of.url[0] && x->entry[i]->feed.awaited;
	return n;
}

/* The one that waits for longest: servers that take all the time there is are not asked again before everybody else was. */
static struct entry *most_due(struct resolver *x, bool urls)
{
	struct entry *due = NULL;

	for (uint32_t i = 0; i < x->n; i++) {
		struct entry *e = x->entry[i];
		if (entry_is_fetched(e) && !e->feed.awaited && e->feed.next <= x->child->loop.now &&
			(urls || !e->of.url[0]) && (!due || e->feed.next < due->feed.next))
			due = e;
	}
	return due;
}

static void begin(struct resolver *x, struct entry *e)
{
	struct feed_of *f = &e->feed;
	struct msg_feed m = { .kind = e->of.kind };

	e->judges = 0;
	if (has_key(&e->of) || is_in_clear(&e->of)) { /* needs no authorities */
		fetch_begin(x, e, -1);
		return;
	}
	f->awaited = ++x->last_tag;
	f->deadline = x->child->loop.now + RESOLVER_SOCKETS_NS;
	snprintf(m.name, sizeof m.name, "%.*s", (int)sizeof m.name - 1, e->of.name);
	if (ipc_send_FEED_OPEN(child_link(x->child, PROC_SUPERVISOR), f->awaited, &m) != RC_OK)
		feed_failed(x, e, "the request could not be sent to the supervisor");
}

void feeds_begin(struct resolver *x)
{
	for (uint32_t i = 0; i < x->n; i++)
		if (entry_is_fetched(x->entry[i]) && !x->entry[i]->feed.disk_read)
			(x->entry[i]->of.kind == DYNAMIC_CRL ? crl_disk_read : disk_read)(x, x->entry[i]);
	overdue(x);
	for (uint32_t begun = 0; begun < RESOLVER_FEEDS_MAX; begun++) {
		struct entry *e = most_due(x, !fetch_busy(x) && urls_under_way(x) < RESOLVER_FETCHES_MAX);
		if (!e)
			break;
		begin(x, e);
	}
}

static struct entry *awaiting(struct resolver *x, uint64_t tag)
{
	for (uint32_t i = 0; i < x->n; i++)
		if (entry_is_fetched(x->entry[i]) && x->entry[i]->feed.awaited == tag && tag)
			return x->entry[i];
	return NULL;
}

static void file_take(struct resolver *x, struct entry *e, int fd)
{
	struct err err = { 0 };
	char from[NAME_MAX_BYTES + 8];
	utc_us written;
	size_t n = 0;
	char *text = feed_file_read(fd, &n, &written, &err);

	close(fd);
	snprintf(from, sizeof from, "file %s", e->of.file);
	if (text)
		read_now(x, e, text, n, from);
	else
		feed_failed(x, e, err.text);
	free(text);
}

bool feeds_told(struct resolver *x, struct ipc_frame *f)
{
	struct entry *e = awaiting(x, f->head.tag);

	switch (f->head.id) {
	case IPC_FEED_FILE:
		if (e && e->of.url[0])
			fetch_begin(x, e, ipc_frame_take(f));
		else if (e)
			file_take(x, e, ipc_frame_take(f));
		return true;
	case IPC_FEED_REFUSED:
		f->u.FEED_REFUSED.text[sizeof f->u.FEED_REFUSED.text - 1] = '\0';
		if (e)
			feed_refused(x, e, &f->u.FEED_REFUSED);
		return true;
	default:
		return false;
	}
}
