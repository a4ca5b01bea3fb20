/*
 * The database of countries: one file for all of them, read when it is due as feeds are. libmaxminddb opens by name only, so what
 * came from the supervisor is written to the resolver's own directory first, and opened there: nobody else can change or
 * cut it while the library has it mapped. What was good becomes the copy for the next start.
 */
#include "proc/resolver/shell.h"

#include "base/log.h"
#include "crypto/hash.h"
#include "ledger/types.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COPY	 "countries.mmdb" /* no feed's: those have an @ in their names */
#define COPY_NEW "countries.mmdb.new"

static const struct entry *first_of(const struct resolver *x)
{
	for (uint32_t i = 0; i < x->n; i++)
		if (x->entry[i]->of.kind == DYNAMIC_COUNTRY)
			return x->entry[i];
	return NULL;
}

static void failed(struct resolver *x, const char *why)
{
	const struct entry *e = first_of(x);

	if (strncmp(x->database.file.why, why, sizeof x->database.file.why - 1) != 0)
		log_warn("the database of countries is not used, %s: %s",
			x->database.file.known ? "the last good one stays"
					       : "and no network of any country is known yet",
			why);
	feed_put_off(x, &x->database.file, e ? e->of.interval_s : 1, why);
}

/* RC_AGAIN: as in feeds.c. */
static void refused(struct resolver *x, const struct msg_result *m)
{
	const struct entry *e = first_of(x);

	if (m->rc == RC_AGAIN)
		feed_put_off(x, &x->database.file, e ? e->of.interval_s : 1, m->text);
	else
		failed(x, m->text);
}

const struct feed *country_list(const struct resolver *x, const struct entry *e)
{
	return &x->database.found.of[country_index(e->of.name)];
}

bool country_known(const struct resolver *x, const struct entry *e)
{
	return x->database.file.known && x->database.found.wanted[country_index(e->of.name)];
}

void countries_listed(struct resolver *x)
{
	struct database *d = &x->database;
	const struct entry *first = first_of(x);
	bool more = false;

	for (uint32_t i = 0; i < x->n; i++) {
		uint32_t index = country_index(x->entry[i]->of.name);
		if (x->entry[i]->of.kind != DYNAMIC_COUNTRY || index == COUNTRIES)
			continue;
		d->wanted[index] = true;
		more |= !d->found.wanted[index];
	}
	if (!first)
		return;
	if (strcmp(d->name, first->of.file) != 0)
		more = true;
	snprintf(d->name, sizeof d->name, "%s", first->of.file);
	if (!more)
		return;
	/* Read again as a whole, at once: from the copy, then from the file. */
	memset(d->file.sha256, 0, sizeof d->file.sha256);
	d->file.disk_read = false;
	d->file.next = 0;
	d->file.failures = 0;
}

static void enter(struct resolver *x, const char *from, uint64_t networks)
{
	static struct ledger_body b;
	const struct database *d = &x->database;
	char hex[2 * SHA256_SIZE + 1], built[UTC_TEXT_MAX] = "", codes[3 * COUNTRIES + 1] = "";
	size_t n = 0;

	for (uint32_t i = 0; i < COUNTRIES; i++)
		if (d->found.wanted[i]) {
			codes[n++] = (char)('A' + i / COUNTRY_LETTERS);
			codes[n++] = (char)('A' + i % COUNTRY_LETTERS);
			codes[n++] = ' ';
		}
	codes[n ? n - 1 : 0] = '\0';
	ledger_body_begin(&b, LEDGER_COUNTRY_DATABASE);
	ledger_body_u64(&b, "addresses", networks);
	ledger_body_str(&b, "built", d->found.built ? utc_text(built, d->found.built * 1000000) : built);
	ledger_body_str(&b, "countries", codes);
	ledger_body_str(&b, "from", from);
	ledger_body_str(&b, "sha256", hex_from_bytes(hex, d->file.sha256, SHA256_SIZE));
	size_t bytes = ledger_body_done(&b);
	if (bytes == 0 || child_append(x->child, LEDGER_ASYNC, LEDGER_COUNTRY_DATABASE, b.text, bytes, NULL,
				  0) != RC_OK)
		log_error("the digest of the database of countries could not be entered");
}

/* That of a name in our own directory, which is the working directory from here on: the root has nothing to name. */
static enum rc parse(struct resolver *x, const char *name, struct countries *ret, struct err *e)
{
	MMDB_s db;
	int status;

	*ret = (struct countries){ 0 };
	memcpy(ret->wanted, x->database.wanted, sizeof ret->wanted);
	if (x->feed_dir < 0 || fchdir(x->feed_dir) < 0)
		return err_add(e, RC_DENIED, "there is no directory for its copy");
	status = MMDB_open(name, MMDB_MODE_MMAP, &db);
	if (status != MMDB_SUCCESS)
		return err_add(e, RC_MALFORMED,
			"it is not a MaxMind database (GeoLite2 or another .mmdb): %s",
			MMDB_strerror(status));
	enum rc rc = countries_parse(ret, &db, e);
	MMDB_close(&db);
	return rc;
}

static bool copy_write(struct resolver *x, const char *bytes, size_t n, struct err *e)
{
	int fd = x->feed_dir < 0
			 ? -1
			 : openat(x->feed_dir, COPY_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool good = fd >= 0 && feed_write_all(fd, bytes, n) && fsync(fd) == 0;

	if (!good)
		err_errno(e, RC_IO, "write its copy");
	if (fd >= 0)
		close(fd);
	return good;
}

static void found(struct resolver *x, struct countries *next, const char *from)
{
	struct database *d = &x->database;
	uint64_t networks = 0;
	char built[UTC_TEXT_MAX];

	countries_done(&d->found);
	d->found = *next;
	d->file.known = true;
	x->changed = true;
	for (uint32_t i = 0; i < COUNTRIES; i++)
		networks += d->found.of[i].n;
	log_info("database of countries: %llu networks from %s, made at %s, as it says itself",
		(unsigned long long)networks, from,
		d->found.built ? utc_text(built, d->found.built * 1000000) : "an unknown time");
	enter(x, from, networks);
}

static void disk_read(struct resolver *x)
{
	static struct countries next;
	struct database *d = &x->database;
	struct err err = { 0 };
	utc_us written = 0;
	size_t n = 0;
	int fd = x->feed_dir < 0 ? -1 : openat(x->feed_dir, COPY, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	d->file.disk_read = true;
	if (fd < 0)
		return;
	char *bytes = feed_file_read(fd, &n, &written, &err);
	close(fd);
	if (bytes && parse(x, COPY, &next, &err) == RC_OK) {
		sha256(d->file.sha256, bytes, n);
		d->file.read_at = written;
		snprintf(
			d->file.why, sizeof d->file.why, "not read yet since the start, or since the commit");
		found(x, &next, "the last good copy");
	} else {
		log_warn("the last good copy of the database of countries cannot be used: %s", err.text);
	}
	free(bytes);
}

static void read_now(struct resolver *x, const struct entry *first, const char *bytes, size_t n)
{
	static struct countries next;
	struct feed_of *f = &x->database.file;
	uint8_t digest[SHA256_SIZE];
	char from[NAME_MAX_BYTES + 8];
	struct err err = { 0 };

	sha256(digest, bytes, n);
	bool same = f->known && memcmp(digest, f->sha256, sizeof digest) == 0;
	if (!same && (!copy_write(x, bytes, n, &err) || parse(x, COPY_NEW, &next, &err) != RC_OK)) {
		failed(x, err.text);
		if (x->feed_dir >= 0)
			unlinkat(x->feed_dir, COPY_NEW, 0); /* it takes room for nothing */
		return;
	}
	f->read_at = clock_utc();
	f->why[0] = '\0';
	f->failures = 0;
	f->awaited = 0;
	f->next = x->child->loop.now + first->of.interval_s * NS_PER_S;
	if (same)
		return;
	if (renameat(x->feed_dir, COPY_NEW, x->feed_dir, COPY) < 0) {
		log_error("the database of countries is in use, but was not kept for the next start: %m");
		unlinkat(x->feed_dir, COPY_NEW, 0);
	}
	memcpy(f->sha256, digest, sizeof digest);
	snprintf(from, sizeof from, "file %s", first->of.file);
	found(x, &next, from);
}

void countries_begin(struct resolver *x)
{
	struct feed_of *f = &x->database.file;
	const struct entry *first = first_of(x);
	mono_ns now = x->child->loop.now;
	struct msg_feed m = { .kind = DYNAMIC_COUNTRY };

	if (!first)
		return;
	if (!f->disk_read)
		disk_read(x);
	if (f->awaited && f->deadline <= now)
		failed(x, "the supervisor has not opened it in time");
	if (f->awaited || f->next > now)
		return;
	f->awaited = ++x->last_tag;
	f->deadline = now + RESOLVER_SOCKETS_NS;
	snprintf(m.name, sizeof m.name, "%.*s", (int)sizeof m.name - 1, first->of.name);
	if (ipc_send_FEED_OPEN(child_link(x->child, PROC_SUPERVISOR), f->awaited, &m) != RC_OK)
		failed(x, "the request could not be sent to the supervisor");
}

bool countries_told(struct resolver *x, struct ipc_frame *f)
{
	const struct entry *first = first_of(x);
	struct err err = { 0 };
	utc_us written;
	size_t n = 0;

	if ((f->head.id != IPC_FEED_FILE && f->head.id != IPC_FEED_REFUSED) || f->head.tag == 0 ||
		f->head.tag != x->database.file.awaited || !first)
		return false;
	if (f->head.id == IPC_FEED_REFUSED) {
		f->u.FEED_REFUSED.text[sizeof f->u.FEED_REFUSED.text - 1] = '\0';
		refused(x, &f->u.FEED_REFUSED);
		return true;
	}
	int fd = ipc_frame_take(f);
	char *bytes = feed_file_read(fd, &n, &written, &err);
	close(fd);
	if (bytes)
		read_now(x, first, bytes, n);
	else
		failed(x, err.text);
	free(bytes);
	return true;
}

void countries_end(struct resolver *x)
{
	countries_done(&x->database.found);
	x->database = (struct database){ 0 };
}
