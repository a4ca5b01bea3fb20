/* The search for the first rule that matches, and how it is made (matcher.c, build.c); a part of internal.h. */
#ifndef FIREWALL_MATCHER_H
#define FIREWALL_MATCHER_H

#include "base/shed.h"
#include "firewall/firewall.h"

struct fw_fetched;
struct fw_tuple;

#define FW_LEVEL      16 /* starts that stand together: a cache line of them */
#define FW_LEAF	      8	 /* intervals that do */
#define FW_LEVELS_MAX 8	 /* 8 * 16^8 intervals: more than there can be */

typedef unsigned __int128 fw_point; /* an address, or protocol and port: in one dimension */

/*
 * Disjoint intervals of one dimension of a rule list, each with the set of rules that name some of it. Intervals with the same
 * rules share a set. Rules for which any value will do stand in `any`, and in no set.
 *
 * A set is a block in `sets`, of which only words that are not zero are stored. Its first word says which of the next are not zero;
 * fw_set_words() of them say which words are stored, a bit each; then for each of these how many words stand before its own (two in
 * a word); then the words. An interval has the place where its set begins; of a set of one rule there is no block: FW_SET_ONE and
 * the rule.
 */
#define FW_SET_ONE (1u << 31)

struct fw_dimension {
	uint32_t n, n_sets;
	struct fw_interval {
		uint32_t start, set; /* of IPv4 addresses, or of services. start of the first: 0 */
	} *interval;		     /* begins on a cache line */
	fw_point *start;	     /* the same of IPv6 */
	uint32_t *set;
	/* Of many intervals: the starts of each 8th of them, then of each 16th of these, and so on; the last has at most 16. */
	struct fw_level {
		uint32_t *start, n;
	} level[FW_LEVELS_MAX];
	uint32_t levels;
	uint32_t room;	    /* of intervals */
	uint64_t sets_room; /* words */
	bool exact; /* of a policy: a rule that is in an interval's set has all addresses of the interval */
	uint64_t any_top;     /* which words of bits of `any` are not zero */
	uint64_t *sets, *any; /* any: bits of words as in a set, then all words */
};

/* Lists of rules that a matcher is made for. */
enum fw_list { FW_LIST_POLICY, FW_LIST_NAT, FW_LIST_DNAT };
#define FW_LISTS (FW_LIST_DNAT + 1)

/* Finds the first matching rule of a list: candidates by intervals, then the exact check. */
struct fw_matcher {
	uint32_t first, count; /* the rules; count below the threshold: no dimensions, one after the other */
	uint32_t words;	       /* 64 rules each */
	struct fw_dimension *dimension; /* FW_DIMENSIONS, or NULL */
};

/* Of so many words: the words that say which are stored. */
static inline uint32_t fw_set_words(uint32_t words)
{
	return (words + 63) / 64;
}

enum { FW_SRC4, FW_SRC6, FW_DST4, FW_DST6, FW_SERVICE, FW_DIMENSIONS };

/* A class of rules begins or ends at a point. */
struct fw_event {
	fw_point at;
	uint32_t class; /* of its dimension */
	int32_t step;	/* +1 or -1 */
};

struct fw_events {
	struct fw_event *event;
	uint32_t n, room;
};

/* Rules that have the same span of addresses or services: they begin and end together. */
struct fw_class {
	struct span span;
	uint32_t rules; /* the last of them, counted from 1; the others by fw_classes.next */
	uint32_t count; /* of them */
	uint32_t open;	/* of its ranges: services of one span may overlap */
	uint32_t place; /* among those that are open */
	uint32_t seen;	/* the last interval of several joined ones that it was noted for */
};

enum { FW_BY_SRC, FW_BY_DST, FW_BY_SERVICE, FW_BYS };

struct fw_classes {
	struct fw_class *class;
	uint32_t n, room;
	uint32_t *of;	/* by a span's first: its class, counted from 1 */
	uint32_t *next; /* of each rule, counted from 1: the one before it in its class, or 0 */
};

/* A matcher that is being made (build.c). */
struct fw_build {
	struct fw_matcher *matcher;
	enum fw_list list;
	enum {
		FW_BUILD_CLASSES,
		FW_BUILD_EVENTS,
		FW_BUILD_SORT,
		FW_BUILD_COUNT,
		FW_BUILD_FILL,
		FW_BUILD_LEVELS,
		FW_BUILD_SHED,
		FW_BUILD_READY
	} step;
	bool failed;   /* no memory */
	uint32_t next; /* rule, class or event */
	struct fw_classes by[FW_BYS];
	struct fw_events events;
	uint32_t dimension, range; /* range: of class `next` */
	struct fw_event *sorted;   /* what this pass of the sort has made */
	uint32_t run, left, right; /* events in a run; the next of the two that are merged */
	/* of the sets of this dimension */
	uint32_t edges, join,
		inside;		/* join: how many intervals make one; inside: how many are in the last one */
	uint32_t *open, open_n; /* classes that are open */
	uint32_t *seen,
		seen_n;	  /* with join: those that were open somewhere in the last interval, each once */
	uint64_t sign[2]; /* of the classes that are open */
	uint64_t work;	  /* rules that were entered in sets */
	uint64_t *now;	  /* bits and words of the set that is being made */
	uint32_t room_sets;
	uint64_t sets_n; /* words of sets */
	struct fw_sign {
		uint64_t sign[2];
		uint32_t at;   /* in the sets */
		uint32_t next; /* set with the same hash, counted from 1 */
	} *signs;
	uint32_t *bucket, bucket_mask;
	struct shed shed; /* what a dimension needed while it was made */
};

/* build.c */
bool fw_build_begin(
	struct fw_build *b, uint32_t first, uint32_t count, enum fw_list list); /* false: no memory */
/* Goes on, and takes what it does from the budget. True: it is ready; false: not yet, or b->failed. */
bool fw_build_go(struct fw_build *b, const struct snapshot *s, uint32_t *budget);
struct fw_matcher *fw_build_take(struct fw_build *b); /* of one that is ready */
void fw_build_done(struct fw_build *b);

/* matcher.c */
void fw_matcher_free(struct fw_matcher *m);
/* What is large of it; the matcher finds nothing any more, and can be freed at once. */
void fw_matcher_shed(struct fw_matcher *m, struct shed *shed);
uint32_t fw_matcher_rule(const struct fw_matcher *m, const struct snapshot *s, const struct fw_tuple *t,
	uint32_t *ret_timeout_s);
/* Fetches into the cache what fw_matcher_rule() will read for these packets, all of them at a time; decides nothing. The matcher
 * has dimensions. ret_fetched: of each packet the rule that will be compared first, or FW_NONE. */
void fw_matcher_fetch(const struct fw_matcher *m, const struct snapshot *s, const struct fw_tuple *t,
	uint32_t n, struct fw_fetched *ret_fetched);
/* As fw_matcher_rule(), of a packet for which that was called; if it is another one now, nothing of it is used. */
uint32_t fw_matcher_rule_fetched(const struct fw_matcher *m, const struct snapshot *s,
	const struct fw_tuple *t, const struct fw_fetched *f, uint32_t *ret_timeout_s);
uint32_t fw_matcher_nat(const struct fw_matcher *m, const struct snapshot *s, const struct fw_tuple *t);

#endif
