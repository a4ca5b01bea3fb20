/*
 * Proofs that travel: the .tlog-proof file (C2SP tlog-proof), and where the hashes for a proof come from.
 *
 *   c2sp.org/tlog-proof@v1
 *   extra <base64>                 optional; opaque, not authenticated
 *   index <decimal>
 *   <base64 of a hash>             from the leaf's sibling up to the root's child
 *   <empty line>
 *   <the checkpoint, a signed note, to the end of the file>
 *
 * merkle/tree.h makes proofs from the roots of perfect subtrees; the two sources of such roots are here: a
 * list of leaf hashes, and the tiles of a log, however they are reached. Pure.
 * No process of a gateway reads or makes such a file: `plaingate verify release` reads them (src/release); they are made for foreign readers
 * (tests/foreign) and by tools/release. Callers: those, tests, fuzzers. Any thread.
 */
#ifndef MERKLE_PROOF_H
#define MERKLE_PROOF_H

#include "merkle/policy.h"
#include "merkle/tile.h"

#define TLOG_PROOF_EXTRA_MAX 4096 /* bytes of extra data, decoded */
/* Of a whole file: the lines before the note, 64 hashes among them, and the note. */
#define TLOG_PROOF_BYTES_MAX (BASE64_SIZE(TLOG_PROOF_EXTRA_MAX) + 64 * 45 + 128 + NOTE_BYTES_MAX)

struct tlog_proof {
	size_t extra_n; /* 0: the line is not there */
	uint8_t extra[TLOG_PROOF_EXTRA_MAX];
	uint64_t index;
	struct merkle_proof path;
	const char *note; /* a view into the bytes that were read */
	size_t note_n;
};

/* Strict. RC_OK; RC_MALFORMED or RC_LIMIT with the line, found and expected. The note is not looked at
 * yet. */
enum rc tlog_proof_parse(struct tlog_proof *ret_proof, const void *bytes, size_t n, struct err *e);

/* Only for tests. Returns the length of the file, 0: does not fit. */
size_t tlog_proof_text(const struct tlog_proof *p, char *ret_text, size_t max);

struct tlog_proof_verdict {
	struct checkpoint checkpoint; /* extension lines are allowed: it may be anyone's log */
	struct policy_verdict policy;
};

/*
 * Is the entry with this leaf hash in the log, as the policy requires? RC_OK: the note is signed by a log of
 * the policy, which must have one, a quorum cosigned it, and the path leads from the leaf to its root.
 * RC_RANGE: the index is not below the size. RC_AUTH, RC_MALFORMED: the text says what is wrong.
 */
enum rc tlog_proof_check(const struct tlog_proof *p, const struct merkle_hash *leaf,
	const struct policy *policy, struct tlog_proof_verdict *ret_verdict, struct err *e);

/* Only for tests: a source of subtrees over a list of leaf hashes; merkle_leaves_subtree is a merkle_subtree_fn of
 * this. */
struct merkle_leaves {
	const struct merkle_hash *leaf;
	uint64_t n;
};
bool merkle_leaves_subtree(void *context, unsigned level, uint64_t index, struct merkle_hash *ret_hash);

/*
 * Only for tests: a source of subtrees over tiles: tile_source_subtree is a merkle_subtree_fn of this. `size` is the size of
 * the log whose tiles are asked for: full ones, and the partial ones of exactly this size. `read` gets the
 * hashes of tile n of a level, `width` of them; false: not there, and the proof ends with RC_NOT_FOUND. The
 * last tile is kept, because neighbouring hashes of a proof often share one. Begin with { size, read, context
 * }.
 */
struct tile_source {
	uint64_t size;
	bool (*read)(
		void *context, uint32_t level, uint64_t n, uint32_t width, struct merkle_hash *ret_hashes);
	void *context;
	/* the last tile; width 0: none */
	uint32_t level, width;
	uint64_t n;
	struct merkle_hash hash[TILE_WIDTH];
};
bool tile_source_subtree(void *context, unsigned level, uint64_t index, struct merkle_hash *ret_hash);

#endif
