/*
 * The health tests of NIST SP 800-90B section 4.4 over a stream of octets from a source of randomness: the
 * repetition count test and the adaptive proportion test. They find a source that has broken (stuck, or far
 * from what it claims); they do not measure how good it is.
 *
 * A failure is final: the caller may start again with health_begin(), and has to test the start-up samples
 * before anything is used. The cutoffs give one false alarm in 2^40 samples (repetition) or windows
 * (proportion). Pure. Callers: proc/entropy on raw noise, proc/keeper on what the kernel gives. One thread.
 */
#ifndef CRYPTO_HEALTH_H
#define CRYPTO_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEALTH_WINDOW  512  /* 4.4.2: of samples that are not binary */
#define HEALTH_STARTUP 1024 /* 4.3: samples that are tested before the first is used */

/* clang-format off */
#define HEALTH_CLAIMS(C)	/* id, claimed min-entropy of a sample, repetitions, proportion; text */	\
	C(QUARTER_BIT, 0.25, 161, 483, "a quarter of a bit")						\
	C(FOUR_BITS,   4.0,   11,  78, "four bits")
/* clang-format on */

enum health_claim {
#define E(id, bits, repetition, proportion, text) HEALTH_##id,
	HEALTH_CLAIMS(E) HEALTH_CLAIM_COUNT
#undef E
};

enum health_verdict { HEALTH_GOOD, HEALTH_REPETITION, HEALTH_PROPORTION };

struct health {
	enum health_claim claim;
	enum health_verdict verdict; /* once not HEALTH_GOOD it stays */
	uint64_t samples;	     /* tested so far */
	uint32_t repeated;	     /* times that `last` came in a row */
	uint32_t in_window, same;    /* samples of this window; as many as its first one */
	uint8_t last, first;
};

void health_begin(struct health *h, enum health_claim claim);
/* Tests n samples. False: a test has failed, now or before, and none of them may be used. */
bool health_take(struct health *h, const uint8_t *samples, size_t n);

static inline bool health_started(const struct health *h)
{
	return h->verdict == HEALTH_GOOD && h->samples >= HEALTH_STARTUP;
}

/* for tests: the cutoff of a test: this many in a row, or in a window, are a failure. */
uint32_t health_cutoff(enum health_claim claim, enum health_verdict test);
/* "repetition count", "adaptive proportion". */
const char *health_text(enum health_verdict v);

#endif
