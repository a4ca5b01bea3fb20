/* Shared by the tests of this room: an ESP core over memory of the test, SAs with known keys, packets. */
#ifndef ESP_FIXTURE_H
#define ESP_FIXTURE_H

#include "esp/state.h"

#define FIXTURE_PAIRS 64

struct fixture {
	void *state, *tables;
	size_t state_n, tables_n;
	struct esp *esp;
	uint32_t workers;
};

void fixture_begin(struct fixture *f); /* for one worker */
void fixture_begin_for(struct fixture *f, uint32_t workers);
/* As after kill -9: the process's tables and its core are lost, the state stays. For f->workers, which may be others. */
void fixture_restart(struct fixture *f);
/* The second half of it: after esp_free(), and without the tables. */
void fixture_resume(struct fixture *f);
void fixture_end(struct fixture *f);

/* AES-256-GCM, IPv4 10.1.0.0/16 here and 10.2.0.0/16 there; keys from the SPIs, so that two ends agree. */
struct sa_install fixture_sa(uint32_t spi_in, uint32_t spi_out, uint32_t flags);
/* UDP from 10.1.0.2 to 10.2.0.2 (or back) with n octets of payload, into t and its buffer. */
void fixture_packet(struct train *t, uint8_t *ip, uint32_t n, bool back);
/* Seals one packet of t by the pair; returns its size. */
uint32_t fixture_seal(
	struct esp *esp, uint32_t pair, struct train *t, uint8_t *out, enum drop_reason *ret_drop);

#endif
