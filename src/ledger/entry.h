/*
 * One entry as a line of canonical JSON; ledger/types.h has the shape. Pure. Callers: proc/ledger,
 * src/verify.
 */
#ifndef LEDGER_ENTRY_H
#define LEDGER_ENTRY_H

#include "base/clock.h"
#include "ledger/types.h"

#define LEDGER_BOOT_SIZE  16
#define LEDGER_SOURCE_MAX 24

struct ledger_entry {
	enum ledger_type type;
	char source[LEDGER_SOURCE_MAX];
	uint32_t run;	  /* starts of the source before this one, in this boot */
	uint64_t n;	  /* the source's counter, from 1 in each run */
	uint64_t mono_us; /* CLOCK_MONOTONIC */
	uint8_t boot[LEDGER_BOOT_SIZE];
	char utc[UTC_TEXT_MAX];
	utc_us utc_us;	  /* the same; set by ledger_entry_parse() */
	const char *body; /* borrowed */
	size_t body_n;
};

/* Writes the line, without LF. Returns its length, 0: does not fit LEDGER_ENTRY_MAX. */
size_t ledger_entry_text(char ret_text[LEDGER_ENTRY_MAX], const struct ledger_entry *entry);

/* Strict: canonical, known type, a source that may write it, exactly its fields. RC_UNSUPPORTED: canonical,
 * but of a type (then LEDGER_TYPE_COUNT) or with a field of a newer version; *ret_entry is filled all the
 * same. */
enum rc ledger_entry_parse(struct ledger_entry *ret_entry, const char *text, size_t n, struct err *e);

/* A field of the body: its text between the quotes or its digits, as it stands. NULL: no such field. */
const char *ledger_entry_field(const struct ledger_entry *entry, const char *key, size_t *ret_n);
/* A field of n octets in hexadecimal digits, n up to LEDGER_HEX_MAX. False: it is not that. */
#define LEDGER_HEX_MAX 96
bool ledger_entry_hex(const struct ledger_entry *entry, const char *key, void *ret_octets, size_t n);
/* A NUMBER field; 0 when there is none. */
uint64_t ledger_entry_number(const struct ledger_entry *entry, const char *key);

#endif
