/*
 * Gateways that witness each other: what peers' ledgers ask of this one, and how what this one asks of them
 * travels, as words that ike carries (ike/peer_message.c). The deciding is done by peer_witness.c and witnesses.c. Called
 * by shell.c; one thread.
 */
#ifndef PROC_LEDGER_PEERS_H
#define PROC_LEDGER_PEERS_H

#include "ipc/loop.h"
#include "ipc/messages.h"
#include "proc/ledger/peer_witness.h"

struct ledger_shell;

struct peers {
	struct ledger_shell *shell;
	struct peer_witness peer_witness;
	bool begun;
	struct snap_evidence config;
	struct timer look; /* for silence */
};

void peers_init(struct peers *p, struct ledger_shell *s);
/* Key and directory are there. RC_INTERNAL. */
enum rc peers_begin(struct peers *p);
void peers_done(struct peers *p);
void peers_configure(struct peers *p, const struct snap_evidence *config);
/* From ike: a peer's ledger asks, or answers. */
void peers_word(struct peers *p, const struct msg_peer_message *m);
/* To a peer's ledger. False: it does not fit, or ike is not there. */
bool peers_say(struct peers *p, uint64_t tag, const char *peer, uint16_t kind, const void *bytes, size_t n);
/* "cosigns_with" of `show ledger`; ret_vkey holds NOTE_VKEY_MAX. */
char *peers_vkey(const struct peers *p, char *ret_vkey);
/* A row for each ledger that is cosigned here. Returns how many. */
unsigned peers_show(struct peers *p, uint64_t tag);

#endif
