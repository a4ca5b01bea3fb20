#include "model/habits.h"

#include <string.h>

#include "base/bytes.h"

#define BRACES "statements are written in braces, as in: system { host-name hq; }"

static const struct {
	const char *word, *hint;
} habits[] = {
	{ "set", BRACES },
	{ "edit", BRACES },
	{ "delete", "remove the statement from the text instead" },
	{ "inactive:", "'inactive:' stands once, before the statement" },
	{ "inactive", "write 'inactive:', with its colon, before the statement" },
	{ "deactivate", "write 'inactive:' before the statement" },
	{ "description", "here, descriptions are written as comments: # to the end of the line, or /* */" },
	{ "security", "its parts are statements at the top: zones, policy, nat, ike, ipsec" },
	{ "security-zone", "write: zones { zone NAME { ... } }" },
	{ "policies", "write: policy { ... }" },
	{ "from-zone", "write: from ZONE to ZONE { rule NAME { ... } }" },
	{ "to-zone", "write: from ZONE to ZONE { rule NAME { ... } }" },
	{ "source-address", "write: source NAME" },
	{ "destination-address", "write: destination NAME" },
	{ "host-inbound-traffic", "write: host-inbound [ SERVICE SERVICE ]" },
};

const char *habit_hint(const char *word, size_t n)
{
	if (n >= 2 && memcmp(word, "//", 2) == 0)
		return "comments begin with #, or are written between /* and */";
	if (word[0] == '\'')
		return "strings are written in double quotes, and need them only for white space and { } [ ] ; \" #";
	if (memchr(word, ',', n))
		return "values are separated by white space, without commas";
	for (size_t i = 0; i < COUNT_OF(habits); i++)
		if (strlen(habits[i].word) == n && memcmp(habits[i].word, word, n) == 0)
			return habits[i].hint;
	return NULL;
}
