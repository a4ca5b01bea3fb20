/*
 * The programs that carry sessions in the kernel (src/carry): measured, entered in the ledger, loaded, and attached to the
 * zones' links. Everything works without them: where they cannot be loaded, the log and `show status` say why.
 */
#ifndef PROC_SUPERVISOR_CARRY_H
#define PROC_SUPERVISOR_CARRY_H

#include "crypto/hash.h"
#include "model/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

#define CARRY_FILE	  "carry.bpf.o"
/* Ours among the filters at a link's ingress: in front of all others, so that none takes what the tap has given away. */
#define CARRY_TC_PRIORITY 1u
#define CARRY_TC_HANDLE	  0x5047u

enum carry_life {
	CARRY_DOWN,	/* not wanted yet, or the ledger did not enter it: tried again */
	CARRY_ENTERING, /* measured; the ledger's receipt is awaited */
	CARRY_UP,
	CARRY_FAILED, /* the kernel, or this build, does not have it */
};

struct bpf_object;

struct carry_programs {
	enum carry_life life;
	int file; /* the sealed copy; -1: not measured yet */
	uint8_t sha256[SHA256_SIZE];
	struct bpf_object *object;
	int program, links;	       /* at tc; the map of links */
	uint32_t link[INTERFACES_MAX]; /* it is attached to */
	uint32_t links_n;
	uint64_t again; /* not before */
	char why[200];	/* it is not up */
};

struct supervisor;

void carry_init(struct supervisor *s);
/* After each change of the configuration or of the interfaces, and each second. */
void carry_follow(struct supervisor *s);
/* The data plane has ended: what it wrote carries for two seconds more at most, whatever it is. */
void carry_data_plane_ended(struct supervisor *s);
/* From all links that it is attached to: the orderly end. */
void carry_end(struct supervisor *s);
/* From all links of the machine; of supervisors before. */
void carry_flush(void);

#endif
