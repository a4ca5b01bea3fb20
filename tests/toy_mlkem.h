/* A program that links toy_mlkem.c uses that instead of crypto/mlkem.c. */
#ifndef TESTS_TOY_MLKEM_H
#define TESTS_TOY_MLKEM_H

#include <stdbool.h>

extern bool toy_mlkem_missing; /* as on a machine whose libcrypto lacks it */

#endif
