#include "crypto/health.h"

#include <assert.h>

#define E(id, bits, repetition, proportion, text)                                                            \
	_Static_assert(repetition <= HEALTH_STARTUP && proportion <= HEALTH_WINDOW,                          \
		"the start-up samples can fail: " #id);
HEALTH_CLAIMS(E)
#undef E

static const struct {
	uint32_t repetition, proportion;
} cutoffs[HEALTH_CLAIM_COUNT] = {
#define E(id, bits, repetition, proportion, text) [HEALTH_##id] = { repetition, proportion },
	HEALTH_CLAIMS(E)
#undef E
};

void health_begin(struct health *h, enum health_claim claim)
{
	assert(claim < HEALTH_CLAIM_COUNT);
	*h = (struct health){ .claim = claim };
}

uint32_t health_cutoff(enum health_claim claim, enum health_verdict test)
{
	return test == HEALTH_REPETITION ? cutoffs[claim].repetition : cutoffs[claim].proportion;
}

/* 4.4.1: C samples of one value in a row. */
static void repetition(struct health *h, uint8_t sample)
{
	h->repeated = h->samples > 0 && sample == h->last ? h->repeated + 1 : 1;
	h->last = sample;
	if (h->repeated >= cutoffs[h->claim].repetition)
		h->verdict = HEALTH_REPETITION;
}

/* 4.4.2: C samples of a window have the value of its first. */
static void proportion(struct health *h, uint8_t sample)
{
	if (h->in_window == 0) {
		h->first = sample;
		h->same = 0;
	}
	h->same += sample == h->first;
	h->in_window = (h->in_window + 1) % HEALTH_WINDOW;
	if (h->same >= cutoffs[h->claim].proportion)
		h->verdict = HEALTH_PROPORTION;
}

bool health_take(struct health *h, const uint8_t *samples, size_t n)
{
	for (size_t i = 0; i < n && h->verdict == HEALTH_GOOD; i++) {
		repetition(h, samples[i]);
		if (h->verdict == HEALTH_GOOD)
			proportion(h, samples[i]);
		h->samples++;
	}
	return h->verdict == HEALTH_GOOD;
}

const char *health_text(enum health_verdict v)
{
	return v == HEALTH_REPETITION	? "repetition count"
	       : v == HEALTH_PROPORTION ? "adaptive proportion"
					: "none";
}
