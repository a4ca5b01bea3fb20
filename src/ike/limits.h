/*
 * Every limit and every time of the IKE core in one place. Limits of the message syntax: wire/ike_limits.h.
 */
#ifndef IKE_LIMITS_H
#define IKE_LIMITS_H

#define IKE_SAS_MAX	  4096	/* IKE SAs in all states together */
#define IKE_HALF_OPEN_MAX 1024	/* of them as responder before IKE_AUTH; for one more the oldest goes */
#define IKE_FAILED_MAX	  256	/* of them refused, only to repeat their last answer; likewise */
#define IKE_CHILDREN_MAX  256	/* child SAs of one IKE SA, those being removed included */
#define IKE_ACTIONS_MAX	  65536 /* actions that wait for the shell; datagrams beyond it are lost */
#define IKE_DEAD_SPIS_MAX 8	/* SPIs remembered whose delete came before the answer that made them */
#define IKE_RESTARTS_MAX  4	/* times that one IKE_SA_INIT is repeated for a cookie or another group */

/* Retransmission: RFC 7296 section 2.4 asks for "at least a dozen times over a period of at least several
 * minutes" before giving a working peer up; a gateway with a second path wants to know sooner. 0.5 s, doubled
 * up to 8 s. */
#define IKE_RETRANSMIT_FIRST_MS 500
#define IKE_RETRANSMIT_MAX_MS	8000
#define IKE_RETRANSMITS		7 /* given up after about 40 seconds */
#define IKE_SETUP_GRACE_MS                                                                                   \
	2000 /* an unauthenticated refusal is believed after this, unless an answer comes */

#define IKE_HALF_OPEN_S 30 /* responder waits for IKE_AUTH */
#define IKE_FAILED_S	20 /* a refused IKE SA answers repetitions so long */
#define IKE_REPLACED_S	60 /* a replaced IKE or child SA waits for the other side's delete */
#define IKE_CONFIRM_S                                                                                        \
	45 /* a child that we answered for counts as known to the peer after this at the latest */
#define IKE_ACTIVATE_MS	     1000  /* the peer of an INITIAL_CONTACT has installed the new pair by then */
#define IKE_LINGER_S	     5	   /* an inbound SA stays for packets on their way */
#define IKE_LIFETIME_S	     14400 /* IKE SA until rekey, when the configuration says nothing */
#define IKE_CHILD_LIFETIME_S 3600
#define IKE_DPD_S	     30
#define IKE_KEEPALIVE_S	     20 /* RFC 3948 section 4: default */
#define IKE_CHILDLESS_S	     10 /* a second IKE SA to one peer is closed when it has had no child for so long */
#define IKE_BACKOFF_FIRST_MS 1000
#define IKE_BACKOFF_MAX_MS   60000
#define IKE_TEMPORARY_MS     1000 /* after TEMPORARY_FAILURE: once to thrice this, by chance */
#define IKE_REKEY_RETRY_S    30	  /* after another refusal of a rekey */
#define IKE_ORPHAN_S	     7200 /* what an earlier life left, if nobody takes the tunnel up again */

#define IKE_REFUSALS_BURST  20 /* ledger entries for refused handshakes: burst, then one each */
#define IKE_REFUSAL_EVERY_S 5  /* so many seconds; what is left out is counted in the next one */

#define IKE_WORD_MAX	  4096 /* octets of one word between the gateways' ledgers */
#define IKE_WORD_EVERY_MS 200  /* of each kind; what comes faster from one peer is dropped */

#define IKE_REASON_MAX 256

#endif
