/*
 * Every limit of the IKE codec in one place. A message that holds more is syntactically right and is not refused for
 * it: what has no room is left out as each line says, and what can be any number is walked where it stands (no array
 * is ever a guess: libreswan's CVE-2026-12413 was one). The limits of the protocol core (states, timers, retries)
 * stand in ike/limits.h.
 */
#ifndef WIRE_IKE_LIMITS_H
#define WIRE_IKE_LIMITS_H

#define IKE_MESSAGE_MAX	   8192 /* bytes of one IKE message, without the non-ESP marker */
#define IKE_PROPOSALS_MAX  32	/* of one SA payload; the later ones cannot be chosen */
/* of one SA payload, over all its proposals; the one that goes beyond cannot be chosen */
#define IKE_TRANSFORMS_MAX 256
/* of one message, those that mean something here; the last place is an error's */
#define IKE_NOTIFIES_MAX   32
#define IKE_VENDORS_MAX	   16 /* vendor ids of one message that are looked at */
#define IKE_SELECTORS_MAX  32 /* traffic selectors of one TS payload; the later ones are narrowed away */
#define IKE_NONCE_MIN	   16 /* RFC 7296 section 3.9 */
#define IKE_NONCE_MAX	   256
#define IKE_COOKIE_MAX	   64	/* RFC 7296 section 2.6 */
#define IKE_OFFER_TEXT_MAX 1024 /* an SA payload in words */

#endif
