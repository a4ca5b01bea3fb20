/*
 * The index of the session table by the keys of both directions: chained hashing. A link names a record and a
 * direction in its low bits, and has in its high ones a part of the key's hash, which the buckets do not use. So a
 * lookup reads of all records hardly any but its own: a record that is not in the cache costs as much as all the rest.
 *
 * Called on the worker's thread only.
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

static uint32_t *bucket_of(const struct firewall *fw, uint64_t hash)
{
	return &fw->bucket[hash & fw->bucket_mask];
}

uint32_t fw_session_find(
	const struct firewall *fw, const struct fw_key *k, uint64_t hash, uint32_t *ret_direction)
{
	for (uint32_t link = *bucket_of(fw, hash); link != 0; link = fw->chain[fw_link_entry(link)]) {
		uint32_t e = fw_link_entry(link);
		if (fw_link_fits(link, hash) && fw_key_equal(&fw->sessions[e >> 1].key[e & 1], k)) {
			*ret_direction = e & 1;
			return e >> 1;
		}
	}
	return FW_NONE;
}

void fw_session_prefetch(const struct firewall *fw, uint64_t hash)
{
	uint32_t link = *bucket_of(fw, hash);

	while (link != 0 && !fw_link_fits(link, hash))
		link = fw->chain[fw_link_entry(link)];
	if (link == 0)
		return;
	const uint8_t *s = (const uint8_t *)&fw->sessions[fw_link_entry(link) >> 1];
	for (size_t line = 0; line < sizeof(struct fw_session); line += 64)
		__builtin_prefetch(s + line, 1);
}

void fw_index_add(struct firewall *fw, uint32_t index)
{
	assert(index < fw->state->used && fw->sessions[index].live == FW_SESSION_LIVE);
	for (uint32_t d = 0; d < 2; d++) {
		uint64_t hash = fw_key_hash(fw, &fw->sessions[index].key[d]);
		uint32_t *head = bucket_of(fw, hash);
		fw->chain[2 * index + d] = *head;
		*head = fw_link(2 * index + d, hash);
	}
}

void fw_index_remove(struct firewall *fw, uint32_t index)
{
	for (uint32_t d = 0; d < 2; d++) {
		uint64_t hash = fw_key_hash(fw, &fw->sessions[index].key[d]);
		uint32_t *at = bucket_of(fw, hash), link = fw_link(2 * index + d, hash);
		while (*at != 0 && *at != link)
			at = &fw->chain[fw_link_entry(*at)];
		assert(*at != 0);
		*at = fw->chain[2 * index + d];
	}
}

/* Its size does not follow the sessions: a larger one would have to be filled with all of them at once. What is
 * not used is not touched and costs nothing. */
bool fw_index_new(struct firewall *fw)
{
	uint32_t buckets = 1024;

	assert(fw->limits.sessions_max <= FW_RECORDS_MAX);
	while (buckets < fw->limits.sessions_max)
		buckets *= 2;
	fw->bucket = calloc(buckets, sizeof *fw->bucket);
	fw->chain = malloc(sizeof *fw->chain * 2 * fw->limits.sessions_max);
	fw->bucket_mask = buckets - 1;
	return fw->bucket && fw->chain;
}

void fw_index_free(struct firewall *fw)
{
	free(fw->bucket);
	free(fw->chain);
}
