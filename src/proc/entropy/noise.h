/*
 * Noise of this machine, gathered without the kernel's generator: how long the processor takes for work over
 * memory that does not fit its nearest caches (jitter), and RDSEED where the processor has it.
 *
 * Raw samples go through the health tests of SP 800-90B (crypto/health.h) before they are used: the lowest
 * octet of each duration of jitter, with a claim of a quarter of a bit; each octet of RDSEED, with a claim of
 * four bits. A share is made of NOISE_SAMPLES durations, which claim 512 bits for its 256, and of 64 octets
 * of RDSEED, by SHA-256 (a vetted conditioner, SP 800-90B 3.1.5.1), chained with all earlier ones:
 *   pool <- SHA-256("plaingate/noise/pool" | pool | durations | RDSEED)
 *   share  = SHA-256("plaingate/noise/share" | pool);  pool <- SHA-256("plaingate/noise/next" | pool)
 * so that a share reveals nothing about the next one, nor the state about earlier ones.
 *
 * Either source is enough; a failure of one stops the output, because whoever manipulated one may have
 * manipulated the other. No system call is made. One thread. Callers: shell.c, tests, and the tool that
 * writes raw samples.
 */
#ifndef PROC_ENTROPY_NOISE_H
#define PROC_ENTROPY_NOISE_H

#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/health.h"

#define NOISE_SHARE_SIZE  32
#define NOISE_SAMPLES	  2048	       /* durations in one share */
#define NOISE_MEMORY	  (256 * 1024) /* octets that the measured work uses; a power of two */
#define NOISE_RDSEED_SIZE 64

struct noise {
	struct health jitter, rdseed;
	bool has_rdseed;
	uint8_t pool[SHA256_SIZE];
	uint64_t last; /* the clock at the last sample */
	uint32_t at;   /* where the work continues */
	uint32_t turn; /* decides the next piece of work */
	uint8_t *memory;
	/* for tests: replaces the clock; NULL: the processor's. */
	uint64_t (*clock)(void *context);
	void *context;
};

/* memory: NOISE_MEMORY octets of the caller, which outlive it. Nothing is tested yet. */
void noise_init(struct noise *n, uint8_t *memory);

/* The start-up tests of all sources. RC_OK; RC_DENIED: one failed, the text says which. */
enum rc noise_start(struct noise *n, struct err *e);

/* One share. RC_DENIED: a source has failed, now or earlier; ret_share is zero. */
enum rc noise_share(struct noise *n, uint8_t ret_share[NOISE_SHARE_SIZE], struct err *e);

/* The source that has failed, with its verdict; NULL: none has. */
const char *noise_failed(const struct noise *n, enum health_verdict *ret_verdict, uint64_t *ret_samples);
/* "processor jitter, RDSEED" */
const char *noise_sources(const struct noise *n);

/* for tests, and for whoever measures the source itself: one raw duration, untested. */
uint64_t noise_duration(struct noise *n);

void noise_done(struct noise *n);

#endif
