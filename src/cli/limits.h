/* Limits of the program, each with its reason. Private to src/cli; those of commands are in commands.h. */
#ifndef CLI_LIMITS_H
#define CLI_LIMITS_H

/* ---- files ---- */

/* One file of a ledger or an archive; the largest is a journal that could not be published for long. */
#define CLI_FILE_BYTES_MAX	(256u << 20)
/* An evidence bundle: it is made and read in memory. */
#define CLI_BUNDLE_BYTES_MAX	(2ull << 30)
/* A capture: it is read in memory. */
#define CLI_CAPTURE_BYTES_MAX	(1u << 30)
/* Signatures beside a release, one file of them (an armour of SSHSIG), what is read of a file at a time, and what is printed. */
#define CLI_SIGNATURES_MAX	128
#define CLI_SIGNATURE_BYTES_MAX 8192
#define CLI_PIECE_BYTES		65536
#define CLI_REPORT_BYTES_MAX	16384
/* A path within a ledger's directory; directories below it, of which a tile's path has at most ten. */
#define CLI_PATH_BYTES_MAX	128
#define CLI_DEPTH_MAX		12
/* Before a ledger that is written to is read again: a publication is over by then. */
#define CLI_PAUSE_MS		50
/* Attempts to make a bundle of a ledger that is written to meanwhile. */
#define CLI_TRIES_MAX		6

/* ---- web servers ---- */

#define CLI_URL_BYTES_MAX 2048
#define CLI_CONNECT_S	  10L
/* An answer may take half a minute, and a second more for each 1,024 octets: a server that sends more
 * slowly, or nothing, must not hold up the verification. */
#define CLI_ANSWER_S	  30
#define CLI_OCTETS_S_MIN  1024
/* Failed answers of a server after which no more requests are sent; a failure of the network counts for
 * all. */
#define CLI_FAILURES_MAX  16
#define CLI_URL_PAUSE_MS  200

/* ---- the command line and who gave it ---- */

/* Captures of one `replay`. */
#define CLI_CAPTURES_MAX  256
/* Words beside options: the longest command has two, and arguments. */
#define CLI_WORDS_MAX	  (CLI_CAPTURES_MAX + 2)
/* Processes between this one and the sshd that holds the administrator's connection. */
#define AGENT_KEYS_MAX	  65536 /* octets of the public keys of an ssh-agent */
#define CLI_ANCESTORS_MAX 64

/* ---- replay ---- */

#define REPLAY_ROUTES_BYTES_MAX (256u << 20) /* a full table of both families is about 100 MB of text */
#define REPLAY_COUNTS_MAX	160	     /* verdicts and reasons of drops: more than there are */
#define REPLAY_INTERFACES_MAX	1024	     /* of the capture that is written */
#define REPLAY_ROW_MAX		8192
#define REPLAY_NAME_MAX		4097 /* a path, with what is not printable written out */

/* ---- capture ---- */

#define CLIENT_WATCH_MS                                                                                      \
	20 /* at 10 Gbit/s a ring of 4 MB is full in 3 ms: what is more than that is lost, and counted */
#define CAPTURE_INTERFACES_MAX 512
#define CAPTURE_PATH_MAX       4200
#define CAPTURE_FILES_MAX      1000

#endif
