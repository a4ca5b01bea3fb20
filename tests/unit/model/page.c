#include "page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *path)
{
	static char text[1 << 18];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = '\0';
	return f ? text : NULL;
}

static int update(const char *path, const char *page, size_t head_n, const char *made, const char *tail)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return 1;
	fprintf(f, "%.*s%s%s", (int)head_n, page, made, tail);
	return fclose(f) != 0;
}

int page_main(int argc, char **argv, const char *begin_mark, char *made)
{
	char *page = argc == 3 ? read_file(argv[2]) : NULL, *begin, *end;
	int status = 1;

	if (!page || !made) {
		fprintf(stderr, "%s --check|--update FILE\n", argv[0]);
		goto out;
	}
	begin = strstr(page, begin_mark);
	end = begin ? strstr(begin, PAGE_END) : NULL; /* a page may have several such parts */
	if (!begin || !end) {
		fprintf(stderr, "%s: the marker lines are missing\n", argv[2]);
		goto out;
	}
	begin += strlen(begin_mark);
	if (strcmp(argv[1], "--update") == 0) {
		status = update(argv[2], page, (size_t)(begin - page), made, end);
	} else {
		status = (size_t)(end - begin) != strlen(made) || memcmp(begin, made, strlen(made)) != 0;
		if (status)
			fprintf(stderr, "%s: the reference differs from its tables; run: %s --update %s\n",
				argv[2], argv[0], argv[2]);
	}
out:
	free(made);
	return status;
}
