/*
 * A release of Plaingate, and what a stranger can check of it without a network: that these files are the ones that the project's public log
 * has as release number N, that witnesses have seen that log, and that enough maintainers and rebuilders have signed.
 *
 *   release.json            what the release is: canonical JSON (base/json.h) and a line feed, written by tools/release
 *   release.tlog-proof      the place of these octets in the log, with a cosigned checkpoint (merkle/proof.h); the entry is release.json itself
 *   signatures/NAME.sig     `ssh-keygen -Y sign -n plaingate-release` over release.json, of a maintainer
 *   rebuilds/NAME.sig       `ssh-keygen -Y sign -n plaingate-rebuild` over release.json, of somebody who built it again and got the same octets
 *   the files that release.json names
 *
 * Who is trusted is said by whoever verifies, in two files of theirs: a policy (C2SP tlog-policy: the log and the witnesses), and the signers.
 * Pure: texts in, verdict out; digests of files are the caller's to compute. Callers: src/cli, tests, fuzzers. Any thread.
 */
#ifndef RELEASE_RELEASE_H
#define RELEASE_RELEASE_H

#include "admin/ssh_key.h"
#include "merkle/proof.h"

#define RELEASE_TEXT_MAX	  65535 /* octets of release.json: an entry of a log (C2SP tlog-tiles) */
#define RELEASE_FILES_MAX	  32
#define RELEASE_PROGRAMS_MAX	  64
#define RELEASE_NAME_MAX	  128 /* with the terminator */
#define RELEASE_NUMBER_MAX	  1000000000
#define RELEASE_SIGNERS_MAX	  64
#define RELEASE_SIGNERS_BYTES_MAX (256 * 1024)

/* Namespaces of the signatures. */
#define RELEASE_NAMESPACE_MAINTAINER "plaingate-release"
#define RELEASE_NAMESPACE_REBUILDER  "plaingate-rebuild"

struct release_file {
	char name[RELEASE_NAME_MAX];
	uint64_t bytes; /* of a file of the release; 0 of an installed program */
	uint8_t sha256[SHA256_SIZE];
};

struct release {
	uint64_t number;	     /* rises with each release, from 1 */
	uint64_t down_to;	     /* the least number that one may go back to from this one: 1 to number */
	char version[32];	     /* for people */
	char commit[65];	     /* of the source, in hex */
	uint8_t source[SHA256_SIZE]; /* of the source as one tar file (git archive) */
	size_t files_n, programs_n;
	struct release_file file[RELEASE_FILES_MAX]; /* beside release.json, by their names */
	struct release_file program
		[RELEASE_PROGRAMS_MAX]; /* executables, by the paths at which the packages install them */
};

/*
 * Strict: exactly these members in this order, names of files without a slash and in ascending order, nothing behind the line feed. RC_OK;
 * RC_MALFORMED with where it is not of this form; RC_LIMIT.
 */
enum rc release_parse(struct release *ret_release, const char *text, size_t n, struct err *e);

/* Whose signature it takes. The same person may not be both: a rebuilder is somebody else. */
enum release_role { RELEASE_MAINTAINER, RELEASE_REBUILDER, RELEASE_ROLE_COUNT };

struct release_signer {
	uint8_t role; /* enum release_role */
	char name[64];
	struct ssh_key key;
};

struct release_signers {
	uint32_t needed
		[RELEASE_ROLE_COUNT]; /* signatures; 1 or more of maintainers, 0 or more of rebuilders */
	size_t n;
	struct release_signer signer[RELEASE_SIGNERS_MAX];
};

/*
 * Lines: `maintainers N`, `rebuilders N`, `maintainer NAME KEY`, `rebuilder NAME KEY`; '#' begins a line of comment. One name and one key stands once
 * in the file. RC_OK; RC_MALFORMED, RC_EXISTS, RC_RANGE (more are needed than there are), RC_LIMIT: the text names the line.
 */
enum rc release_signers_parse(struct release_signers *ret_signers, const char *text, size_t n, struct err *e);

/* What can be wrong with a release, in the order in which it is looked for. */
/* clang-format off */
#define RELEASE_CLASSES(C)	/* id, name */		\
	C(NONE,        "none")				\
	C(DESCRIPTION, "description")			\
	C(PROOF,       "proof")				\
	C(SIGNATURE,   "signature")			\
	C(MAINTAINERS, "maintainers")			\
	C(REBUILDERS,  "rebuilders")			\
	C(NUMBER,      "number")			\
	C(FILES,       "files")
/* clang-format on */

enum release_class {
#define E(id, name) RELEASE_##id,
	RELEASE_CLASSES(E) RELEASE_CLASS_COUNT
#undef E
};

const char *release_class_name(enum release_class class);

/* One file under signatures/ or rebuilds/. */
struct release_signature {
	enum release_role role;
	const char *name; /* of the file, for messages */
	const char *armor;
	size_t n;
};

struct release_verdict {
	enum release_class class; /* RELEASE_NONE: nothing is wrong */
	uint64_t signed_by;	  /* bit per signer */
	uint32_t have[RELEASE_ROLE_COUNT];
	uint32_t strangers; /* signatures by keys that the signers do not have, which count for nothing */
	struct tlog_proof_verdict log;
};

/*
 * Judges the description, its place in the log and the signatures. above: the number of the release that one has; 0: none. RC_OK, or RC_AUTH,
 * RC_MALFORMED, RC_RANGE with the first thing that is wrong in e and its class in the verdict.
 * A signature file whose signature is wrong refuses the release, also where enough others are right: somebody changed something.
 */
enum rc release_judge(struct release *ret_release, const char *text, size_t n, const void *proof,
	size_t proof_n, const struct release_signature *signatures, size_t signatures_n,
	const struct policy *policy, const struct release_signers *signers, uint64_t above,
	struct release_verdict *ret_verdict, struct err *e);

#endif
