/* The limits of the application layer gateways, each with its reason. */
#ifndef ALG_LIMITS_H
#define ALG_LIMITS_H

#define ALG_PORT_MIN 1024 /* no expectation leads to a well-known port (RFC 2577 section 3) */

/* ---- FTP ---- */

#define FTP_LINE_MAX	 256 /* octets of a line that are kept; a longer one tells no address */
#define FTP_TEXT_MAX	 64  /* "|2|" and an IPv6 address, "|65535|" */
#define FTP_PIPELINE_MAX 64  /* commands without a reply; no client has more than a few */
#define FTP_LIFETIME_S	 60  /* from PORT to the server's connection lies one command */

/* ---- TFTP ---- */

#define TFTP_REQUEST_MAX 512 /* RFC 2347 */
#define TFTP_LIFETIME_S	 30  /* a server that has not answered by then is asked again */

/* ---- SIP ---- */

#define SIP_MESSAGE_MAX 8192 /* octets; RFC 3261 section 18.1.1 keeps them below the path's MTU */
#define SIP_LINES_MAX	256
#define SIP_PLACES_MAX	32   /* addresses in one message that a translation changes */
#define SIP_EXPECT_MAX	8    /* streams of one message; twice as many ports with RTCP */
#define SIP_MEDIA_S	180  /* from an offer to the first packet, ringing included */
#define SIP_REGISTER_S	3600 /* of a call, and of a registration at most (RFC 3261 section 10.2) */

#endif
