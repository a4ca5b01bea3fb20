/*
 * A ledger's files from a web server that offers the directory as it is (C2SP tlog-tiles), for src/verify.
 * https and http; no redirection is followed, nothing is unpacked, an answer has limits in octets and in
 * time. Who answers need not be trusted: what is read is verified, and TLS only adds that a listener does not
 * see what is asked. The authorities are those of the system, or those of the file that SSL_CERT_FILE names,
 * as for other programs.
 */
#ifndef CLI_URL_H
#define CLI_URL_H

#include "verify/verify.h"

struct ledger_url;

/* "http://…" or "https://…" */
bool url_is(const char *text);
/* RC_INTERNAL: the library. */
enum rc url_open(struct ledger_url **ret_url, const char *text, struct err *e);
/* NULL is taken. */
void url_close(struct ledger_url *u);
struct verify_source url_source(struct ledger_url *u);
/* The first failure of the network or the server, or "". That a file is not there is none. */
const char *url_trouble(const struct ledger_url *u);

#endif
