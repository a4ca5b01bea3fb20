/*
 * Cosignatures v1 with Ed25519 (C2SP tlog-cosignature 1.0, type 04): a witness states that, as of a time,
 * this checkpoint is the largest consistent tree of its log that it has seen. What is signed:
 *
 *   cosignature/v1
 *   time <decimal seconds since 1970>
 *   <the whole text of the checkpoint>
 *
 * In a note it is one more signature line, whose blob is key id (4) || time (8, big-endian) || signature
 * (64). The name of the witness is not signed: one key, one witness. Pure: the time comes from the caller.
 * Callers: src/witness, src/proc/{ledger,witness}, src/verify, merkle/policy.c. Any thread.
 */
#ifndef MERKLE_COSIGN_H
#define MERKLE_COSIGN_H

#include "merkle/note.h"

#define COSIGN_TIME_MAX	   INT64_MAX		 /* seconds: the specification's limit */
#define COSIGN_LINE_MAX	   (NOTE_NAME_MAX + 112) /* a signature line with its terminator */
#define COSIGN_SECRET_SIZE (NOTE_NAME_MAX + 80)

/*
 * Writes the line "— name base64" with its LF, and a terminator, into ret_line. text: a checkpoint's, with
 * its final LF. Returns the length; 0: the key is of another type, the time is above COSIGN_TIME_MAX, the
 * text is larger than NOTE_BYTES_MAX, or it does not fit.
 */
size_t cosign_line(char *ret_line, size_t max, const char *text, size_t text_n, const struct note_key *key,
	const uint8_t seed[ED25519_SEED_SIZE], uint64_t time_s);

/*
 * As note_verify(), for a witness's key: RC_OK: cosigned, and *ret_time_s is the time, of several lines the
 * latest. RC_NOT_FOUND: no line of this key. RC_AUTH: a line of this key is wrong. ret_time_s may be NULL; it
 * is 0 unless RC_OK.
 */
enum rc cosign_verify(const struct note *n, const struct note_key *key, uint64_t *ret_time_s, struct err *e);

/*
 * A witness's private key as one line: "PRIVATE+KEY+name+hex8(key id)+base64(04 || seed)", the form that
 * signed-note tools use. The id must belong to the key. A final LF is taken; nothing may follow it.
 */
enum rc cosign_secret_parse(struct note_key *ret_key, uint8_t ret_seed[ED25519_SEED_SIZE], const char *text,
	size_t n, struct err *e);
/* ret_text holds COSIGN_SECRET_SIZE; no LF. The key follows from name and seed. RC_MALFORMED: the name. */
enum rc cosign_secret_text(char *ret_text, const char *name, const uint8_t seed[ED25519_SEED_SIZE]);

#endif
