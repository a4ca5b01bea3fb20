/*
 * A certifier over sockets of the test's own: this is the supervisor, control, ike, the keeper and the resolver. Alone with an engine of the
 * test's own; with arguments, name and path of an executable, against that one in its sandbox.
 */
#ifndef TESTS_CERTIFIER_RIG_H
#define TESTS_CERTIFIER_RIG_H

#include "../certify/make.h"
#include "model/snapshot.h"
#include "proc/certifier/shell.h"

#define PKI                                                                                                            \
	"pki { ca-profile a { file a.crt; } ca-profile h { file h.crt; revocation-check hard; } } "                    \
	"ike { proposal p { encryption aes256gcm16; dh-group ecp256; } "                                               \
	"peer p1 { remote-address 192.0.2.1; local-certificate gw; remote-id b.example; trusted-ca a; proposals p; } " \
	"peer p2 { remote-address 192.0.2.2; local-certificate gw; remote-id \"C=CH, O=Example, CN=*\"; "              \
	"trusted-ca a; proposals p; } "                                                                                \
	"peer p3 { remote-address 192.0.2.3; local-certificate gw; remote-id b.example; trusted-ca h; proposals p; } " \
	"peer p4 { remote-address 192.0.2.4; pre-shared-key k; proposals p; } }"

#define FETCHED                                                                                                        \
	"pki { ca-profile a { file a.crt; crl-url http://192.0.2.7/a.crl; } "                                          \
	"ca-profile h { file h.crt; revocation-check hard; crl-url http://192.0.2.7/h.crl; } } "                       \
	"ike { proposal p { encryption aes256gcm16; dh-group ecp256; } "                                               \
	"peer p1 { remote-address 192.0.2.1; local-certificate gw; remote-id b.example; trusted-ca a; proposals p; } " \
	"peer p2 { remote-address 192.0.2.2; local-certificate gw; remote-id b.example; trusted-ca h; proposals p; } }"

#define RESPONDERS                                                                                                     \
	"pki { ca-profile a { file a.crt; ocsp-url http://192.0.2.7/; } "                                              \
	"ca-profile h { file h.crt; revocation-check hard; ocsp-url http://192.0.2.7/h; } } "                          \
	"ike { proposal p { encryption aes256gcm16; dh-group ecp256; } "                                               \
	"peer p1 { remote-address 192.0.2.1; local-certificate gw; remote-id b.example; trusted-ca a; proposals p; } " \
	"peer p2 { remote-address 192.0.2.2; local-certificate gw; remote-id b.example; trusted-ca h; proposals p; } " \
	"peer p3 { remote-address 192.0.2.3; pre-shared-key k; proposals p; } }"

extern struct certifier certifier;
extern struct child child;
extern struct ipc_link supervisor, links[PROC_COUNT];
extern struct ipc_frame frame;
extern enum proc self;
extern const char *executable; /* NULL: the shell in here */
extern int directory, fetched; /* of CRLs: the administrator's, and the resolver's */
extern size_t memory;	       /* that the engine in here has in use */
extern uint32_t engine_says;   /* of any chain */
extern int64_t about_to_s;     /* what it says of any certificate */
extern char pem[3][8192];      /* a.crt, h.crt, gw.crt */
extern struct certify_ask ask;
extern unsigned
	revoked_n; /* CERTIFY_REVOKED that came before a verdict: a certifier looks at CRLs by a clock of its own */
extern struct made authority, hard, end_entity, below_hard;

void come(struct ipc_link *l);
void next(struct ipc_link *l, enum ipc_id id);
void silent(struct ipc_link *l);
void configure(const char *text, uint64_t generation);
int snapshot_of(const char *text, uint64_t generation, size_t *ret_bytes);
int start(void **state);
int stop_with(int expected);
int stop(void **state);
void question(uint64_t generation, uint32_t sa, uint32_t peer);
void ask_send(void);
uint32_t told(void);
void pem_of(size_t i, const struct made *m);
struct made certificate(const char *subject, const struct made *from);
void put_at(int at, const char *name, const void *b, size_t n);
void put(const char *name, const void *b, size_t n);
void put_crl(const char *name, const struct made *from, const struct made *revoked, bool in_pem);
uint32_t ask_about(uint32_t peer, const struct made *m, uint8_t type, const void *id, size_t n);
uint32_t about(uint32_t peer, const struct made *m);
void pki_make(void);
void pki_free(void);
void shown(const char *holds);
void shows(void);

/* Of a program: tests() runs them, with start() and stop() around each. */
int rig_run(int argc, char **argv, int (*tests)(void));

#endif
