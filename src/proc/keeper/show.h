/*
 * `show keys`: names, kinds and the fingerprint of the public part. A pre-shared key has none, and no
 * fingerprint is shown: with a hash of it anyone could guess passwords.
 */
#ifndef PROC_KEEPER_SHOW_H
#define PROC_KEEPER_SHOW_H

#include "ipc/link.h"
#include "proc/keeper/keydir.h"

#define SHOW_ROW_TEXT 1024

/* for tests: one row as JSON; false after the last. The refused files follow the keys. */
bool show_keys_row(char ret_text[SHOW_ROW_TEXT], size_t *ret_n, const struct keys *keys,
	const struct keydir *d, size_t i);

void show_keys_answer(struct ipc_link *control, uint64_t tag, const struct msg_show *q,
	const struct keys *keys, const struct keydir *d);

/* Log each pre-shared key that is short, and each peer whose key is missing. */
void show_warn_short_keys(const struct keys *keys);
void show_warn_missing_keys(const struct keys *keys, const struct snapshot *s);

#endif
