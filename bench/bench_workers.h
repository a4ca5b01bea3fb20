/* bench_pipeline --workers N: the pipeline of several workers, each in a thread. */
#ifndef BENCH_WORKERS_H
#define BENCH_WORKERS_H

#include <stdint.h>

/* names: of the measurements to run, names_n of them; 0: all. Returns main()'s status. */
int bench_workers(uint32_t workers, char **names, int names_n);

#endif
