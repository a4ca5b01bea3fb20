/*
 * noise_samples N: writes the lowest octet of N raw durations to the standard output, one octet each, as the
 * health tests see them. For estimators of min-entropy (SP 800-90B section 6) on the machine in question; the
 * estimate by the most common value (6.3.1) is printed to standard error.
 */
#include "proc/entropy/noise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	static uint8_t memory[NOISE_MEMORY];
	static uint64_t count[256];
	uint64_t n = argc == 2 ? strtoull(argv[1], NULL, 10) : 0, most = 0;
	struct noise noise;

	if (n == 0) {
		fprintf(stderr, "usage: noise_samples N >FILE\n");
		return 2;
	}
	noise_init(&noise, memory);
	noise_duration(&noise);
	for (uint64_t i = 0; i < n; i++) {
		uint8_t sample = (uint8_t)noise_duration(&noise);

		count[sample]++;
		putchar(sample);
	}
	for (size_t i = 0; i < 256; i++)
		most = count[i] > most ? count[i] : most;
	double p = (double)most / (double)n;
	double bound = p + 2.576 * sqrt(p * (1 - p) / (double)n);
	fprintf(stderr, "%.3f bits in a sample, by the most common value\n", -log2(bound < 1 ? bound : 1));
	return 0;
}
