/* Somebody between the two gateways who changes each message of IKE_SA_INIT. */
#ifndef SIM_MIDDLE_H
#define SIM_MIDDLE_H

#include <stddef.h>
#include <stdint.h>

enum middle {
	MIDDLE_NONE,
	MIDDLE_REQUEST,	 /* IKE_SA_INIT_FULL_TRANSCRIPT_AUTH is removed from requests, */
	MIDDLE_RESPONSE, /* from responses, */
	MIDDLE_BOTH,	 /* from both */
	/* the first proposal of a request cannot be chosen; if it is the only one, the hashes of signatures are removed */
	MIDDLE_PROPOSAL,
	MIDDLES
};

/* The message that goes on instead, to be freed; NULL: it goes on as it is. */
uint8_t *middle_change(enum middle how, const uint8_t *bytes, size_t n, size_t *ret_n);

#endif
