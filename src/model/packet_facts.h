/*
 * What the data plane knows of a packet at a stage, by the names of the configuration: for the JSON of `trace`, the verdicts of `replay`,
 * and the comments of `capture`. Travels between threads and processes: no pointers, no padding. Pure.
 */
#ifndef MODEL_PACKET_FACTS_H
#define MODEL_PACKET_FACTS_H

#include "base/json.h"
#include "model/snapshot.h"

/* clang-format off */
#define PACKET_VERDICTS(V)	/* id, word */								\
	V(NONE,      "")		/* not yet */						\
	V(PASS,      "pass")		/* it leaves, by a link or sealed */				\
	V(HOST,      "host")		/* it is for the gateway itself, which takes it */		\
	V(DROP,      "drop")										\
	V(QUEUED,    "queued")		/* until the link address of its next hop is known */		\
	V(HANDED,    "handed-over")	/* to another worker of the data plane, which decides */	\
	V(FRAGMENT,  "fragment")	/* kept until the others of its datagram are there */
/* clang-format on */

enum packet_verdict {
#define E(id, word) PACKET_##id,
	PACKET_VERDICTS(E) PACKET_VERDICTS_N
#undef E
};

#define PACKET_DROP_BYTES 48 /* a name of wire/drop.h */

struct packet_facts {
	uint32_t verdict;		  /* enum packet_verdict */
	uint32_t session;		  /* its number; 0: none */
	struct endpoint src, dst;	  /* of the packet as it is at this stage */
	struct endpoint nat_src, nat_dst; /* of the session, translated; ADDR_NONE: not translated */
	uint8_t proto, reply;		  /* reply: against the direction in which its session began */
	uint8_t zero[2];
	char drop[PACKET_DROP_BYTES]; /* empty: not dropped; so are all names that nothing is known of */
	char rule[NAME_MAX_BYTES], from_zone[NAME_MAX_BYTES],
		to_zone[NAME_MAX_BYTES]; /* of the session, or of its start */
	char nat_src_rule[NAME_MAX_BYTES], nat_dst_rule[NAME_MAX_BYTES];
	char in_interface[NAME_MAX_BYTES], in_tunnel[NAME_MAX_BYTES];
	char out_interface[NAME_MAX_BYTES], out_tunnel[NAME_MAX_BYTES];
};

_Static_assert(
	sizeof(struct packet_facts) == 8 + 4 * 24 + 4 + PACKET_DROP_BYTES + 9 * NAME_MAX_BYTES, "no padding");

/* Members of an open object; names of which nothing is known are left out. */
void packet_facts_json(struct jw *w, const struct packet_facts *f);

/* A sentence without the ends: "drop policy-deny; rule no (trust to untrust); in lan0". Returns ret_text. */
#define PACKET_FACTS_TEXT_MAX 1024
const char *packet_facts_text(char ret_text[PACKET_FACTS_TEXT_MAX], const struct packet_facts *f);

#endif
