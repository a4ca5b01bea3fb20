/*
 * The state that outlives the process: a memfd that the supervisor keeps and hands to each new data plane. It
 * holds SAs with their keys, sequence numbers and replay windows, and the sessions; each core is responsible
 * for its own part and can resume with what a killed process left (esp/esp.h, firewall/firewall.h).
 *
 * The head is written once, its magic last. A file of another version is cleared.
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
	uint32_t version, pairs_max, sessions_max, zero;
	uint64_t bytes, esp_at, fw_at;
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

static uint64_t round_up(uint64_t n)
{
	return (n + 4095) & ~4095ull;
}

/* How the file is divided: SAs first, the rest for sessions. False: too small. */
static bool lay_out(size_t bytes, struct memory_head *h)
{
	*h = (struct memory_head){
		.magic = MEMORY_MAGIC, .version = MEMORY_VERSION, .bytes = bytes, .esp_at = MEMORY_HEAD
	};
	h->pairs_max = STATE_PAIRS;
	while (h->pairs_max > STATE_PAIRS_MIN && round_up(esp_state_size(h->pairs_max)) > bytes / 4)
		h->pairs_max /= 2;
	h->fw_at = MEMORY_HEAD + round_up(esp_state_size(h->pairs_max));
	h->sessions_max = SESSIONS_MAX;
	while (h->sessions_max > STATE_SESSIONS_MIN &&
		(h->fw_at >= bytes || fw_state_bytes(h->sessions_max) > bytes - h->fw_at))
		h->sessions_max -= h->sessions_max / 16;
	assert(h->esp_at % 64 == 0 && h->fw_at % 64 == 0);
	return h->fw_at < bytes && fw_state_bytes(h->sessions_max) <= bytes - h->fw_at;
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
	if (madvise(d->state, d->state_n, MADV_REMOVE) < 0)
		bytes_wipe(d->state, d->state_n);
}

enum rc memory_attach(struct dataplane *d, int fd, struct err *e)
{
	struct worker *w = d->workers[0];
	struct fw_limits limits = { .reassembly_max = REASSEMBLY_MAX };
	struct memory_head want;
	struct stat st;
	bool esp_resumed = false;

	if (fstat(fd, &st) < 0)
		return err_errno(e, RC_IO, "read the size of the state memory");
	d->state_fd = fd;
	d->state_n = (size_t)st.st_size;
	if (!lay_out(d->state_n, &want))
		return err_add(e, RC_RANGE,
			"the state memory of %zu octets is too small for %d SA pairs and %d sessions",
			d->state_n, STATE_PAIRS_MIN, STATE_SESSIONS_MIN);
	d->state = mmap(NULL, d->state_n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (d->state == MAP_FAILED) {
		d->state = NULL;
		return err_errno(e, RC_IO, "map %zu octets of state memory", d->state_n);
	}
	madvise(d->state, d->state_n, MADV_DONTDUMP);

	struct memory_head *head = d->state;
	d->resumed = memcmp(head, &want, sizeof want) == 0;
	if (!d->resumed) {
		if (head->magic != 0) /* a fresh file is zero and has no pages yet */
			state_discard(d, &want);
		*head = want;
	}
	d->pairs_max = want.pairs_max;
	d->sessions_max = limits.sessions_max = want.sessions_max;
	d->esp_tables_n = esp_tables_size(d->pairs_max);
	d->esp_tables = memory_anonymous(d->esp_tables_n);
	if (!d->esp_tables)
		return err_add(e, RC_LIMIT, "out of memory for %u pairs of SAs", d->pairs_max);
	uint8_t *base = d->state;
	d->esp = esp_new(base + want.esp_at, want.fw_at - want.esp_at, d->esp_tables, d->esp_tables_n,
		d->pairs_max, &esp_resumed, e);
	if (!d->esp)
		return RC_INTERNAL;
	if (getrandom(limits.hash_key, sizeof limits.hash_key, 0) != sizeof limits.hash_key)
		return err_errno(e, RC_IO, "read random octets for the hash key");
	w->fw = fw_attach(base + want.fw_at, d->state_n - want.fw_at, !d->resumed, &limits, clock_mono(), e);
	bytes_wipe(limits.hash_key, sizeof limits.hash_key);
	if (!w->fw)
		return RC_INTERNAL;
	log_info(
		"the state memory of %zu MB has room for %u pairs of SAs and %u sessions; %s with %u pairs and %llu sessions",
		d->state_n >> 20, d->pairs_max, d->sessions_max, d->resumed ? "resumed" : "new",
		esp_pairs(d->esp), (unsigned long long)fw_counters(w->fw)->sessions_now);
	return RC_OK;
}

/* The file keeps the SAs and sessions for the next process; the keys that this one expanded are wiped. */
void memory_detach(struct dataplane *d)
{
	struct worker *w = d->workers[0];

	fw_detach(w->fw);
	esp_free(d->esp);
	if (d->esp_tables)
		munmap(d->esp_tables, d->esp_tables_n);
	if (d->state)
		munmap(d->state, d->state_n);
	if (d->state_fd >= 0)
		close(d->state_fd);
	w->fw = NULL;
	d->esp = NULL;
	d->esp_tables = d->state = NULL;
	d->state_fd = -1;
}
