/*
 * The ledger's shell between a supervisor, control, a courier and a witness, over real sockets: the test is
 * all of them, and the machine on which the witness's core answers. One of each, for the tests of one
 * program.
 */
#ifndef TEST_LEDGER_WITNESSED_H
#define TEST_LEDGER_WITNESSED_H

#include "proc/ledger/recovery.h"
#include "proc/ledger/shell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct kept {
	char origin[NOTE_NAME_MAX];
	struct witness_head head;
	char note[NOTE_BYTES_MAX];
	size_t note_n;
};

enum mood { WITNESS_WELL, WITNESS_DEAD, WITNESS_MUTE, WITNESS_LIAR, WITNESS_GARBLED };

extern struct ledger_shell shell;
extern struct child child;
extern struct ipc_link supervisor, control, courier; /* our ends */
extern char dir[];				     /* the ledger's */
extern bool starting;				     /* the start is waited for and must succeed */

extern struct kept kept[4]; /* what the witness has cosigned */
extern enum mood mood;
extern struct witness witness;
extern unsigned asked, connects, receipts;
extern struct endpoint asked_at;
extern struct msg_ledger_receipt receipt; /* the last */

/* The courier's last question, and what it answers when it is not mute. */
extern struct msg_witness_answer reply;
extern uint64_t question_tag;
extern bool courier_mute;

/* For each test: a directory, and a witness that knows nobody. */
int setup(void **state);
int teardown(void **state);

void start(const struct snap_evidence *v);
void stop(void);
void courier_join(void);
/* It trusts the log that the shell has now. */
void witness_told(void);
struct kept *kept_of(const char *origin);
uint64_t seen_size(void);
/* One witness by its address. */
struct snap_evidence evidence(uint32_t required);

/* Until a receipt came, or so many milliseconds are over. */
bool serve(unsigned ms);
/* Until the witness has seen all that there is. */
void wait_seen(void);
void commit_send(uint64_t n);
void exit_send(uint64_t n);

/* In the ledger's directory. */
bool file_holds(const char *name, const char *what);
bool entered(const char *type);

#endif
