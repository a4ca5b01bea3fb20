/* URLs: what is read is written into a request as it stands, so nothing in it may end a line or a name. */
#include "witness/http.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char text[600], request[2048];
	struct err e = { 0 };
	struct url u;

	if (n >= sizeof text)
		return 0;
	memcpy(text, data, n);
	text[n] = '\0';
	enum rc rc = url_parse(&u, text, &e);
	assert((rc == RC_OK) == (e.text[0] == 0));
	if (rc != RC_OK)
		return 0;
	assert(u.port > 0 && u.host[0] && (u.prefix[0] == '/' || u.prefix[0] == '\0'));
	assert(strpbrk(u.host, "/@?# \r\n\t[]") == NULL && strpbrk(u.prefix, "?# \r\n\t") == NULL);
	size_t written = http_request_text(request, sizeof request, &u, "/add-checkpoint", NULL, NULL, 0);
	assert(written > 0 && strncmp(request, "GET ", 4) == 0);
	size_t lines = 0;
	for (size_t i = 0; i < written; i++)
		lines += request[i] == '\n';
	assert(lines == 4);
	return 0;
}
