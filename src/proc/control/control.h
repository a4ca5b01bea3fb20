/*
 * plaingate-control: holds the running configuration, carries out commits, and answers the administrator's
 * program. One thread on ipc/loop.h; everything here runs on it. The files of this folder share this header
 * and nothing else.
 *
 *	main.c          enters the sandbox
 *	limits.h        limits
 *	control.c       callbacks: resources, links, messages, the tick
 *	clients.c       connections of the command line: who they are, what they may, one request each
 *	certificates.c  the certificates of a configuration
 *	certifiers.c    the certifiers are asked whether they can use them
 *	answer.c        what a client is answered
 *	memory.c        texts and memory between control and a client
 *	authorize.c     who speaks, and whether that is permitted: commands, and what a commit changes
 *	administrators.c  the table of administrators
 *	sessions.c      administrators who come by ssh
 *	relay.c         requests that another process answers: show, clear, ike, trace
 *	tables.c        whose the tables of show are
 *	metrics.c       tables for measurements, which export asks for
 *	commit.c        text -> checked -> entered -> stored -> distributed -> taken
 *	running.c       the running configuration: compiled, loaded at the start
 *	distribute.c    who gets the snapshot, and which processes have taken it
 *	dynamic.c       addresses that change without a commit, between the resolver and the data plane
 *	config_store.c  running.conf and its history
 *	entries.c       what control enters in the ledger
 *	evidence.c      the witnesses that a commit changes
 *	history.c       who committed what runs, and what ran before it
 *	unconfirmed.c   a commit that has to be confirmed: its state, and what is stored of it
 *	confirm.c       such a commit is confirmed, or restored when its time is over
 *	proposals.c     commits that need signatures
 *	sign.c          a signature comes for one
 *	guards.c        commits that would close everything or cut their own connection off
 */
#ifndef PROC_CONTROL_CONTROL_H
#define PROC_CONTROL_CONTROL_H

#include "admin/signed.h"
#include "admin/speaker.h"
#include "admin/ssh_certificate.h"
#include "admin/ssh_uids.h"
#include "ipc/child.h"
#include "model/dynamic.h"
#include "model/model.h"

enum { LISTENER_LOCAL, LISTENER_SSH, LISTENERS }; /* index of RESOURCE_CLI_SOCKET */

#define CLIENTS_MAX	  64 /* with sessions: LOGINS_MAX, which leave as many to the others as before */
#define CLIENT_WAIT_NS	  (10 * NS_PER_S) /* for a request, and for the other end to close */
#define OWNER_WAIT_NS	  (15 * NS_PER_S) /* for any answer of a table's owner */
#define IKE_WAIT_NS	  (60 * NS_PER_S) /* ike answers when the tunnel is up or has failed */
#define PAUSE_MAX_NS	  (600 * NS_PER_S) /* for a client to read what waits for it: a pager may stand still */
#define PAUSE_BYTES	  (64u << 10)	 /* waiting for one client: its table's next piece is not asked for */
#define TAKEN_WAIT_NS	  (5 * NS_PER_S) /* for SNAPSHOT_TAKEN of every process that runs */
#define CLIENT_FULL_BYTES (2u << 20)	 /* waiting for one client: its table's owner is held back */
#define TICK_NS		  (50 * NS_PER_MS) /* while there are clients or a commit */
#define ROLLBACKS_MAX	  50
#define WAITING_MAX	  16 /* commits that wait for signatures */
#define WAITING_EACH_MAX  4  /* of one author */
#define RESOLVER_WAIT_NS                                                                                     \
	(3 * NS_PER_S) /* for the resolver's first word, before the data plane gets a configuration without it */

enum client_work {
	CLIENT_FREE,
	CLIENT_NEW,	/* connected, no request yet */
	CLIENT_FILLS,	/* it writes the text of its request into the memory that it was given */
	CLIENT_ENTRY,	/* the ledger's receipt is awaited */
	CLIENT_RELAY,	/* an owner's answer is awaited */
	CLIENT_PAUSED,	/* between two pieces of a table: it has to take what waits for it first */
	CLIENT_TRACE,	/* lines come until the count is reached or the client goes */
	CLIENT_CAPTURE, /* the data plane writes packets to its memory until it goes */
	CLIENT_COMMIT,	/* the commit of this client is in progress */
	CLIENT_CHECK,	/* the certifiers' answers are awaited */
	CLIENT_LOGIN,	/* the receipt of its login is awaited */
	CLIENT_SESSION, /* an administrator who came by ssh: until the connection ends */
	CLIENT_ENDED,	/* it has its answer; waiting for it to go */
};

struct control;
struct client;

/* What the certifiers say of the certificates of a configuration that is checked, or about to be committed. */
struct judgement {
	uint64_t tag;					     /* of the question; 0: none is under way */
	uint32_t waits;					     /* bit per process */
	mono_ns deadline;				     /* for all of them */
	struct err fault;				     /* the first one */
	void (*judged)(struct control *k, struct client *c); /* all have answered, or will not */
};

/* Of an administrator who came by ssh. */
struct session {
	bool open;	 /* its login is in the ledger, its end is not */
	uint64_t number; /* of this control */
	utc_us since;
	char name[ADMIN_NAME_MAX + 1], key[SSH_SHOWN_SIZE], source[ADDR_TEXT_MAX], reason[96];
	mono_ns minute;
	uint32_t in_minute; /* commands that were entered in it */
	uint64_t unentered; /* and those beyond, since the last entry */
};

struct client {
	struct control *control;
	struct port port;
	enum client_work work;
	uint32_t uid, pid;
	struct speaker speaker; /* of its request, by the configuration that ran then */
	char who[SPEAKER_TEXT_MAX];
	uint64_t tag;	     /* of our request to the owner, or cookie of our entry */
	uint64_t entry_n;    /* of our entry: its number */
	uint64_t generation; /* that is to be confirmed */
	enum proc owner;     /* CLIENT_RELAY, CLIENT_TRACE */
	mono_ns deadline;    /* 0: none */
	mono_ns full_since;  /* its queue has been full since then; 0: it is not */
	uint64_t next;	     /* CLIENT_RELAY, CLIENT_PAUSED: where the next piece of its table begins */
	uint32_t rows;	     /* of the pieces before it */
	void (*forget)(struct client *c); /* it goes before its answer, which is aborted */
	struct judgement judgement;
	int memory; /* that the client was given (memory.c), while it is needed; -1: none */
	struct session session;
	struct msg_cli_request request;
};

/* The configuration that runs. */
struct running {
	char *text;
	size_t n;
	uint8_t sha256[32];
	uint64_t generation;
	void *block; /* struct snapshot */
	size_t bytes;
	struct administrators *administrators; /* NULL: none were compiled */
	int memory;			       /* the sealed memfd that the processes get */
	char *certificates; /* as they are stored with the text (certificates.c); NULL: it has none */
	size_t certificates_n;
	uint8_t certificates_sha256
		[32];		/* of these, without the text's digest before them; all zero: it has none */
	bool certificates_kept; /* they are those that ran with a text of the history, not the directory's */
};

/* Where the certificates of a configuration come from. */
enum certificates_from {
	CERTIFICATES_FILES, /* the directory, for a commit; an error of one refuses it */
	CERTIFICATES_STORED, /* what was committed with the text, or, where that is lost, what of the directory can be used */
	CERTIFICATES_UNCONFIRMED, /* the same of a text that is restored: what ran with it */
	CERTIFICATES_HISTORY, /* what ran with a text of the history, or, where that is not kept, the directory */
};

/* A signature over a proposal, which counted when it came. */
struct signed_by {
	char admin[ADMIN_NAME_MAX + 1], key[SSH_FINGERPRINT_SIZE];
	uint8_t blob[SSHSIG_BLOB_MAX];
	size_t n;
};

/* A commit that waits for signatures; its text is on the disk. */
struct proposal {
	uint64_t id; /* 0: a free place */
	utc_us created;
	struct signed_statement statement;
	uint32_t required, flags;
	char author[SPEAKER_TEXT_MAX], comment[256], name[NAME_MAX_BYTES];
	struct signed_count signed_by;
	struct signed_by signature[SIGNED_REQUIRED_MAX];
};

/* A commit on its way; one at a time. `next` becomes the running one when the receipt is there. */
struct commit {
	bool under_way;
	struct client *client; /* NULL: it went away; the commit goes on */
	uint64_t cookie;
	struct running next;
	char comment[256];
	uint32_t uid;
	char who[SPEAKER_TEXT_MAX];
	uint32_t confirm_minutes; /* 0: it needs no confirmation */
	bool restores;		  /* what ran before one that was not confirmed */
	struct judgement judgement;
	uint64_t proposal; /* that it was; 0: none */
	uint32_t options;  /* of it: enum signed_option */
	uint32_t signatures_n;
	struct signed_by signature[SIGNED_REQUIRED_MAX];
	struct err close_all, cut_off,
		shut_out; /* what the guards say that was overridden; rc RC_OK: nothing */
};

/* A commit that waits to be confirmed; what ran before it is on the disk. */
struct unconfirmed {
	bool pending;
	char who[SPEAKER_TEXT_MAX]; /* has committed it; "": not known any more */
	uint32_t minutes;
	utc_us deadline;
};

/* Addresses that change without a commit. */
struct dynamic {
	struct dynamic_area *area; /* shared with the resolver; NULL: none yet */
	int memory;
	uint32_t listed; /* records that stand there, of the generation: */
	uint64_t generation;
	struct dynamic_sets sets; /* what is known */
	void *block;		  /* the running configuration with them; NULL: it has none of them */
	size_t bytes;
	int filled;		/* the sealed memfd of it, for the data plane; -1: none */
	bool due, waits;	/* the data plane is to be given it; has been, and has not answered */
	uint64_t owed;		/* tag of the DYNAMICS_FOUND that is not answered; 0: none */
	char why[ERR_TEXT_MAX]; /* the last ones were not used */
	mono_ns hold_until; /* nothing for the data plane before the resolver has spoken, until then; 0: it has */
	struct timer hold;
};

struct control {
	struct child *child;
	int config_dir;		 /* -1 before it is handed over */
	int certificate_dir;	 /* likewise; in tests of other things there is none */
	int listener[LISTENERS]; /* for users of the machine, and for those who come by ssh; -1 */
	struct watch listener_watch[LISTENERS];
	struct ssh_uids ssh_uids; /* whose the users of the pool are */
	uint64_t sessions_n;	  /* that began */
	mono_ns refusals;	  /* bucket of what is entered of refused requests */
	uint64_t refusals_unentered;
	struct timer tick; /* deadlines and held-back owners */
	struct client clients[CLIENTS_MAX];
	struct running running;
	struct commit commit;
	struct unconfirmed unconfirmed;
	struct proposal proposals[WAITING_MAX];
	uint64_t proposal_last; /* number of the last one */
	struct timer confirm_timer;
	uint64_t next_tag;
	struct {
		uint64_t tag, theirs; /* of our request, and of export's; tag 0: none is under way */
		enum proc owner;
	} metrics;
	bool held[PROC_COUNT]; /* reading from this owner is held back */
	/* the last distribution */
	uint32_t asked, taken; /* bit per process */
	char refusal[ERR_TEXT_MAX];
	mono_ns taken_deadline;
	struct dynamic dynamic;
};

extern const struct child_ops control_ops;
void control_init(struct control *k, struct child *c);

/* clients.c */
enum rc clients_listen(struct control *k, uint32_t which, int fd, struct err *e);
void clients_done(struct control *k);
void clients_tick(struct control *k);
bool clients_none(const struct control *k);

/* sessions.c */
void sessions_load(struct control *k);	    /* at the start: who had which user */
void sessions_configure(struct control *k); /* another configuration runs */
bool sessions_give(struct control *k);	    /* to the process ssh */
void sessions_lost(struct control *k);	    /* the process ssh is gone, and sshd with it */
void session_begin(struct client *c);	    /* CLI_LOGIN */
void session_forget(struct client *c);
/* A line for everybody who is logged in by ssh, but for that person. */
void sessions_tell(struct control *k, const char *except, const char *text);
bool session_admits(struct client *c); /* whether its user may ask at all: by ssh only in a session */
void sessions_show(struct client *c);

/* answer.c */
struct client *client_by_tag(struct control *k, uint64_t tag, enum client_work work);
/* One JSON object to the client; a client that cannot take it is closed. */
void client_row(struct client *c, const struct msg_row *row);
/* One row that warns. */
void client_warning(void *client, const char *text);
/* The answer; nothing follows it. */
void client_end(struct client *c, enum rc rc, uint32_t count, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* memory.c */
/* Of that size, to be filled by the client, or by whoever else gets c->memory. */
enum rc client_memory_give(struct client *c, uint64_t bytes, struct err *e);
/* What the client has filled. The caller frees *ret_text, which ends with a zero octet behind its n. */
enum rc client_memory_read(struct client *c, char **ret_text, size_t *ret_n, struct err *e);
/* With that text, for a client who has asked for it. */
enum rc client_memory_answer(struct client *c, const char *text, size_t n, struct err *e);
void client_memory_forget(struct client *c);

/* authorize.c */
/* Says who asks. False: the role does not permit it; the refusal is entered and told. */
bool authorize_request(struct client *c);
/* Whether what the commit changes is permitted to who asks for it, by what runs. RC_DENIED, with who could. */
enum rc authorize_commit(struct client *c, const struct running *next, struct err *e);
/* Another configuration runs: requests that it does not permit any more are ended. */
void authorize_again(struct control *k);

/* administrators.c */
void administrators_show(struct client *c);

/* tables.c */
enum proc table_owner(uint32_t table); /* PROC_COUNT: there is no such table */

/* relay.c */
void relay_show(struct client *c);
void relay_resume(struct client *c); /* it has taken what waited: the next piece of its table */
void relay_act(struct client *c);    /* clear, ike, trace: enters the act, then asks the owner */
void relay_forget(struct client *c); /* the client goes: a running trace is stopped */
void relay_message(struct control *k, enum proc peer, struct ipc_frame *f);
void relay_owner_lost(struct control *k, enum proc peer);
void relay_tick(struct control *k); /* holds owners back while a client's queue is full */

/* commit.c */
void commit_begin(struct client *c);
/* Of a proposal that has what it needs; the text is taken over. */
void commit_signed(struct client *c, const struct proposal *p, char *text, size_t n);
void commit_check(struct client *c); /* CLI_CHECK: says what a commit would say */
void commit_forget(struct client *c);
void commit_tick(struct control *k);
void commit_finish(struct control *k); /* all have answered, or the time is over */
/* A commit of that text, which is taken over; no client waits for the answer. */
void commit_restore(struct control *k, char *text, size_t n);

/* proposals.c */
void proposals_load(struct control *k);
/*
 * What a commit of that text with these certificates needs; the paths that it changes are added to those of the caller, where anything needs a
 * signature.
 */
enum rc proposals_needed(struct control *k, const char *text, size_t n, const uint8_t certificates[32],
	struct admin_words *ret_paths, uint32_t *ret_required, struct err *e);
/* The commit becomes a proposal, and its client is told. */
void proposals_add(struct control *k, struct commit *m, const struct client *c, uint32_t required);
void proposals_show(struct client *c);
/* RC_NOT_FOUND: there is no such proposal. */
enum rc proposals_read(struct control *k, uint32_t id, char ret_statement[SIGNED_STATEMENT_MAX],
	char **ret_text, size_t *ret_n, struct err *e);
/* Another configuration runs; id: it was that proposal, or 0. */
void proposals_committed(struct control *k, uint64_t id);
/* Ahead of config_commit, whose receipt stands for them as well. */
enum rc entry_config_signatures(struct control *k, const struct commit *m);
struct proposal *proposal_find(struct control *k, uint64_t id); /* NULL: there is none */
void proposals_sweep(struct control *
		k); /* those whose time is over, and those over another configuration than the one that runs */
enum rc proposal_text(
	struct control *k, const struct proposal *p, char **ret_text, size_t *ret_n, struct err *e);
enum rc proposal_store(
	struct control *k, const struct proposal *p, const char *text, size_t n, struct err *e);
void proposal_remove(struct control *k, struct proposal *p, const char *who, const char *event);
void entry_proposal(
	struct control *k, const struct proposal *p, const char *who, const char *event, const char *key);

/* sign.c */
void proposals_sign(struct client *c);
void proposals_withdraw(struct client *c);

/* running.c */
/* Text (taken over) to a whole struct running; r->generation is set by the caller. */
enum rc running_compile(struct control *k, struct running *r, char *text, size_t n, const char *name,
	enum certificates_from from, struct faults *ret_faults, struct err *e);
enum rc running_load(struct control *k, struct err *e);
void running_done(struct running *r);
/* A sealed memfd of a snapshot. */
enum rc snapshot_memfd(int *ret_fd, const void *block, size_t bytes, struct err *e);

/* certificates.c */
/* Adds them to the compiled configuration, and makes of them what is stored. name: of the text, of the history's for one. */
enum rc control_certificates(
	struct control *k, struct running *r, const char *name, enum certificates_from from, struct err *e);

/* certifiers.c */
/* False: the configuration has no certificates, or nobody can be asked (then c is told); else `judged` follows. */
bool certifiers_ask(struct control *k, struct judgement *j, const struct running *r, struct client *c,
	void (*judged)(struct control *k, struct client *c));
void certifiers_answer(struct control *k, enum proc peer, const struct ipc_frame *f);
void certifiers_lost(struct control *k, enum proc peer);
void certifiers_tick(struct control *k);

/* distribute.c */
void distribute_all(struct control *k, mono_ns wait);
void distribute_to(struct control *k, enum proc peer); /* it has just been linked */
void distribute_taken(struct control *k, enum proc peer, const struct ipc_frame *f);
void distribute_lost(struct control *k, enum proc peer);
bool distribute_complete(const struct control *k);

/* dynamic.c */
void dynamic_init(struct control *k);
void dynamic_done(struct control *k);
void dynamic_begin(
	struct control *k); /* at the start: the data plane waits for the resolver, for a short time */
void dynamic_configure(struct control *k); /* another configuration runs: before it is given to anybody */
void dynamic_list(
	struct control *k); /* to the resolver, which has just been linked, or another configuration runs */
void dynamic_found(struct control *k, const struct ipc_frame *f);
bool dynamic_taken(struct control *k, const struct ipc_frame *f); /* true: the answer was to addresses */
void dynamic_lost(struct control *k, enum proc peer);
void dynamic_go(struct control *k); /* gives what is due, once nothing else is under way */
/* What the data plane gets. False: nothing yet. */
bool dynamic_snapshot(struct control *k, int *ret_memory, uint64_t *ret_bytes);

/* config_store.c: inside the directory k->config_dir */
enum rc config_store_read(
	int dir, char **ret_text, size_t *ret_n, struct err *e); /* RC_NOT_FOUND: there is none */
uint64_t config_store_generation(
	int dir, const uint8_t sha256[32]); /* of that text; one more than the last if it is another */
/*
 * RC_OK: the new text is the running one, with its certificates (a directory that cannot be synced is logged). On an error
 * those of old are. old may be NULL.
 */
enum rc config_store_write(int dir, const struct running *next, const struct running *old, struct err *e);
/* "rollback.N", which is there or not. */
bool config_store_is_history(const char *name);
/* The certificates beside a text: "" of the running one, else of "unconfirmed" or "rollback.N". RC_NOT_FOUND: there are none. */
enum rc config_store_certificates_read(
	int dir, const char *of, char **ret_text, size_t *ret_n, struct err *e);
/*
 * The text that ran before a commit that is not confirmed, with the time that it has. RC_NOT_FOUND: there is none. _begin: the first time, with
 * the certificates.
 */
enum rc config_store_unconfirmed_begin(
	int dir, utc_us deadline, uint32_t minutes, const struct running *before, struct err *e);
enum rc config_store_unconfirmed_write(
	int dir, utc_us deadline, uint32_t minutes, const char *text, size_t n, struct err *e);
enum rc config_store_unconfirmed_read(
	int dir, utc_us *ret_deadline, uint32_t *ret_minutes, char **ret_text, size_t *ret_n, struct err *e);
enum rc config_store_unconfirmed_remove(int dir, struct err *e);
/* What is said of the commit of the running text, which is there; of it (n 0) or of one of the history. */
void config_store_ssh_uids_write(int dir, const char *text, size_t n);
enum rc config_store_ssh_uids_read(int dir, char **ret_text, size_t *ret_n, struct err *e);
void config_store_commit_write(int dir, const char *text, size_t n);
enum rc config_store_commit_read(int dir, uint32_t n, char **ret_text, size_t *ret_n, struct err *e);
bool config_store_has_history(int dir, uint32_t n);
/* The number of the last proposal, which no other gets; 0: there was none. */
uint64_t config_store_proposal_last(int dir);
enum rc config_store_proposal_last_write(int dir, uint64_t last, struct err *e);
/* Commits that wait for signatures, 1..WAITING_MAX. RC_NOT_FOUND. */
enum rc config_store_proposal_read(int dir, unsigned slot, char **ret_text, size_t *ret_n, struct err *e);
enum rc config_store_proposal_write(int dir, unsigned slot, const char *text, size_t n, struct err *e);
void config_store_proposal_remove(int dir, unsigned slot);
/* What ran n configurations before the running one. RC_NOT_FOUND. */
enum rc config_store_history_read(int dir, uint32_t n, char **ret_text, size_t *ret_n, struct err *e);

/* entries.c */
struct ledger_body;
enum rc entry_send(struct control *k, enum ledger_mode mode, struct ledger_body *b, ledger_receipt_fn *fn,
	uint64_t cookie);
enum rc entry_config_commit(struct control *k, const struct commit *m, ledger_receipt_fn *fn);
void entry_config_load(struct control *k);
/* Ahead of config_commit, whose receipt stands for it as well, or behind config_load; nothing where there are none. */
void entry_config_certificates(struct control *k, const struct running *r);
/* A request that the role does not permit: as many in a second as limits.h says, and the number of those between them. */
void entry_admin_refused(struct control *k, const struct client *c, const char *words);
/* generation: that it would have been; 0: of a text that was refused at a start. */
void entry_config_refused(struct control *k, const struct client *c, const uint8_t *sha256,
	uint64_t generation, const char *why);
/* The action that was entered last for this client is not carried out; also when its entry never came to be. */
void entry_admin_act_aborted(struct control *k, const struct client *c, const char *why);
enum rc entry_admin_act(
	struct control *k, struct client *c, const char *act, const char *detail, ledger_receipt_fn *fn);

/* unconfirmed.c */
/* the first one: before the text is kept */
/* Who, when, why, and the ledger's entry: of the commit that has just become the running configuration. */
void history_note(struct control *k, const struct commit *m, uint64_t entry);
/* `show system commit`. */
void history_show(struct client *c);
/* Who has committed what runs; "": that is not noted. */
void history_who(struct control *k, char ret_who[SPEAKER_TEXT_MAX]);

enum rc unconfirmed_begin(struct control *k, uint32_t minutes, const char *who, struct err *e);
#define UNCONFIRMED_TEXT_MAX 256
/* Who has committed what waits to be confirmed, and how long; "": nothing does. */
void unconfirmed_text(const struct control *k, char ret_text[UNCONFIRMED_TEXT_MAX]);
/* RC_AGAIN, with who and until when: one waits to be confirmed that is somebody else's, or would be followed by a signed one. */
enum rc unconfirmed_admits(const struct control *k, const char *who, bool is_signed, struct err *e);
/* The commit stays, confirmed or replaced. On an error it is still unconfirmed. */
enum rc unconfirmed_end(struct control *k, struct err *e);
void unconfirmed_end_logged(
	struct control *k); /* the same; an error is logged, and the deadline begins again */
void unconfirmed_load(struct control *k);

/* metrics.c */
void metrics_ask(struct control *k, uint64_t tag, const struct msg_show *q);
/* True: the row, or the end, was of what export has asked for. */
bool metrics_row(struct control *k, enum proc peer, uint64_t tag, const struct msg_row *row);
bool metrics_end(struct control *k, enum proc peer, uint64_t tag, const struct msg_result *r);
void metrics_owner_lost(struct control *k, enum proc peer);

/* confirm.c */
void confirm_now(struct client *c);
void confirm_expire(struct loop *l, struct timer *t);

/* guards.c */
/* RC_DENIED unless what the guards say is meant; then it is kept in m for the ledger. */
enum rc guards_check(struct commit *m, const struct running *now, struct client *c, struct err *e);
/* What was overridden, ahead of config_commit, whose receipt stands for it as well. */
void entry_config_overrides(struct control *k, const struct commit *m);

/* evidence.c */
bool evidence_changes(const struct control *k, const struct running *next);
enum rc entry_witnesses_change(struct control *k, const struct commit *m, ledger_receipt_fn *fn);

#endif
