/*
 * Gateways that witness each other: requests of peers' ledgers are answered here (peer_witness.h decides), and
 * messages to them are sent, all carried by ike (ike/peer_message.c). Called by shell.c, witness_ask.c and
 * opening.c; one thread.
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
	struct timer silence; /* looks for ledgers that have had nothing cosigned */
};

void peers_init(struct peers *p, struct ledger_shell *s);
/* Key and directory are known. RC_INTERNAL. */
enum rc peers_begin(struct peers *p);
void peers_done(struct peers *p);
void peers_configure(struct peers *p, const struct snap_evidence *config);
/* A peer's ledger asks for a cosignature, or what was cosigned last: answers it. */
void peers_answer(struct peers *p, const char *peer, const void *ask, size_t n);
/* To a peer's ledger. False: it does not fit, or ike is not running. */
bool peers_message_send(
	struct peers *p, uint64_t tag, const char *peer, uint16_t kind, const void *bytes, size_t n);
/* "cosigner_vkey" of `show ledger`; ret_vkey holds NOTE_VKEY_MAX. */
char *peers_vkey(const struct peers *p, char *ret_vkey);
/* A row for each ledger that is cosigned here. Returns how many. */
unsigned peers_show(struct peers *p, uint64_t tag);

#endif
