/* The index of the session table, and how sessions of former processes become this one's: a part of internal.h. */
#ifndef FIREWALL_ADOPT_H
#define FIREWALL_ADOPT_H

#include "firewall/firewall.h"
#include "firewall/limits.h"

/* An index that a former process left. Nothing in it is believed. */
struct fw_old {
	uint32_t place; /* which one of the memory's */
	const uint32_t *bucket, *chain;
	uint8_t hash_key[16];
};

/* Of the sessions of former processes (adopt.c). */
enum fw_adopt_phase {
	FW_ADOPT_NONE,
	FW_ADOPT_RECORDS,
	FW_ADOPT_BINDINGS, /* sessions that have not found theirs */
	FW_ADOPT_RELEASE,  /* bindings are held no longer */
	FW_ADOPT_CLEAN	   /* the old indexes are given back */
};
struct fw_adopt {
	enum fw_adopt_phase phase;
	uint32_t end,
		cursor; /* records that former processes left; those below the cursor are known. end 0: all are */
	uint64_t *known; /* a bit for each of the others */
	uint32_t hinted; /* `end` for other workers, until all that is away is announced to them */
	uint32_t passed; /* what `end` was */
	uint32_t epoch;	 /* of the header as it was found: no record of a former process has a later one */
	mono_ns now;	 /* of the last piece */
	struct fw_old old[FW_INDEXES];
	uint32_t olds_n, cleaned_n;
	size_t cleaned; /* octets of the next one */
	/* Of the new one's room: a bit for each page of buckets that is to be cleared, stale_n of them, none below
	 * stale_next. */
	uint64_t *stale;
	uint32_t stale_n, stale_next;
	bool gaps;   /* an index was given up: some records are found by the walk alone */
	bool others; /* other workers have not adopted all of theirs */
};

/* index.c */
/* for tests: of each; they damage it. */
size_t fw_index_bytes(uint32_t sessions_max);
size_t fw_index_at(
	uint32_t sessions_max, uint32_t k); /* where the k-th one stands in the memory; FW_INDEXES: its end */
/* Of what this process knows; fw_session_find() is of all. */
uint32_t fw_index_find(
	const struct firewall *fw, const struct fw_key *k, uint64_t hash, uint32_t *ret_direction);
void fw_session_prefetch(const struct firewall *fw, uint64_t hash); /* the record that it would find */
void fw_index_prefetch(const struct firewall *fw, uint32_t index);  /* before it is removed */
void fw_index_add(struct firewall *fw, uint32_t index);		    /* both keys of a live record */
void fw_index_remove(struct firewall *fw, uint32_t index);
/* Octets that are zero; NULL: out of memory. */
void *fw_table_new(const struct firewall *fw, size_t n);
void fw_table_free(const struct firewall *fw, void *table, size_t n);
/* An empty one, for all records that fit the memory. is_zero: the memory is. False: out of memory. */
bool fw_index_begin(struct firewall *fw, bool is_zero);
/* A piece of its room is cleared; *budget: what is left of it. True: that was the last. */
bool fw_index_clear(struct firewall *fw, uint32_t *budget);
/* A record with this key, by the indexes of former processes, that is not known; FW_NONE: none. It may be unsound. */
uint32_t fw_index_find_old(const struct firewall *fw, const struct fw_key *k);
/* May former processes have had a session with this key? One in some hundred keys that they had not is taken for one.
 * On any thread: reads no record. */
bool fw_index_hint(const struct firewall *fw, const struct fw_key *k);
bool fw_index_clean(struct firewall *fw); /* a piece of what they left. True: that was the last */

/* sound.c */
/* A record of a former process. */
bool fw_record_sound(const struct firewall *fw, const struct fw_session *s);

/* adopt.c */
bool fw_adopt_begin(struct firewall *fw, bool zero, mono_ns now); /* false: out of memory */
/* One piece; *budget: what is left of it. True: all are adopted. */
bool fw_adopt(struct firewall *fw, mono_ns now, uint32_t *budget);
void fw_adopt_all(struct firewall *fw);
void fw_adopt_at(struct firewall *fw, uint32_t index); /* this one, if it is not known and sound */
/* The session with this key. Its record may have been adopted just now. FW_NONE: none. */
uint32_t fw_session_find(struct firewall *fw, const struct fw_key *k, uint64_t hash, uint32_t *ret_direction);
/* The worker that may have a session with this key that it has not announced; FW_NONE: no other one. */
uint32_t fw_adopted_elsewhere(const struct firewall *fw, const struct fw_key *k);
/* The binding that a translated session uses, or would use when it is answered; FW_NONE: none. */
uint32_t fw_binding_of_session(struct firewall *fw, const struct fw_session *s);
/* The block that has this translated address and port, of this worker's hosts; FW_NONE: none. */
uint32_t fw_block_at(struct firewall *fw, const struct ip_addr *addr, uint16_t port);
/* The block in which a session with these keys is translated, whichever side began it; FW_NONE: none. */
uint32_t fw_block_of_keys(struct firewall *fw, const struct fw_key key[2]);
/* As fw_session_new(); in a table without a free place, some records are looked at for one. */
uint32_t fw_record_new(struct firewall *fw, const struct fw_key key[2], mono_ns now);

#endif
