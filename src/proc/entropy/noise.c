#include "proc/entropy/noise.h"

#include "base/bytes.h"

#include <assert.h>
#include <cpuid.h>
#include <x86intrin.h>

#define RDSEED_TRIES 10000 /* it can be empty for a while when other processors draw from it */
#define STEPS_LEAST  16	   /* pieces of work between two readings of the clock, and up to 15 more */

static bool has_rdseed(void)
{
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> 18 & 1;
}

static bool rdseed_word(uint64_t *ret_word)
{
	for (int i = 0; i < RDSEED_TRIES; i++) {
		uint8_t good;

		__asm__ volatile("rdseed %0; setc %1" : "=r"(*ret_word), "=qm"(good) : : "cc");
		if (good)
			return true;
		_mm_pause();
	}
	return false;
}

void noise_init(struct noise *n, uint8_t *memory)
{
	*n = (struct noise){ .memory = memory, .has_rdseed = has_rdseed() };
	memset(memory, 0, NOISE_MEMORY);
}

static uint64_t now(struct noise *n)
{
	return n->clock ? n->clock(n->context) : __rdtsc();
}

uint64_t noise_duration(struct noise *n)
{
	_Static_assert((NOISE_MEMORY & (NOISE_MEMORY - 1)) == 0, "positions are cut by a mask");
	uint32_t steps = STEPS_LEAST + (n->turn & 15), at = n->at;
	volatile uint8_t *memory = n->memory;

	/* Reads and writes that depend on each other, at distances of more than a cache line. */
	for (uint32_t i = 0; i < steps; i++) {
		memory[at] = (uint8_t)(memory[at] + 1);
		at = (at + 4099u + memory[at]) & (NOISE_MEMORY - 1);
	}
	uint64_t then = n->last, duration = (n->last = now(n)) - then;
	n->at = at;
	n->turn = n->turn * 31 + (uint32_t)duration;
	return duration;
}

/* Tests `count` durations; those that pass go into `hash`, when there is one. */
static bool jitter_take(struct noise *n, uint32_t count, struct sha256_state *hash)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t duration = noise_duration(n);
		uint8_t sample = (uint8_t)duration;

		if (!health_take(&n->jitter, &sample, 1))
			return false;
		if (hash)
			sha256_more(hash, &duration, sizeof duration);
	}
	return true;
}

/* A source that gives no more output counts as one that repeats itself. */
static bool rdseed_take(struct noise *n, uint32_t octets, struct sha256_state *hash)
{
	for (uint32_t at = 0; n->has_rdseed && at < octets; at += sizeof(uint64_t)) {
		uint64_t word = 0;
		bool good = n->rdseed.verdict == HEALTH_GOOD;

		if (good && !rdseed_word(&word))
			n->rdseed.verdict = HEALTH_REPETITION;
		if (!health_take(&n->rdseed, (const uint8_t *)&word, sizeof word))
			return false;
		if (hash)
			sha256_more(hash, &word, sizeof word);
		bytes_wipe(&word, sizeof word);
	}
	return true;
}

static enum rc failure_error(const struct noise *n, struct err *e)
{
	enum health_verdict verdict = HEALTH_GOOD;
	uint64_t samples = 0;
	const char *source = noise_failed(n, &verdict, &samples);

	return err_add(e, RC_DENIED, "%s failed the %s test after %llu samples",
		source ? source : "no source", health_text(verdict), (unsigned long long)samples);
}

enum rc noise_start(struct noise *n, struct err *e)
{
	health_begin(&n->jitter, HEALTH_QUARTER_BIT);
	health_begin(&n->rdseed, HEALTH_FOUR_BITS);
	noise_duration(n); /* the first duration has no known start */
	/* SP 800-90B 4.3: the samples of the start-up tests are discarded. */
	if (!jitter_take(n, HEALTH_STARTUP, NULL) || !rdseed_take(n, HEALTH_STARTUP, NULL))
		return failure_error(n, e);
	return RC_OK;
}

static void chain(struct noise *n, const char *label, uint8_t ret_hash[SHA256_SIZE])
{
	const struct sha256_part parts[] = { { label, strlen(label) }, { n->pool, sizeof n->pool } };

	sha256_parts(ret_hash, parts, COUNT_OF(parts));
}

enum rc noise_share(struct noise *n, uint8_t ret_share[NOISE_SHARE_SIZE], struct err *e)
{
	static const char label[] = "plaingate/noise/pool";
	struct sha256_state hash = sha256_begin();
	uint8_t pool[SHA256_SIZE];
	bool good;

	_Static_assert(NOISE_SHARE_SIZE == SHA256_SIZE, "a share is a hash");
	_Static_assert(NOISE_SAMPLES / 4 >= 2 * 8 * NOISE_SHARE_SIZE,
		"a quarter of a bit each: twice the share's bits");
	memset(ret_share, 0, NOISE_SHARE_SIZE);
	sha256_more(&hash, label, sizeof label - 1);
	sha256_more(&hash, n->pool, sizeof n->pool);
	good = health_started(&n->jitter) && jitter_take(n, NOISE_SAMPLES, &hash) &&
	       rdseed_take(n, NOISE_RDSEED_SIZE, &hash);
	sha256_done(&hash, pool);
	if (good) {
		memcpy(n->pool, pool, sizeof n->pool);
		chain(n, "plaingate/noise/share", ret_share);
		chain(n, "plaingate/noise/next", n->pool);
	}
	bytes_wipe(pool, sizeof pool);
	return good ? RC_OK : failure_error(n, e);
}

const char *noise_failed(const struct noise *n, enum health_verdict *ret_verdict, uint64_t *ret_samples)
{
	const struct health *h = n->jitter.verdict != HEALTH_GOOD ? &n->jitter : &n->rdseed;

	*ret_verdict = h->verdict;
	*ret_samples = h->samples;
	return h->verdict == HEALTH_GOOD ? NULL : h == &n->jitter ? "processor jitter" : "RDSEED";
}

const char *noise_sources(const struct noise *n)
{
	return n->has_rdseed ? "processor jitter, RDSEED" : "processor jitter";
}

void noise_done(struct noise *n)
{
	bytes_wipe(n->pool, sizeof n->pool);
	bytes_wipe(&n->turn, sizeof n->turn);
	n->jitter.samples = 0; /* no more shares come of it */
}
