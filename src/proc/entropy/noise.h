/*
 * Noise of this machine, gathered without the kernel's generator: how long the processor takes for the same
 * work over memory that does not fit its nearest caches (jitter), and its own source RDSEED where it has one.
 *
 * Raw samples go through the health tests of SP 800-90B (crypto/health.h) before they are used: of jitter the
 * lowest octet of each duration, of which a quarter of a bit is claimed; of RDSEED each octet, of which four
 * bits are claimed. A share is made of NOISE_SAMPLES durations, which claims 512 bits for its 256, and 64
 * octets of RDSEED beside them, by SHA-256 (a vetted conditioner, SP 800-90B 3.1.5.1), chained with all that
 * came before:
 *   pool <- SHA-256("plaingate/noise/pool" | pool | durations | RDSEED)
 *   share  = SHA-256("plaingate/noise/share" | pool);  pool <- SHA-256("plaingate/noise/next" | pool)
 * so that a share says nothing of the next one, nor the state of those that were given out.
 *
 * Either source is enough; a failure of any stops all, because who rigs one may have rigged the other.
 * No system call is made. One thread. Caller: shell.c, tests, and the tool that writes raw samples.
 */
#ifndef PROC_ENTROPY_NOISE_H
#define PROC_ENTROPY_NOISE_H

#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/health.h"

#define NOISE_SHARE_SIZE  32
#define NOISE_SAMPLES	  2048	       /* durations in one share */
#define NOISE_MEMORY	  (256 * 1024) /* octets that the measured work walks over; a power of two */
#define NOISE_RDSEED_SIZE 64

struct noise {
	struct health jitter, rdseed;
	bool has_rdseed;
	uint8_t pool[SHA256_SIZE];
	uint64_t last; /* the clock at the last sample */
	uint32_t at;   /* where the work goes on */
	uint32_t turn; /* how the next piece of work is chosen */
	uint8_t *memory;
	/* For tests: what replaces the clock; NULL: the processor's. */
	uint64_t (*clock)(void *context);
	void *context;
};

/* memory: NOISE_MEMORY octets of the caller's, which outlive it. Nothing is tested yet. */
void noise_init(struct noise *n, uint8_t *memory);

/* The start-up tests of all sources. RC_OK; RC_DENIED: one failed, the text says which. */
enum rc noise_start(struct noise *n, struct err *e);

/* One share. RC_DENIED: a source has failed, now or before; ret_share is zero. */
enum rc noise_share(struct noise *n, uint8_t ret_share[NOISE_SHARE_SIZE], struct err *e);

/* The source that has failed, with its verdict; NULL: none. */
const char *noise_failed(const struct noise *n, enum health_verdict *ret_verdict, uint64_t *ret_samples);
/* "processor jitter, RDSEED" */
const char *noise_sources(const struct noise *n);

/* for tests, and for whoever measures the source itself: one raw duration, untested. */
uint64_t noise_duration(struct noise *n);

void noise_done(struct noise *n);

#endif
