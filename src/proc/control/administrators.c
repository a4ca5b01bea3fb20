/*
 * `show system administrators`.
 */
#include "admin/ssh_key.h"
#include "base/json.h"
#include "proc/control/control.h"
#include "proc/control/limits.h"

#include <stdio.h>
#include <string.h>

static const char *fingerprints(char ret_text[FINGERPRINTS_MAX], const struct administrator *one)
{
	char print[SSH_FINGERPRINT_SIZE];
	struct ssh_key key;
	size_t n = 0;

	_Static_assert(FINGERPRINTS_MAX >= ADMIN_KEYS_MAX * (SSH_FINGERPRINT_SIZE + 1), "all have room");
	ret_text[0] = '\0';
	for (uint32_t i = 0; i < one->keys.n; i++)
		if (ssh_key_parse(&key, one->keys.at[i], strlen(one->keys.at[i]), NULL, NULL, NULL) == RC_OK)
			n += (size_t)snprintf(ret_text + n, FINGERPRINTS_MAX - n, "%s%s", n ? " " : "",
				ssh_key_fingerprint(print, &key));
	return ret_text;
}

static void administrator_row(struct client *c, const struct administrator *one)
{
	struct msg_row row = { 0 };
	struct jw w = jw_over(row.json, sizeof row.json, false);
	char keys[FINGERPRINTS_MAX];

	jw_object(&w, NULL);
	jw_str(&w, "name", one->name);
	jw_str(&w, "role", role_word(c->control->running.administrators, one->role));
	if (one->uid)
		jw_u64(&w, "uid", one->uid);
	jw_str(&w, "keys", fingerprints(keys, one));
	jw_bool(&w, "self", strcmp(one->name, c->speaker.name) == 0);
	jw_end(&w);
	row.n = (uint32_t)jw_done(&w);
	if (row.n > 0)
		client_row(c, &row);
}

void administrators_show(struct client *c)
{
	const struct administrators *a = c->control->running.administrators;
	uint32_t limit = c->request.show.limit, rows = 0;

	for (; a && rows < a->n && (limit == 0 || rows < limit); rows++)
		administrator_row(c, &a->at[rows]);
	client_end(c, RC_OK, rows, "%s", "");
}
