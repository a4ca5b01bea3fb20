#include "merkle_fixture.h"
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

const char *vectors_path(const char *folder, const char *path)
{
	static char text[1024];
	const char *shared = getenv("PLAINGATE_SHARED");

	snprintf(text, sizeof text, "%s/vectors/%s/%s", shared ? shared : "../shared", folder, path);
	return text;
}

bool vectors_present(const char *folder)
{
	if (access(vectors_path(folder, ""), R_OK) == 0)
		return true;
	printf("%s is not there\n", vectors_path(folder, ""));
	return false;
}

char *file_read(const char *path, size_t *ret_n)
{
	FILE *f = fopen(path, "rb");
	char *bytes = NULL;
	size_t n = 0, room = 0, got;

	if (!f)
		fail_msg("cannot open %s", path);
	do {
		room += 65536;
		bytes = realloc(bytes, room + 1);
		assert_non_null(bytes);
		got = fread(bytes + n, 1, room - n, f);
		n += got;
	} while (n == room);
	fclose(f);
	bytes[n] = '\0';
	*ret_n = n;
	return bytes;
}

struct merkle_hash naive_leaf(uint64_t i)
{
	uint8_t bytes[4];

	store_be32(bytes, (uint32_t)i);
	return merkle_leaf(bytes, sizeof bytes);
}

struct merkle_hash naive_root(uint64_t first, uint64_t n)
{
	uint64_t k = 1;

	if (n == 0)
		return merkle_empty();
	if (n == 1)
		return naive_leaf(first);
	while (k * 2 < n)
		k *= 2;
	struct merkle_hash left = naive_root(first, k), right = naive_root(first + k, n - k);
	return merkle_node(&left, &right);
}

bool naive_subtree(void *context, unsigned level, uint64_t index, struct merkle_hash *ret_hash)
{
	const uint64_t *size = context;

	if ((index + 1) << level > *size)
		return false;
	*ret_hash = naive_root(index << level, 1ull << level);
	return true;
}
