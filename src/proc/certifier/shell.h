/*
 * plaingate-certifier-openssl and -gnutls: verify chains of certificates that peers send, each with a library of its own, and tell the keeper
 * what they found. They hold no key and have no network; what strangers wrote is parsed here, and a wrong verdict of one alone admits
 * nobody (model/certify_api.h). ike asks both the same; anchors, CRLs and what is expected of the peer come from the configuration.
 *
 *   crls.c          CRLs, which are files
 *   fetched.c       those that the resolver fetches
 *   ocsp.c          what responders say of certificates: asked through the resolver, and waited for
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
#include "certify/ocsp.h"
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
#define CERTIFIER_OFFERS_PER_S	 1     /* CRLs of the resolver: each may have CERTIFY_CRL_BYTES_MAX */
#define CERTIFIER_OFFERS_BURST	 64    /* one of each ca-profile at a start */
#define CERTIFIER_PEER_SLOTS	 32768 /* names_slots(PEERS_MAX) */

#define OCSP_WAIT_NS (3500 * NS_PER_MS) /* for an answer; the resolver gives up after three seconds */
#define OCSP_TICK_NS (100 * NS_PER_MS)
#define OCSP_OUT_MAX 8 /* questions under way */
#define OCSP_OUT_EACH_MAX                                                                                    \
	4 /* of them to the responder of one authority: a slow one leaves room for the others */
#define OCSP_OUT_AGAIN_MAX	2  /* of them about chains that were accepted before */
#define OCSP_WAITING_MAX	32 /* chains that wait for answers; 280 KB */
#define OCSP_WAITING_PEER_MAX	8  /* of one peer */
#define OCSP_WAITING_SOURCE_MAX 4  /* of them from one source: a template has many instances */

/* A chain that is judged when what OCSP says of it is known, or will not be in time. */
struct ocsp_waiting {
	mono_ns until; /* 0: free */
	struct certify_ask ask;
	uint32_t n;
	struct ocsp_entry *entry[CERTIFY_WANTS_MAX];
};

struct certifier;

struct ocsp_out {
	struct ocsp_entry *entry; /* NULL: free */
	uint64_t tag;
	mono_ns until;
	bool again;
};

struct ocsp {
	struct ocsp_table table;
	struct certify_ocsp question; /* of the chain that was judged last */
	const char *authority[CERTIFICATE_ANCHORS];
	struct ocsp_out out[OCSP_OUT_MAX];
	struct ocsp_entry
		*due[OCSP_WAITING_MAX * CERTIFY_WANTS_MAX]; /* to be asked, in turn; chains wait for them */
	uint32_t due_n, next; /* next: where the search for what is asked once more begins */
	struct ocsp_waiting waiting[OCSP_WAITING_MAX];
	uint64_t last_tag;
	void (*answer)(struct certifier *x,
		const struct certify_ask *a); /* judges it with what is known now, and tells */
	uint64_t answers, failures;	      /* that counted, and that did not */
	uint64_t unkept;		      /* of the table, when it was said last */
	struct timer tick;
};

/* What becomes of a chain that was judged: nothing more; it waits; there is no room to wait. */
enum ocsp_wait { OCSP_JUDGED, OCSP_WAITS, OCSP_BUSY };

/* Of the library: how it verifies, and its SHA-256. */
struct certifier_engine {
	enum proc self;
	enum resource directory, fetched;
	uint32_t (*verify)(struct certify_verdict *ret_verdict, const struct certify_question *q);
	certify_input_fn *input;
	certify_crl_fn *crl;
	uint32_t (*ocsp)(struct certify_ocsp_said *ret_said, struct certify_der answer,
		struct certify_der request, struct certify_der issuer, int64_t now_s);
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
	struct ocsp *ocsp;
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
	mono_ns offers;	   /* rate of CRLs that the resolver offers */
};

/* judge.c: what the configuration and CRLs say of it now; of a peer that it has not CERTIFY_NO_PATH. */
void certifier_judge(struct certifier *x, const struct certify_ask *a, struct certify_verdict *ret_verdict);

/* ocsp.c */
void ocsp_init(struct certifier *x, void (*answer)(struct certifier *x, const struct certify_ask *a));
void ocsp_done(struct certifier *x);
void ocsp_configure(struct certifier *x); /* another snapshot is there */
/* The chain that was judged last, *a, with this reason. One that waits is answered later, and maybe already. */
enum ocsp_wait ocsp_wait(struct certifier *x, const struct certify_ask *a, uint32_t reason);
void ocsp_keep(
	struct certifier *x); /* the chain that was judged last was accepted: it is asked about again */
void ocsp_forget(struct certifier *x); /* nothing is kept any more, until ocsp_keep() says so */
void ocsp_again(struct certifier *x);  /* each second: questions about what is kept */
void ocsp_told(struct certifier *x, struct ipc_frame *f);
const char *ocsp_state_text(const struct ocsp_entry *e, int64_t now_s);

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
