/*
 * Compile-time proof that no body of the message table has padding: bytes that are never written would carry old
 * stack or heap content, keys among it, from one process to another. GCC's -Wpadded looks at every struct in
 * the headers below; here it is an error. The headers above it are not messages and may be padded.
 */
#include "base/addr.h"
#include "base/clock.h"
#include "model/algorithms.h"

#pragma GCC diagnostic error "-Wpadded"

#include "ipc/messages.h"

/* A body is copied as it is: its size is the same on both ends because both are built from this table. */
#define E(id, from, to, body, files)                                                                         \
	_Static_assert(                                                                                      \
		sizeof(body) % 4 == 0 && (files) <= 1, #id ": bodies are whole words, at most one file");
IPC_MESSAGES(E)
#undef E
