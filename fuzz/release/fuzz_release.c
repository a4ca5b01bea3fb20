/*
 * A release.json of a stranger. One that is read is written again from what was understood, and is the same octets: nothing in it is passed over.
 */
#include "base/json.h"
#include "must.h"
#include "release/release.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void files(struct jw *w, const char *key, const struct release_file *file, size_t n, bool program)
{
	jw_array(w, key);
	for (size_t i = 0; i < n; i++) {
		jw_object(w, NULL);
		if (!program)
			jw_u64(w, "bytes", file[i].bytes);
		jw_str(w, "name", file[i].name);
		jw_hex(w, "sha256", file[i].sha256, SHA256_SIZE);
		jw_end(w);
		MUST(program == (strchr(file[i].name, '/') != NULL));
	}
	jw_end(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct release r;
	static char again[RELEASE_TEXT_MAX + 2];
	struct err e = { 0 };

	if (release_parse(&r, (const char *)data, n, &e) != RC_OK) {
		MUST(e.text[0]);
		return 0;
	}
	struct jw w = jw_over(again, sizeof again, true);
	jw_object(&w, NULL);
	jw_str(&w, "commit", r.commit);
	jw_u64(&w, "down_to", r.down_to);
	files(&w, "files", r.file, r.files_n, false);
	jw_str(&w, "format", "plaingate-release v1");
	jw_u64(&w, "number", r.number);
	files(&w, "programs", r.program, r.programs_n, true);
	jw_hex(&w, "source", r.source, SHA256_SIZE);
	jw_str(&w, "version", r.version);
	jw_end(&w);
	size_t again_n = jw_done(&w);
	MUST(again_n + 1 == n && memcmp(again, data, again_n) == 0 && data[n - 1] == '\n');
	return 0;
}
