/*
 * The state that outlives the process: a memfd that the supervisor keeps and hands to each new data plane. It
 * holds SAs with their keys, sequence numbers and replay windows, and the sessions; each core is responsible
 * for its own part and can resume with what a killed process left (esp/esp.h, firewall/firewall.h).
 *
 * The sessions are divided among the workers, each of which has a region, by the key in the head. With another number
 * of workers they would be at home elsewhere: they end, and the SAs stay, with other owners.
 *
 * The head's magic is written last. A file of another version is cleared.
 */
#include "base/log.h"
#include "proc/dataplane/dataplane.h"

#include <assert.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_MAGIC   0x31455441545347ull
#define MEMORY_VERSION 1
#define MEMORY_HEAD    4096

struct memory_head {
	uint64_t magic;
	uint32_t version, pairs_max;
	uint32_t sessions_max; /* of each worker */
	uint32_t others;       /* workers beside the first */
	uint64_t bytes, esp_at, fw_at, fw_each;
	uint8_t flow_key[16]; /* by it sessions are divided among the workers */
};

static void *memory_anonymous(size_t n)
{
	uint8_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, n, MADV_DONTDUMP);
	return p;
}

void *memory_buffers(size_t n)
{
	const uintptr_t huge = 2u << 20;
	uint8_t *p = memory_anonymous(n + huge);

	if (!p)
		return NULL;
	p = (uint8_t *)(((uintptr_t)p + huge - 1) & ~(huge - 1));
	madvise(p, n, MADV_HUGEPAGE);
	return p;
}

/* What was skipped in front of it, to begin at a large page, was never touched. */
void memory_buffers_free(void *p, size_t n)
{
	if (p)
		munmap(p, n);
}

static uint64_t round_up(uint64_t n)
{
	return (n + 4095) & ~4095ull;
}

/* How the file is divided: SAs first, then a region of sessions for each worker. False: too small. */
static bool lay_out(size_t bytes, uint32_t workers, struct memory_head *h)
{
	*h = (struct memory_head){ .magic = MEMORY_MAGIC,
		.version = MEMORY_VERSION,
		.others = workers - 1,
		.bytes = bytes,
		.esp_at = MEMORY_HEAD };
	h->pairs_max = STATE_PAIRS;
	while (h->pairs_max > STATE_PAIRS_MIN && round_up(esp_state_size(h->pairs_max)) > bytes / 4)
		h->pairs_max /= 2;
	h->fw_at = MEMORY_HEAD + round_up(esp_state_size(h->pairs_max));
	if (h->fw_at >= bytes)
		return false;
	h->fw_each = (bytes - h->fw_at) / workers & ~4095ull;
	h->sessions_max = SESSIONS_MAX;
	while (h->sessions_max > STATE_SESSIONS_MIN && fw_state_bytes(h->sessions_max) > h->fw_each)
		h->sessions_max -= h->sessions_max / 16;
	assert(h->esp_at % 64 == 0 && h->fw_at % 64 == 0);
	return fw_state_bytes(h->sessions_max) <= h->fw_each;
}

/* Is what stands in the head this division? The key is whatever it is. */
static bool is_laid_out(const struct memory_head *head, const struct memory_head *want)
{
	return memcmp(head, want, offsetof(struct memory_head, flow_key)) == 0;
}

uint32_t memory_workers(int fd)
{
	struct memory_head *head, want;
	struct stat st;
	uint32_t workers = 1;

	if (fstat(fd, &st) < 0 || st.st_size < MEMORY_HEAD)
		return 1;
	head = mmap(NULL, MEMORY_HEAD, PROT_READ, MAP_SHARED, fd, 0);
	if (head == MAP_FAILED)
		return 1;
	if (head->others < WORKERS_MAX && lay_out((size_t)st.st_size, head->others + 1, &want) &&
		is_laid_out(head, &want))
		workers = head->others + 1;
	munmap(head, MEMORY_HEAD);
	return workers;
}

/* All pages are released, after which they read as zero. */
static void pages_release(struct dataplane *d, uint64_t from)
{
	uint8_t *at = (uint8_t *)d->state + from;

	if (madvise(at, d->state_n - from, MADV_REMOVE) < 0)
		bytes_wipe(at, d->state_n - from);
}

/*
 * Memory of another layout: what may be keys is wiped, and all pages are released, after which they read as
 * zero. Only pages that were used are touched: the file is sparse and large.
 */
static void state_discard(struct dataplane *d, const struct memory_head *want)
{
	off_t at = 0, end;

	while ((at = lseek(d->state_fd, at, SEEK_DATA)) >= 0 && at < (off_t)want->fw_at) {
		if ((end = lseek(d->state_fd, at, SEEK_HOLE)) < 0)
			break;
		end = MIN_OF(end, (off_t)want->fw_at);
		bytes_wipe((uint8_t *)d->state + at, (size_t)(end - at));
		at = end;
	}
	pages_release(d, 0);
}

/* The head is complete before its magic. */
static enum rc head_write(struct memory_head *head, const struct memory_head *want, struct err *e)
{
	uint64_t magic = want->magic;

	*head = *want;
	head->magic = 0;
	if (getrandom(head->flow_key, sizeof head->flow_key, 0) != sizeof head->flow_key)
		return err_errno(e, RC_IO, "read random octets for the key of flows");
	__atomic_store_n(&head->magic, magic, __ATOMIC_RELEASE);
	return RC_OK;
}

static enum rc memory_map(struct dataplane *d, int fd, struct memory_head *ret_want, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, RC_IO, "read the size of the state memory");
	d->state_fd = fd;
	d->state_n = (size_t)st.st_size;
	if (!lay_out(d->state_n, d->workers_n, ret_want))
		return err_add(e, RC_RANGE,
			"the state memory of %zu octets is too small for %d SA pairs and %d sessions of each of %u workers",
			d->state_n, STATE_PAIRS_MIN, STATE_SESSIONS_MIN, d->workers_n);
	d->state = mmap(NULL, d->state_n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (d->state == MAP_FAILED) {
		d->state = NULL;
		return err_errno(e, RC_IO, "map %zu octets of state memory", d->state_n);
	}
	madvise(d->state, d->state_n, MADV_DONTDUMP);
	return RC_OK;
}

static enum rc esp_attach(struct dataplane *d, const struct memory_head *head, struct err *e)
{
	bool esp_resumed = false;

	d->pairs_max = head->pairs_max;
	d->esp_tables_n = esp_tables_size(d->pairs_max);
	d->esp_tables = memory_anonymous(d->esp_tables_n);
	d->usage_reported = memory_anonymous(d->pairs_max * sizeof *d->usage_reported);
	if (!d->esp_tables || !d->usage_reported)
		return err_add(e, RC_LIMIT, "out of memory for %u pairs of SAs", d->pairs_max);
	d->esp = esp_new((uint8_t *)d->state + head->esp_at, head->fw_at - head->esp_at, d->esp_tables,
		d->esp_tables_n, d->pairs_max, d->workers_n, &esp_resumed, e);
	return d->esp ? RC_OK : RC_INTERNAL;
}

/* Whole pages of the file, which may not be there. */
static void pages_zero(void *at, size_t n)
{
	if (madvise(at, n, MADV_REMOVE) < 0)
		memset(at, 0, n);
}

static enum rc firewalls_attach(
	struct dataplane *d, const struct memory_head *head, bool fresh, struct err *e)
{
	struct fw_limits limits = { .reassembly_max = REASSEMBLY_MAX,
		.sessions_max = head->sessions_max,
		.zero = pages_zero,
		.table_new = memory_anonymous,
		.table_free = memory_buffers_free };
	struct firewall *all[WORKERS_MAX];
	uint8_t *base = (uint8_t *)d->state + head->fw_at;

	limits.workers = d->workers_n;
	memcpy(limits.flow_key, head->flow_key, sizeof limits.flow_key);
	d->sessions_max = head->sessions_max;
	memcpy(d->flow_key, head->flow_key, sizeof d->flow_key);
	if (getrandom(limits.hash_key, sizeof limits.hash_key, 0) != sizeof limits.hash_key)
		return err_errno(e, RC_IO, "read random octets for the hash key");
	for (uint32_t i = 0; i < d->workers_n; i++) {
		limits.worker = i;
		d->workers[i]->fw =
			fw_attach(base + i * head->fw_each, head->fw_each, fresh, &limits, clock_mono(), e);
		all[i] = d->workers[i]->fw;
		if (!all[i])
			break;
	}
	bytes_wipe(limits.hash_key, sizeof limits.hash_key);
	if (!d->workers[d->workers_n - 1]->fw)
		return RC_INTERNAL;
	fw_join(all, d->workers_n);
	return RC_OK;
}

static unsigned long long records_left(const struct dataplane *d)
{
	unsigned long long n = 0;

	for (uint32_t i = 0; i < d->workers_n; i++)
		n += fw_counters(d->workers[i]->fw)->adoption_left;
	return n;
}

enum rc memory_attach(struct dataplane *d, int fd, struct err *e)
{
	struct memory_head want;
	enum rc rc = memory_map(d, fd, &want, e);

	if (rc != RC_OK)
		return rc;
	struct memory_head *head = d->state;
	d->resumed = is_laid_out(head, &want);
	if (!d->resumed) {
		if (head->magic != 0) /* a fresh file is zero and has no pages yet */
			state_discard(d, &want);
		rc = head_write(head, &want, e);
	}
	if (rc == RC_OK)
		rc = esp_attach(d, head, e);
	if (rc == RC_OK)
		rc = firewalls_attach(d, head, !d->resumed, e);
	if (rc == RC_OK)
		log_info(
			"the state memory of %zu MB has room for %u pairs of SAs and %u sessions of each of %u workers; %s with %u pairs and %llu records of sessions",
			d->state_n >> 20, d->pairs_max, d->sessions_max, d->workers_n,
			d->resumed ? "resumed" : "new", esp_pairs(d->esp), records_left(d));
	return rc;
}

/* A process that is killed in here leaves memory of no known layout, which the next one discards. */
enum rc memory_divide(struct dataplane *d, struct err *e)
{
	struct memory_head *head = d->state, want;

	for (uint32_t i = 0; i < d->workers_n; i++) {
		struct worker *w = d->workers[i];
		fw_detach(w->fw);
		w->fw = w->pipeline.fw = NULL;
	}
	if (!lay_out(d->state_n, d->workers_n, &want))
		return err_add(e, RC_RANGE, "the state memory of %zu octets is too small for %u workers",
			d->state_n, d->workers_n);
	head->magic = 0;
	pages_release(d, want.fw_at);
	enum rc rc = esp_workers(d->esp, d->workers_n, e);
	if (rc == RC_OK)
		rc = head_write(head, &want, e);
	if (rc == RC_OK)
		rc = firewalls_attach(d, head, true, e);
	if (rc == RC_OK)
		log_info("sessions are divided among %u workers now, with room for %u of each", d->workers_n,
			d->sessions_max);
	return rc;
}

/* The file keeps the SAs and sessions for the next process; the keys that this one expanded are wiped. */
void memory_detach(struct dataplane *d)
{
	for (uint32_t i = 0; i < d->workers_n; i++) {
		fw_detach(d->workers[i]->fw);
		d->workers[i]->fw = NULL;
	}
	esp_free(d->esp);
	if (d->esp_tables)
		munmap(d->esp_tables, d->esp_tables_n);
	if (d->usage_reported)
		munmap(d->usage_reported, d->pairs_max * sizeof *d->usage_reported);
	if (d->state)
		munmap(d->state, d->state_n);
	if (d->state_fd >= 0)
		close(d->state_fd);
	d->esp = NULL;
	d->esp_tables = d->state = NULL;
	d->state_fd = -1;
}
