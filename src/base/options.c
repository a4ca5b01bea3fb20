#include "base/options.h"

#include "base/bytes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void options_list(struct option ret_list[OPTIONS_MAX], const struct option_row *rows, size_t n)
{
	assert(n < OPTIONS_MAX);
	for (size_t i = 0; i < n; i++)
		ret_list[i] = (struct option){
			.name = rows[i].word,
			.has_arg = rows[i].value[0] ? required_argument : no_argument,
			.val = rows[i].letter,
		};
	ret_list[n] = (struct option){ 0 };
}

const char *options_usage(char ret_text[OPTIONS_USAGE_MAX], const struct option_row *rows, size_t n)
{
	size_t width = 0, used = 0;

	for (size_t i = 0; i < n; i++)
		width = MAX_OF(width, strlen(rows[i].word) + 1 + strlen(rows[i].value));
	ret_text[0] = '\0';
	for (size_t i = 0; i < n && used < OPTIONS_USAGE_MAX; i++) {
		int rest = (int)(width - strlen(rows[i].word));
		used += (size_t)snprintf(ret_text + used, OPTIONS_USAGE_MAX - used, "  --%s %-*s  %s\n",
			rows[i].word, rest, rows[i].value, rows[i].text);
	}
	return ret_text;
}
