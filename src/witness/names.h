/*
 * Names to addresses (RFC 1035, RFC 3596): one question of one kind, and what an answer to it says. Read
 * by the C library's parser of DNS messages. The answer is not trusted: the server at the address has to
 * prove that it is the intended one. So the chain of aliases from the name to the addresses is not
 * followed; only that the answer belongs to this question is checked.
 *
 * Pure: the sockets belong to the caller. Callers: src/proc/courier, tests. Any thread.
 */
#ifndef WITNESS_NAMES_H
#define WITNESS_NAMES_H

#include "base/addr.h"

#define NAMES_QUERY_MAX	 (12 + 255 + 4)
#define NAMES_ANSWER_MAX 1232 /* octets; without EDNS no server sends more than 512 */
#define NAMES_EACH_MAX	 8    /* addresses of one family that are tried */

struct names_question {
	const char *host;
	uint16_t id;
	bool v6;
};

/* Returns the length, 0: the host is too long or not a name. */
size_t names_query(uint8_t ret_bytes[NAMES_QUERY_MAX], const struct names_question *q);

/*
 * RC_OK: the server has answered; *ret_n addresses, perhaps none of this family. RC_NOT_FOUND: there is no
 * such name. RC_AGAIN: the server cannot say, *e says why. RC_DENIED, RC_MALFORMED: this is no answer to the
 * question.
 */
enum rc names_answer(struct ip_addr ret_addrs[NAMES_EACH_MAX], size_t *ret_n, const struct names_question *q,
	const void *bytes, size_t n, struct err *e);

#endif
