/*
 * The keeper's shell over real links, with the test as supervisor, ike, ledger, data plane, control and
 * entropy process: the shell in this process, or its executable in its sandbox.
 */
#ifndef TESTS_KEYS_RIG_H
#define TESTS_KEYS_RIG_H

#include "ledger/types.h"
#include "pair.h"
#include "proc/keeper/shell.h"

#include <sys/types.h>

#define LIVE_LEAVES (LEAVES_N - LEAVES_OPENED)

struct rig {
	struct keeper keeper;
	struct child child;
	struct ipc_link others[PROC_COUNT]; /* our ends */
	struct ipc_frame frame;		    /* the last one that came */
	char dir[32];
	struct pair pair; /* side 0 lends its configuration, side 1 is the peer that talks to the keeper */

	/* The executable under test, its process and its user; NULL: the shell in this process. */
	const char *executable;
	const struct passwd *user;
	pid_t pid;

	uint8_t epoch_key[VRF_PUBLIC_SIZE]; /* of the keeper's public values */
	bool epoch_known;
};
extern struct rig rig;

/* What is tested; false: that needs root and the keeper's user. */
bool rig_of(const char *executable);
int rig_start(void **state);
int rig_stop(void **state);

void rig_rounds(void);
/* The next frame to `as`, which must be `id`; false when none comes. */
bool rig_receive(enum proc as, enum ipc_id id, int wait_ms);
bool rig_next(enum proc as, enum ipc_id id);
bool rig_silent(enum proc as);
void rig_link_to(enum proc peer);

void rig_key_put(const char *name, const char *text);
void rig_answers_give(bool wrong);
void rig_shares_give(void);
void rig_snapshot_give(void);
void rig_configure(void);

void rig_ledger_answers(enum ledger_type type, enum rc rc);
void rig_epoch_entered(void);
void rig_derived_value(uint8_t ret_octets[PUBLIC_SIZE], uint64_t count);
unsigned rig_leaves_pump(unsigned wanted);

uint32_t rig_exchange(void);
struct keeper_auth_sign rig_sign_request(uint32_t handle);

#endif
