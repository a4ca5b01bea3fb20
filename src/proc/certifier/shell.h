/*
 * plaingate-certifier-openssl and -gnutls: verify chains of certificates that peers send, each with a library of its own, and tell the keeper
 * what they found. They hold no key and have no network; what strangers wrote is parsed here, and a wrong verdict of one alone admits
 * nobody (model/certify_api.h). ike asks both the same; anchors, CRLs and what is expected of the peer come from the configuration.
 *
 *   crls.c          CRLs, which are files
 *   fetched.c       those that the resolver fetches
 *   again.c         what was accepted is judged again when CRLs have changed
 *   check.c         can this library use what a configuration that is about to be committed gives it
 *   inventory.c     `show pki`, and warnings of what ends soon
 *   judge.c         a question and its answer
 *   shell.c         messages, questions one by one, the configuration
 *   main_openssl.c, main_gnutls.c   one program each, which does not link the other's library
 *
 * One question at a time, peers in turn. A process whose memory has grown by CERTIFIER_GROWTH_MAX ends, and the supervisor starts it again:
 * GnuTLS loses octets of constraints that it does not know. Single thread. Callers: main_*.c, and tests over sockets of their own.
 */
#ifndef PROC_CERTIFIER_SHELL_H
#define PROC_CERTIFIER_SHELL_H

#include "base/names.h"
#include "certify/accepted.h"
#include "certify/ask.h"
#include "ipc/child.h"
#include "ipc/snapshot_file.h"
#include "proc/certifier/fetched.h"

/* The keeper waits five seconds for a verdict: older questions wait in vain. */
#define CERTIFIER_WAIT_NS (5 * NS_PER_S)
#define CERTIFIER_GROWTH_MAX                                                                                 \
	(64u << 20) /* octets in use between two questions, beyond those after the first */
#define CERTIFIER_LOOK_NS	 (1 * NS_PER_S) /* between two looks whether CRLs are others */
#define CERTIFIER_QUESTIONS_EACH 8 /* after so many a chain is judged again, though others wait */
#define CERTIFIER_UNSURE_MAX_S	 64
#define CERTIFIER_PEER_SLOTS	 32768 /* names_slots(PEERS_MAX) */

/* Of the library: how it verifies, and its SHA-256. */
struct certifier_engine {
	enum proc self;
	enum resource directory, fetched;
	uint32_t (*verify)(struct certify_verdict *ret_verdict, const struct certify_question *q);
	certify_input_fn *input;
	certify_crl_fn *crl;
	bool (*about)(struct certify_about *ret_about, enum certify_input what,
		struct certify_der der); /* NULL: the other one tells */
	bool (*digest)(uint8_t ret_digest[CERTIFY_DIGEST_SIZE], const void *b, size_t n);
	size_t (*in_use)(void); /* octets that this process has allocated */
};

struct certifier {
	struct child *child;
	const struct certifier_engine *engine;
	struct snapshot_file snapshot;
	struct questions questions;
	struct crls crls;
	struct accepted accepted;
	uint32_t again;	   /* of these, from the first on, are to be judged again */
	uint64_t seen;	   /* of the CRLs that they were judged by */
	uint64_t answered; /* questions */
	bool unsure;	   /* of one of them nobody knows whether it is revoked */
	mono_ns unsure_at;
	uint32_t unsure_s; /* to wait before they are judged again because of that */
	struct names peers;
	uint32_t peer_slots[CERTIFIER_PEER_SLOTS];
	struct timer work, daily, look;
	int directory;	   /* -1: none */
	size_t base;	   /* octets in use after the first question; 0: there was none */
	uint64_t stale;	   /* questions about configurations that were replaced meanwhile */
	uint64_t too_late; /* that waited too long */
};

/* judge.c: what the configuration and CRLs say of it now; of a peer that it has not CERTIFY_NO_PATH. */
void certifier_judge(struct certifier *x, const struct certify_ask *a, struct certify_verdict *ret_verdict);

/* again.c */
void again_init(struct certifier *x);
void again_configure(struct certifier *x); /* another snapshot is there */
void again_keep(struct certifier *x, const struct certify_ask *a, const struct certify_verdict *v);
void again_judge(struct certifier *x); /* the next one of x->again */

/* check.c: RC_OK, or the first fault, with its file. */
enum rc certifier_check(const struct certifier *x, const struct snapshot *s, struct err *e);

/* inventory.c: what there is, as rows of `show pki`; and a warning in the log of what has ended or ends soon. */
#define INVENTORY_WARN_S  (30 * 86400) /* before the end of a certificate */
#define INVENTORY_EACH_NS (86400 * NS_PER_S)
void inventory_show(struct certifier *x, uint64_t tag, const struct msg_show *q);
/* How many there were. */
uint32_t inventory_warn(struct certifier *x, int64_t now_s);

/* Neither may move afterwards. */
void certifier_init(
	struct certifier *x, struct child *child, const struct certifier_engine *engine, int supervisor_fd);

#endif
