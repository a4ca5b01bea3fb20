#include "admin/speaker.h"

#include <stdio.h>
#include <string.h>

static struct speaker speaks_as(enum speaker_kind kind, const struct administrator *one, uint32_t uid)
{
	struct speaker s = { .kind = kind, .uid = uid, .role = one->role };

	snprintf(s.name, sizeof s.name, "%s", one->name);
	return s;
}

struct speaker speaker_of(const struct administrators *a, const struct ssh_uids *ssh, uint32_t uid)
{
	const char *by_ssh = ssh ? ssh_uid_name(ssh, uid) : NULL;
	const struct administrator *one = by_ssh ? administrator_named(a, by_ssh) : NULL;

	if (uid == 0)
		return (struct speaker){ .kind = SPEAKER_ROOT, .role = ROLE_ROOT, .name = "root" };
	if (one)
		return speaks_as(SPEAKER_SSH, one, uid);
	if (ssh_uid_is_ours(uid))
		return (struct speaker){ .kind = SPEAKER_STRANGER, .uid = uid, .role = ROLE_NONE };
	for (uint32_t i = 0; a && i < a->n; i++)
		if (a->at[i].uid == uid)
			return speaks_as(SPEAKER_LOCAL, &a->at[i], uid);
	return (struct speaker){ .kind = SPEAKER_STRANGER, .uid = uid, .role = ROLE_READ_ONLY };
}

char *speaker_text(char ret_text[SPEAKER_TEXT_MAX], const struct speaker *s)
{
	static const char *const from[] = {
		[SPEAKER_ROOT] = "console", [SPEAKER_LOCAL] = "local", [SPEAKER_SSH] = "ssh"
	};

	if (s->kind == SPEAKER_STRANGER)
		snprintf(ret_text, SPEAKER_TEXT_MAX, "uid %u", s->uid);
	else
		snprintf(ret_text, SPEAKER_TEXT_MAX, "%s (%s)", s->name, from[s->kind]);
	return ret_text;
}

bool speakers_are_one(const char *a, const char *b)
{
	const char *a_end = strstr(a, " ("), *b_end = strstr(b, " (");
	size_t a_n = a_end ? (size_t)(a_end - a) : strlen(a), b_n = b_end ? (size_t)(b_end - b) : strlen(b);

	return a_n == b_n && memcmp(a, b, a_n) == 0;
}
