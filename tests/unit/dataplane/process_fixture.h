/*
 * The data plane's process as it is, with its threads, in a test: over socket pairs in the place of links and of the other
 * processes, over routes and a configuration of a gate (gate.h).
 */
#ifndef TESTS_DATAPLANE_PROCESS_FIXTURE_H
#define TESTS_DATAPLANE_PROCESS_FIXTURE_H

#include "gate.h"
#include "proc/dataplane/dataplane.h"

#define WAIT_MS 20000

extern uint32_t workers;	  /* of the process that runs */
extern int outer[2][WORKERS_MAX]; /* the other ends of the workers' sockets of lan0 and wan0 */
extern struct ipc_link supervisor, control, keeper, ike;
extern struct dataplane *d;
extern uint32_t tags;
extern struct ipc_frame frame;	     /* the last message; never with a file */
extern const char *more_text;	     /* of the configuration */
extern void (*more_resources)(void); /* NULL, or gives further ones to a process that begins */

int memory_setup(void **state); /* state memory, which processes of a test have one after the other */
int memory_teardown(void **state);
void process_begin(uint32_t n); /* with n workers */
void process_stop(void);	/* its threads have ended; what it had can be looked at */
void process_end(void);
void configure(uint32_t n);		      /* commits a configuration with that number */
void snapshot_send(const struct snapshot *s); /* as control does; its answer comes by that link */
void keeper_link(void);			      /* the keeper is another one */
void resource_send(enum resource kind, const char *name, uint32_t index, uint32_t worker, int fd);
/* The next message of this kind on the link; what comes before it is forgotten. */
const struct ipc_frame *wait_for(struct ipc_link *link, enum ipc_id id);
/* A table of show, in pieces. Returns how many rows there were; with a counter's name, its value. */
uint64_t show(enum show_table table, const char *counter);

#endif
