/* How many signatures a commit needs: `system { commit }`, compiled (model/compile_commit.c); a part of the administrators of a configuration. */
#ifndef ADMIN_SIGNED_RULES_H
#define ADMIN_SIGNED_RULES_H

#include <stdint.h>

#include "admin/limits.h"

#define SIGNED_PATHS_MAX    32 /* that have a number of their own */
#define SIGNED_REQUIRED_MAX 8  /* signatures of one commit */

struct signed_rules {
	uint32_t required; /* where no path says more about it */
	uint32_t n;
	struct {
		char path[ADMIN_WORDS_MAX]; /* words of the schema: "policy from rule" */
		uint32_t required;
	} at[SIGNED_PATHS_MAX];
};

#endif
