/* Files of a ledger from its source: how long each may be, and what could not be read is noted. */
#include "base/bytes.h"
#include "ledger/journal.h"
#include "verify/evidence.h"
#include "verify/internal.h"

enum rc report_read_result(struct walk *w, const char *path, enum rc rc)
{
	if (rc == RC_OK || rc == RC_NOT_FOUND)
		return rc;
	if (rc != RC_MALFORMED)
		return report_unread(w, path);
	report_finding(&w->file, VERIFY_FILE,
		"%s is a link or not a regular file: a ledger contains regular files only", path);
	return RC_IO;
}

enum rc walk_file_read(struct walk *w, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	*ret_bytes = NULL;
	*ret_n = 0;
	return report_read_result(w, path, w->source->read(w->source->context, path, ret_bytes, ret_n));
}

size_t verify_file_max(const char *path)
{
	static const struct {
		const char *path;
		size_t max;
	} rows[] = {
		{ LEDGER_PATH_VKEY, 4096 },
		{ LEDGER_PATH_CHECKPOINT, NOTE_FOREIGN_BYTES_MAX },
		{ LEDGER_PATH_COSIGNED, NOTE_FOREIGN_BYTES_MAX },
		{ LEDGER_PATH_ARCHIVED, 4096 },
		{ LEDGER_PATH_JOURNAL, JOURNAL_BYTES_MAX + JOURNAL_RECORD_MAX },
		{ EVIDENCE_PATH_RANGE, 4096 },
		{ EVIDENCE_PATH_TIMELINE, EVIDENCE_TIMELINE_MAX },
	};
	const char *before = LEDGER_PATH_BEFORE "/", *end;
	uint8_t hash[SHA256_SIZE];
	uint32_t level, width;
	uint64_t n;

	/* A log that ended has the files of a log. */
	if (strncmp(path, before, strlen(before)) == 0 && (end = strchr(path + strlen(before), '/')))
		path = end + 1;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (strcmp(path, rows[i].path) == 0)
			return rows[i].max;
	if (tile_path_parse(path, &level, &n, &width))
		return level == TILE_LEVEL_ENTRIES ? TILE_WIDTH * (2 + LEDGER_ENTRY_MAX)
						   : TILE_WIDTH * sizeof(struct merkle_hash);
	if (evidence_config_path_parse(path, hash))
		return EVIDENCE_CONFIG_MAX;
	return 1u << 20; /* one-time keys, seals, what a bundle tells its reader */
}
