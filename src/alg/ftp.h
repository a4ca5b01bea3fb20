/*
 * The control channel of FTP (RFC 959, RFC 2428) as a pair of line readers. A line is kept up to FTP_LINE_MAX
 * octets, nothing else: no stream is reassembled. What is out of order is dropped and comes again.
 *
 * An address counts only in its place in the dialogue: a command from the client after the server has greeted,
 * a reply as the answer to that very command, a whole line with CR LF. A stream that is not FTP from its first
 * line on (RFC 959 knows what a client may say) tells nothing for as long as it lasts, whatever its later lines
 * look like: otherwise a web page could make a browser say "PORT" ("NAT slipstreaming"). Only the ends' own
 * addresses count (RFC 2577 section 3, "FTP bounce"), and ports from ALG_PORT_MIN on. After AUTH TLS the channel
 * is not readable and is left alone (RFC 4217).
 */
#ifndef ALG_FTP_H
#define ALG_FTP_H

#include "alg/alg.h"
#include "alg/limits.h"
#include "alg/offset.h"

/* How an address is written. */
enum ftp_form { FTP_COMMAS, FTP_EXTENDED, FTP_PORT_ONLY };

struct ftp_side {
	uint32_t next; /* sequence number of the next octet to read, as its sender counts */
	bool begun;    /* next is known, from a SYN */
	uint8_t iac;   /* within a Telnet command (RFC 854): octets that it still has */
	bool overlong, cooked;
	uint16_t n;
	uint8_t line[FTP_LINE_MAX];
};

/* The last text that was replaced in this direction, for the sender who sends it again. */
struct ftp_replaced {
	uint8_t n; /* 0: none. Its place: offset's start and end */
	uint8_t text[FTP_TEXT_MAX];
};

enum ftp_asked { FTP_NOTHING, FTP_PORT, FTP_EPRT, FTP_PASV, FTP_EPSV, FTP_AUTH };

struct ftp {
	struct ftp_side side[2]; /* 0: the client */
	struct alg_offset offset[2];
	struct ftp_replaced replaced[2];
	uint16_t multi;	     /* the code of a reply of several lines, 0: none */
	uint16_t unanswered; /* commands without a final reply */
	uint16_t ahead;	     /* of them, those before what was asked */
	uint8_t asked;	     /* enum ftp_asked */
	bool greeted, spoken, epsv_all, foreign, opaque;
	/* What the other side knows them as, where that is another address: an end may tell it, too. The owner sets
	 * it. */
	struct ip_addr seen[2];
};

struct ftp_found {
	struct expectation expectation;
	enum ftp_form form;
	/* the text that tells the address, in the segment; n 0: it began in an earlier one. Of ALG_CUT: at octets pass,
	 * the first of them perhaps not for the first time */
	size_t at, n;
};

/* A SYN of that direction was seen; the next octet has that number. */
void ftp_begin(struct ftp *f, uint32_t direction, uint32_t next);
/*
 * A segment (or a train of them) in the order of its arrival, after the checks of TCP. ends: the addresses of
 * client and server as they know themselves. translated: addresses in this direction will be replaced, so a
 * line that tells one must be whole. Of ALG_AGAIN and ALG_REFUSE the state is that of before.
 */
enum alg_verdict ftp_segment(struct ftp *f, const struct ip_addr ends[2], uint32_t direction, uint32_t seq,
	const uint8_t *bytes, size_t n, bool translated, struct ftp_found *ret_found);

/* Replaces what was found by this address and port in the segment's payload of *n octets in a buffer of `room`.
 * False: no room; nothing has changed. */
bool ftp_rewrite(struct ftp *f, uint32_t direction, uint32_t seq, uint8_t *bytes, size_t *n, size_t room,
	const struct ftp_found *found, const struct ip_addr *addr, uint16_t port);
/* Does this segment hold some of the replaced text? */
bool ftp_repeats(const struct ftp *f, uint32_t direction, uint32_t seq, size_t n);
/* A segment that is sent again, if it holds replaced text, is replaced in the same way. ALG_AGAIN: it holds a
 * part of it. */
enum alg_verdict ftp_repeat(
	const struct ftp *f, uint32_t direction, uint32_t seq, uint8_t *bytes, size_t *n, size_t room);

#endif
