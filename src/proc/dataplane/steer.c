#include "proc/dataplane/steer.h"

#include <assert.h>
#include <stdlib.h>

#define GROUP 4 /* so many SPIs are compared one after the other; more are divided */

/* The most SPIs of which a program fits: two instructions each; one at each end and two at each division, after which
 * there are at least two SPIs. */
#define SPIS_MAX ((STEER_PROGRAM_MAX - 8) * 2 / 7)

struct spi {
	uint32_t spi, value;
};

struct program {
	struct sock_filter *code;
	uint32_t n, otherwise;
};

static uint32_t put(struct program *p, uint16_t code, uint8_t yes, uint8_t no, uint32_t k)
{
	assert(p->n < STEER_PROGRAM_MAX);
	p->code[p->n] = (struct sock_filter){ code, yes, no, k };
	return p->n++;
}

/* The SPI is in A. */
static void search_put(struct program *p, const struct spi *list, uint32_t n)
{
	if (n > GROUP) {
		put(p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, list[n / 2].spi);
		uint32_t jump = put(p, BPF_JMP | BPF_JA, 0, 0, 0); /* longer than a condition can jump */
		search_put(p, list, n / 2);
		p->code[jump].k = p->n - jump - 1;
		search_put(p, list + n / 2, n - n / 2);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, list[i].spi);
		put(p, BPF_RET | BPF_K, 0, 0, list[i].value);
	}
	put(p, BPF_RET | BPF_K, 0, 0, p->otherwise);
}

static int order(const void *a, const void *b)
{
	const struct spi *x = a, *y = b;

	return x->spi < y->spi ? -1 : x->spi > y->spi;
}

uint32_t steer_program(const struct esp *esp, enum steer_at at, const uint32_t value[WORKERS_MAX],
	struct sock_filter ret_program[STEER_PROGRAM_MAX])
{
	struct program p = { .code = ret_program, .otherwise = value[0] };
	struct spi list[SPIS_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < esp_pairs(esp) && n < SPIS_MAX; i++) {
		uint32_t pair = esp_pair_at(esp, i), owner = esp_owner(esp, pair);
		struct esp_view v;
		if (value[owner] == value[0])
			continue;
		esp_view(esp, pair, &v);
		list[n++] = (struct spi){ v.spi_in, value[owner] };
	}
	qsort(list, n, sizeof *list, order);
	if (at == STEER_AT_IP4) {
		put(&p, BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0);
		put(&p, BPF_LD | BPF_W | BPF_IND, 0, 0, 0);
	} else {
		put(&p, BPF_LD | BPF_W | BPF_ABS, 0, 0, 0);
	}
	search_put(&p, list, n);
	return p.n;
}
