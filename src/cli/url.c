#include "cli/url.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "cli/limits.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct ledger_url {
	CURL *curl;
	char base[CLI_URL_BYTES_MAX]; /* ends with '/' */
	char why[CURL_ERROR_SIZE];    /* the library's text about the last request */
	char trouble[640];
	/* the answer being received */
	uint8_t *bytes;
	size_t n, room;
	size_t max; /* octets */
	bool too_long, too_slow;
	mono_ns asked;
	unsigned failures;
};

bool url_is(const char *text)
{
	return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

static size_t take(char *bytes, size_t size, size_t count, void *context)
{
	struct ledger_url *u = context;
	size_t n = size * count;

	if (n > u->max - u->n) {
		u->too_long = true;
		return 0;
	}
	if (u->n + n > u->room) {
		size_t room = MAX_OF(u->n + n, MAX_OF(2 * u->room, (size_t)16384));
		uint8_t *more = realloc(u->bytes, room);
		if (!more)
			return 0;
		u->bytes = more;
		u->room = room;
	}
	memcpy(u->bytes + u->n, bytes, n);
	u->n += n;
	return n;
}

/* Called about once a second, even if nothing is received. */
static int watch(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
	struct ledger_url *u = context;
	uint64_t allowed = (CLI_ANSWER_S + (uint64_t)now / CLI_OCTETS_S_MIN) * NS_PER_S;

	u->too_slow = clock_mono() - u->asked > allowed;
	return u->too_slow;
}

static bool options_set(struct ledger_url *u)
{
	const char *authorities = getenv("SSL_CERT_FILE");
	CURL *c = u->curl;

	if (authorities && authorities[0] && curl_easy_setopt(c, CURLOPT_CAINFO, authorities) != CURLE_OK)
		return false;
	return curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_ERRORBUFFER, u->why) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CLI_CONNECT_S) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, watch) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_XFERINFODATA, u) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_USERAGENT, "plaingate/" PLAINGATE_VERSION) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEDATA, u) == CURLE_OK;
}

enum rc url_open(struct ledger_url **ret_url, const char *text, struct err *e)
{
	struct ledger_url *u = calloc(1, sizeof *u);
	size_t n = strlen(text);

	*ret_url = NULL;
	if (!u || n + 2 > sizeof u->base || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(u);
		return err_add(
			e, RC_INTERNAL, "the address '%.60s' is too long, or libcurl failed to start", text);
	}
	snprintf(u->base, sizeof u->base, "%s%s", text, text[n - 1] == '/' ? "" : "/");
	u->curl = curl_easy_init();
	if (!u->curl || !options_set(u)) {
		url_close(u);
		return err_add(e, RC_INTERNAL, "libcurl failed to start");
	}
	*ret_url = u;
	return RC_OK;
}

void url_close(struct ledger_url *u)
{
	if (!u)
		return;
	if (u->curl)
		curl_easy_cleanup(u->curl);
	curl_global_cleanup();
	free(u->bytes);
	free(u);
}

static void trouble_note(struct ledger_url *u, const char *address, const char *what, long status)
{
	if (u->trouble[0])
		return;
	if (status)
		snprintf(u->trouble, sizeof u->trouble, "%.300s: the server answered %ld", address, status);
	else
		snprintf(u->trouble, sizeof u->trouble, "%.300s: %s", address, what);
	/* The text may contain names of a certificate: it must not control a terminal. */
	for (char *c = u->trouble; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static enum rc answer_read(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	struct ledger_url *u = context;
	char address[CLI_URL_BYTES_MAX + 128];
	long status = 0;

	*ret_bytes = NULL;
	*ret_n = u->n = 0;
	u->too_long = u->too_slow = false;
	u->max = verify_file_max(path);
	u->asked = clock_mono();
	if (u->failures >= CLI_FAILURES_MAX)
		return RC_IO; /* each further request could take as long */
	snprintf(address, sizeof address, "%s%s", u->base, path);
	CURLcode code = curl_easy_setopt(u->curl, CURLOPT_URL, address);
	u->why[0] = '\0';
	if (code == CURLE_OK)
		code = curl_easy_perform(u->curl);
	if (code == CURLE_OK)
		code = curl_easy_getinfo(u->curl, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK && (status == 404 || status == 410))
		return RC_NOT_FOUND;
	if (code != CURLE_OK || status != 200) {
		u->failures += code == CURLE_OK || u->too_long ? 1 : CLI_FAILURES_MAX;
		trouble_note(u, address,
			u->too_long   ? "the answer is too long"
			: u->too_slow ? "the answer is too slow: less than 1,024 octets a second"
			: u->why[0]   ? u->why
				      : curl_easy_strerror(code),
			code == CURLE_OK ? status : 0);
		return RC_IO;
	}
	*ret_bytes = malloc(u->n + 1);
	if (!*ret_bytes)
		return RC_LIMIT;
	if (u->n > 0)
		memcpy(*ret_bytes, u->bytes, u->n);
	*ret_n = u->n;
	return RC_OK;
}

static void short_pause(void *context)
{
	const struct timespec t = { .tv_nsec = CLI_URL_PAUSE_MS * 1000000L };

	nanosleep(&t, NULL);
}

struct verify_source url_source(struct ledger_url *u)
{
	return (struct verify_source){ .context = u, .read = answer_read, .pause = short_pause };
}

const char *url_trouble(const struct ledger_url *u)
{
	return u->trouble;
}
