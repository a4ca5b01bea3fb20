/* FNV-1a over a text, for tables that live as long as a text is read: who writes it has no reason to make that slow. Private to the room. */
#ifndef MODEL_TEXT_HASH_H
#define MODEL_TEXT_HASH_H

#include <stddef.h>
#include <stdint.h>

/* kind: equal texts of two kinds are two keys. */
static inline size_t text_hash(uint64_t kind, const char *text, size_t n)
{
	uint64_t hash = 0xcbf29ce484222325u + kind;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
	return (size_t)(hash ^ hash >> 32);
}

#endif
