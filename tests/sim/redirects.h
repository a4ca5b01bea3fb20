/*
 * Somebody who sees each IKE_SA_INIT request and answers it by a redirect (RFC 5685), in a part of the seeds: with the nonce of the request or
 * another one, to places where nobody is, to addresses that no gateway can have, and without end.
 */
#ifndef SIM_REDIRECTS_H
#define SIM_REDIRECTS_H

#include "world.h"

void redirects_choose(uint64_t seed, struct sim_side sides[2]); /* who follows */
void redirects_forge(struct world *w); /* from now on, where somebody does; until on_datagram is taken away */

#endif
