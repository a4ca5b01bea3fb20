/*
 * plaingate-resolver: finds the addresses of objects of the configuration that change without a commit. It parses what strangers
 * say (answers of name servers, lists), and so it has no key, no network and no packet, and no file but those of its own
 * directory. It asks over sockets and reads files that the supervisor opened, and gives what it has found to control, in memory
 * that both share. Control checks that, and decides alone what the data plane gets. Addresses of IKE peers it gives to ike, which takes
 * them for a place and not for a proof. An intruder in this process chooses addresses for these objects, and nothing else.
 *
 *	main.c    enters the sandbox
 *	shell.c   callbacks: links, messages, the tick; the list of objects, and what is published
 *	entries.c what an object of the list is known to hold
 *	names.c   domain names: who is asked for when, and the answers
 *	peers.c   those of IKE peers, for ike
 *	feeds.c   lists of others: read when they are due, kept on the disk
 *	files.c   what feeds, CRLs and the database have in common
 *	fetch.c   those with a URL: names, TLS, HTTP
 *	crls.c    CRLs: kept where the certifiers read them, once these have said that they are good
 *	ocsp.c    questions of the certifiers to OCSP responders, which nobody in here can read
 *	countries.c  the database of countries
 *	show.c    tables of `show`
 *
 * Single thread. Callers: main.c, and the tests over sockets of their own.
 */
#ifndef PROC_RESOLVER_SHELL_H
#define PROC_RESOLVER_SHELL_H

#include "ipc/child.h"
#include "ipc/errand.h"
#include "resolve/country.h"
#include "resolve/feed.h"
#include "resolve/name.h"

#define RESOLVER_TICK_NS     (200 * NS_PER_MS)
#define RESOLVER_LOOKUPS_MAX 16 /* at the same time */
#define RESOLVER_BEGUN_MAX   8	/* lookups in one tick: 40 a second, of the 64 that the supervisor allows */
#define RESOLVER_ASKED_NS    (5 * NS_PER_S) /* ike cannot have the same name looked up sooner */
#define RESOLVER_SOCKETS_NS  (5 * NS_PER_S) /* for the supervisor to hand sockets over, and the answers */

#define COPY_NAME_MAX	   (2 * NAME_MAX_BYTES + 8) /* of a file in feed_dir: OBJECT@FEED, and an ending */
#define RESOLVER_FEEDS_MAX 2			    /* that are read in one tick, each as a whole */

#define RESOLVER_FETCHES_MAX 2 /* feeds that are fetched at the same time */
#define CRL_AGAIN_MAX	     4 /* times in turn that certifiers may put a CRL off before it is said */
#define RESOLVER_FETCH_NS    (60 * NS_PER_S)
#define RESOLVER_JUDGE_NS    (20 * NS_PER_S) /* for both certifiers to say what they think of a CRL */

#define OCSP_ASKED_MAX	   8 /* questions of one certifier at the same time */
#define OCSP_QUESTIONS_MAX (2 * (size_t)OCSP_ASKED_MAX)
#define OCSP_GET_MAX	   255 /* octets of URL and request that are asked for by GET (RFC 5019 section 5) */
#define OCSP_ASKED_NS	   (3 * NS_PER_S) /* for one of them, from its arrival on */
#define OCSP_BURST	   16 /* that may begin at once; the supervisor opens no more than 64 connections a second */
#define OCSP_EACH_TICK	   4

struct lookup_of;

/* A list of others. */
struct feed_of {
	struct feed list;   /* without memory, but with its number, while there is no room for it */
	uint8_t sha256[32]; /* of its text */
	bool known, disk_read;
	bool again;	/* there is room for it now: to be read, though it is the same */
	bool unkept;	/* its copy on the disk is an older one */
	utc_us read_at; /* when it was read as it is */
	mono_ns next, deadline;
	uint64_t awaited; /* of the supervisor; 0: nothing */
	uint32_t failures;
	char why[NAME_WHY_BYTES]; /* why it was not read since; empty: it was */
};

/* The file that all countries are read from. */
struct database {
	struct feed_of file;	   /* its list is empty */
	char name[NAME_MAX_BYTES]; /* of the file */
	bool wanted[COUNTRIES];	   /* by the configuration, now or before */
	struct countries found;
};

/* Part of an object. */
#define ENTRY_LEFT_OUT                                                                                       \
	"all domain names, feeds and countries together have more than 1048576, and those with most are left out"
struct entry {
	bool left_out; /* control is not given its addresses, for which there is no room */
	struct snap_dynamic of;
	struct lookup_of *asked; /* NULL: nothing is under way */
	struct name name;	 /* DYNAMIC_FQDN, DYNAMIC_PEER */
	bool untold;		 /* DYNAMIC_PEER: ike is to be told */
	mono_ns asked_at;	 /* DNS, last */
	struct feed_of feed;	 /* DYNAMIC_FEED, DYNAMIC_CRL */
	uint32_t judges; /* DYNAMIC_CRL: 1 << enum proc of certifiers that have not answered about the next */
	uint8_t offered[32]; /* its SHA-256 */
	enum rc refusal;     /* of it, by one of those that have answered; RC_OK: by none */
	char refused[NAME_WHY_BYTES];
	bool news;		     /* to one of them that has answered */
	bool untold_state;	     /* DYNAMIC_CRL: the certifier that shows it is to be told */
	uint64_t questions, answers; /* DYNAMIC_OCSP: since the list has it */
	mono_ns answered;
	char unanswered
		[NAME_WHY_BYTES]; /* DYNAMIC_OCSP: why the last question had no answer; empty: it had one */
};

/* A lookup, and whose it is. */
struct lookup_of {
	struct resolver *resolver;
	struct entry *entry; /* NULL: it is free */
	uint64_t awaited;
	mono_ns deadline;
	struct lookup lookup;
};

/* A feed with a URL that is being fetched. */
struct fetch {
	struct resolver *resolver;
	struct entry *entry; /* NULL: it is free */
	SSL_CTX *trust;
	struct errand errand;
};

/* A question to an OCSP responder, and whose it is. */
struct ocsp_question {
	struct resolver *resolver;
	uint32_t asker; /* enum proc; 0: it is free */
	bool begun;
	uint64_t tag;	  /* the asker's */
	mono_ns deadline; /* of one that has not begun */
	char name[NAME_MAX_BYTES];
	char path[3 * BASE64_SIZE(OCSP_REQUEST_MAX) + 2]; /* each character may be escaped */
	uint32_t n;
	uint8_t request[OCSP_REQUEST_MAX], body[OCSP_ANSWER_MAX];
	struct errand errand;
};

/* The end of an errand for a feed with a URL: its octets, which are the caller's; or NULL, and why there are none. */
typedef void fetched_fn(struct resolver *x, struct entry *e, const char *text, size_t n, const char *why);

struct resolver {
	struct child *child;
	struct timer tick;
	struct dynamic_area *area; /* shared with control; NULL: none */
	uint32_t n;
	struct entry *entry[DYNAMICS_MAX];
	bool changed;		/* since it was written there */
	uint64_t given;		/* tag of what control has not answered; 0: it may be written */
	char why[ERR_TEXT_MAX]; /* control does not use the last; empty: it does */
	struct lookup_of lookups[RESOLVER_LOOKUPS_MAX];
	uint64_t last_tag;
	struct fetch fetches[RESOLVER_FETCHES_MAX];
	fetched_fn *fetched;
	struct ocsp_question *ocsp; /* OCSP_ASKED_MAX of each certifier */
	uint32_t ocsp_left;	    /* that may begin before the next tick */
	/* A list has come: which of them there is room for. The others lose their memory, so that all together have no more. */
	void (*room_share)(struct resolver *x);
	int feed_dir, crl_dir; /* -1: none */
	struct database database;
};

/* Neither may move afterwards. */
void resolver_init(struct resolver *x, struct child *child, int supervisor_fd);

/* names.c */
void names_init(struct resolver *x);
void names_begin(struct resolver *x); /* lookups that are due */
void names_stop(struct resolver *x);  /* all of them; they are due again */
bool names_told(
	struct resolver *x, struct ipc_frame *f); /* true: the supervisor's message was for a lookup */

/* feeds.c */
void feeds_begin(struct resolver *x);			  /* what is on the disk, and readings that are due */
bool feeds_told(struct resolver *x, struct ipc_frame *f); /* true: the supervisor's message was for a feed */
void feed_end(struct entry *e);
fetched_fn feed_fetched;
void feed_release(struct feed_of *f); /* its memory */
bool feed_is_released(const struct feed_of *f);
void feed_read_again(struct feed_of *f); /* one that was released: from the copy, then as it is */

/* files.c */
/* Why it was not read, and when it is tried again. */
void feed_put_off(struct resolver *x, struct feed_of *f, uint32_t interval_s, const char *why);
bool feed_write_all(int fd, const char *text, size_t n);
/* All of a file, which the caller frees; NULL: *e says why. */
char *feed_file_read(int fd, size_t *ret_n, utc_us *ret_written, struct err *e);
/* Fetched, or why it was not; of whatever kind. */
void feed_failed(struct resolver *x, struct entry *e, const char *why);
void feed_succeeded(struct resolver *x, struct entry *e);
/* What is fetched again and again: FEED and CRL. */
static inline bool entry_is_fetched(const struct entry *e)
{
	return e->of.kind == DYNAMIC_FEED || e->of.kind == DYNAMIC_CRL;
}
static inline size_t fetched_max(const struct entry *e)
{
	return e->of.kind == DYNAMIC_CRL ? CRL_FILE_MAX : FEED_BYTES_MAX;
}

/* crls.c */
void crl_disk_read(struct resolver *x, struct entry *e); /* what the certifiers have */
void crl_fetched(struct resolver *x, struct entry *e, const char *text, size_t n);
void crl_judged(struct resolver *x, enum proc certifier, struct ipc_frame *f);
void crl_overdue(struct resolver *x, struct entry *e); /* certifiers have not answered in time */
void crls_tell(struct resolver *x);  /* the certifier of `show pki`, of what is another state */
void crls_again(struct resolver *x); /* all of them: it is another one */

/* ocsp.c */
void ocsp_init(struct resolver *x);
void ocsp_done(struct resolver *x);
void ocsp_asked(struct resolver *x, enum proc certifier, struct ipc_frame *f);
void ocsp_begin(struct resolver *x);			 /* each tick: those that wait */
bool ocsp_told(struct resolver *x, struct ipc_frame *f); /* true: the supervisor's message was for one */

/* countries.c */
void countries_listed(struct resolver *x); /* the list of entries is another one */
void countries_begin(struct resolver *x);  /* the copy on the disk, and a reading that is due */
bool countries_told(
	struct resolver *x, struct ipc_frame *f); /* true: the supervisor's message was for the database */
void countries_end(struct resolver *x);
const struct feed *country_list(const struct resolver *x, const struct entry *e);
bool country_known(const struct resolver *x, const struct entry *e);

/* fetch.c */
void fetch_init(struct resolver *x, fetched_fn *fetched);
bool fetch_busy(const struct resolver *x);
/* Authorities as a file, which is taken over; -1: the server's key is given. */
void fetch_begin(struct resolver *x, struct entry *e, int authorities);
void fetch_stop(struct resolver *x);			  /* all of them; they are due again */
bool fetch_told(struct resolver *x, struct ipc_frame *f); /* true: the supervisor's message was for one */
bool errand_told(struct errand *o, struct ipc_frame *f);  /* what the supervisor says to an errand */

/* peers.c */
void peers_changed(struct entry *e);  /* a name was answered, or was not: of a peer's ike is told */
void peers_again(struct resolver *x); /* of all: ike, or the list, is another one */
void peers_tell(struct resolver *x);
void peers_asked(struct resolver *x, struct peer_name_ask *m);

/* entries.c */
static inline bool entry_is_name(const struct entry *e) /* DNS has it */
{
	return e->of.kind == DYNAMIC_FQDN || e->of.kind == DYNAMIC_PEER;
}
bool entry_known(const struct resolver *x, const struct entry *e);
const struct feed *entry_list(const struct resolver *x, const struct entry *e); /* of a feed or a country */

/* show.c */
void resolver_show(struct resolver *x, uint64_t tag, const struct msg_show *q);

#endif
