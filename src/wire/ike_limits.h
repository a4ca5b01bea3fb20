/*
 * Every limit of the IKE codec. A message that has more is syntactically valid and is not refused for it:
 * what has no room is ignored as each line says, and what can be any number is read where it is, without an
 * array (an array of guessed size was libreswan's CVE-2026-12413). The limits of the protocol core (states,
 * timers, retransmissions): ike/limits.h.
 */
#ifndef WIRE_IKE_LIMITS_H
#define WIRE_IKE_LIMITS_H

#define IKE_MESSAGE_MAX	   8192 /* bytes of one IKE message, without the non-ESP marker */
/* parts of one message (RFC 7383); what is cut into more is not gathered */
#define IKE_FRAGMENTS_MAX  32
#define IKE_PROPOSALS_MAX  32 /* of one SA payload; the later ones cannot be chosen */
/* of one SA payload, over all its proposals; the one that goes beyond cannot be chosen */
#define IKE_TRANSFORMS_MAX 256
/* of one message, those with a known type; the last place is for an error */
#define IKE_NOTIFIES_MAX   32
#define IKE_VENDORS_MAX	   16  /* vendor ids of one message; later ones are ignored */
#define IKE_SELECTORS_MAX  128 /* traffic selectors of one TS payload; later ones are narrowed away */
#define IKE_CERTREQ_MAX	   16  /* authorities that a CERTREQ of ours names; 320 octets */
#define IKE_NONCE_MIN	   16  /* RFC 7296 section 3.9 */
#define IKE_NONCE_MAX	   256
#define IKE_COOKIE_MAX	   64			     /* RFC 7296 section 2.6 */
#define IKE_GATEWAY_MAX	   (2 + 255 + IKE_NONCE_MAX) /* octets of REDIRECT's data: RFC 5685 section 7.2 */
#define PUZZLE_KEYS	   4	/* of the solution of a puzzle (RFC 8019 section 7.1.3) */
#define IKE_OFFER_TEXT_MAX 1024 /* octets of an SA payload as text */

#endif
