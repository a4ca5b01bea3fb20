/*
 * What `show system commit` knows: beside each text of the history stands who committed it, when and why, and where the ledger has it. The ledger is
 * what proves it; this is for people, and lost where the disk had no room.
 */
#include "base/json.h"
#include "proc/control/control.h"
#include "proc/control/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "GENERATION TIME ENTRY SHA256", LF, who, LF, and the comment; nobody: a configuration that came back by itself. */
void history_note(struct control *k, const struct commit *m, uint64_t entry)
{
	char text[COMMIT_BYTES_MAX], digits[65];
	int n = snprintf(text, sizeof text, "%llu %" PRIu64 " %" PRIu64 " %s\n%s\n%.*s\n",
		(unsigned long long)m->next.generation, (uint64_t)clock_utc(), entry,
		hex_from_bytes(digits, m->next.sha256, sizeof m->next.sha256), m->restores ? "" : m->who,
		(int)strnlen(m->comment, sizeof m->comment), m->comment);

	config_store_commit_write(k->config_dir, text, MIN_OF((size_t)n, sizeof text - 1));
}

struct noted {
	uint64_t generation, entry;
	utc_us time;
	char sha256[65];
	const char *admin, *comment;
};

/* Takes the text apart; false: it is none of ours. */
static bool noted_parse(struct noted *ret, char *text)
{
	char *line_end = strchr(text, '\n'), *admin_end = line_end ? strchr(line_end + 1, '\n') : NULL;
	unsigned long long generation, time, entry;

	if (!admin_end ||
		sscanf(text, "%llu %llu %llu %64[0-9a-f]", &generation, &time, &entry, ret->sha256) != 4)
		return false;
	ret->generation = generation;
	ret->time = time;
	ret->entry = entry;
	ret->admin = line_end + 1;
	*admin_end = '\0';
	ret->comment = admin_end + 1;
	admin_end[1 + strcspn(admin_end + 1, "\n")] = '\0';
	return true;
}

static void noted_json(struct jw *w, const struct noted *n)
{
	char time[UTC_TEXT_MAX];

	jw_u64(w, "generation", n->generation);
	jw_str(w, "time", utc_text(time, n->time));
	jw_str(w, "admin", n->admin);
	jw_str(w, "comment", n->comment);
	jw_u64(w, "entry", n->entry);
	jw_str(w, "sha256", n->sha256);
}

static void history_row(struct client *c, uint32_t n)
{
	struct msg_row row = { 0 };
	struct jw w = jw_over(row.json, sizeof row.json, false);
	struct noted noted;
	char *text = NULL;
	size_t text_n;
	bool known = config_store_commit_read(c->control->config_dir, n, &text, &text_n, NULL) == RC_OK &&
		     noted_parse(&noted, text);

	jw_object(&w, NULL);
	jw_u64(&w, "rollback", n);
	if (known)
		noted_json(&w, &noted);
	else
		jw_str(&w, "reason", "who committed it is not noted here: the ledger has it");
	jw_end(&w);
	row.n = (uint32_t)jw_done(&w);
	if (row.n > 0)
		client_row(c, &row);
	free(text);
}

void history_who(struct control *k, char ret_who[SPEAKER_TEXT_MAX])
{
	char *text = NULL;
	struct noted noted;
	size_t n;
	bool known = config_store_commit_read(k->config_dir, 0, &text, &n, NULL) == RC_OK &&
		     noted_parse(&noted, text) && noted.generation == k->running.generation;

	snprintf(ret_who, SPEAKER_TEXT_MAX, "%s", known ? noted.admin : "");
	free(text);
}

void history_show(struct client *c)
{
	uint32_t limit = c->request.show.limit, rows = 0;

	for (uint32_t n = 0; n <= ROLLBACKS_MAX && (limit == 0 || rows < limit); n++) {
		if (!config_store_has_history(c->control->config_dir, n))
			break;
		history_row(c, n);
		rows++;
	}
	client_end(c, RC_OK, rows, "%s", "");
}
