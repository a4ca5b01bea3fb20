/*
 * control with a test around it that is the supervisor, the ledger, the keeper, ike, the data plane and the
 * administrator's program, over real sockets. Used by the test_*.c of control here.
 */
#ifndef TESTS_CONTROL_FIXTURE_H
#define TESTS_CONTROL_FIXTURE_H

#include "ledger/types.h"
#include "proc/control/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define GOOD	  "zones { zone a { interfaces e0; host-inbound ping; } } # good\n"
#define OTHER	  "zones { zone b { interfaces e0; host-inbound ping; } } # other\n"
#define RECEIVERS 4

extern struct child child;
extern struct control control;
extern struct ipc_link peers[PROC_COUNT]; /* our ends */
extern char dir[64], sock[100];
extern const char *executable;		     /* NULL: control runs in this process */
extern const enum proc receivers[RECEIVERS]; /* of a snapshot */

/* The executable that the test's first argument names. False, with a line that says why: it cannot be run
 * here, skip. */
bool executable_from(int argc, char **argv);
void pump(void);
void give_link(enum proc peer);
bool look_inside(void);
/* control is started with all links; everything that the start sends is still unread. */
void start(void);
void stop(void);
/* The next frame from control at that end, which must be of the id. */
struct ipc_frame *expect(struct ipc_link *l, enum ipc_id id);
void expect_nothing(struct ipc_link *l);
/* An entry of the type arrives whose body is what the ledger will take; answers with rc. */
void enter(enum ledger_type type, enum rc rc, const char *holds);
/* The peer gets a snapshot of that generation, sealed and sound; it answers unless told not to. */
void take_snapshot(enum proc peer, uint64_t generation, bool answer, enum rc rc);
void take_all(uint64_t generation);
/* Started, and all that a start sends taken. */
void started(uint64_t generation);
int memory_of(const char *text);
struct ipc_link reach(void);
/* file: with the text of the request, or for the one that is asked for; else -1. It stays the caller's. */
void ask_on(struct ipc_link *l, struct msg_cli_request q, int file);
struct ipc_link ask(struct msg_cli_request q, int file);
/* True: the connection is ended without an answer. False: the owner of the table is asked. */
bool ask_in_vain(struct msg_cli_request q, enum proc owner);
struct ipc_link commit(const char *text);
void ends(struct ipc_link *l, enum rc rc, const char *says);
/* What is there is there soon: the other process needs its time. That nothing is there is looked at as it is
 * now. */
void file_is(const char *name, const char *text);
int fresh(void **state);
int cleared(void **state);
void commit_good(const char *text, uint64_t generation);

#endif
