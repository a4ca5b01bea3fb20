/*
 * Which identities a pattern of a remote-id means: `*.branch.example` and `*@example.net` are kept without the star, and
 * stand for what ends so. What the star stands for is made of the characters of a host name (with '+' in a mail
 * address) and nothing else: it is what a stranger says, and goes on into texts and entries. Of a subject in which a value
 * is `*` the certifiers say what fits, who read DER.
 */
#ifndef MODEL_PEER_ID_H
#define MODEL_PEER_ID_H

#include <string.h>

#include "model/snapshot.h"

static inline bool peer_id_char(uint8_t type, uint8_t ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
	       ch == '-' || ch == '_' || ch == '.' || (ch == '+' && type == ID_RFC822);
}

static inline bool peer_id_fits_pattern(
	const struct snap_id *pattern, uint8_t type, const uint8_t *data, size_t n)
{
	size_t head = n - pattern->len;

	if (pattern->type == ID_DN)
		return type == ID_DN && n > 0;
	if (type != pattern->type || n <= pattern->len || n > sizeof pattern->data ||
		memcmp(data + head, pattern->data, pattern->len) != 0 || data[0] == '.' ||
		data[head - 1] == '.')
		return false;
	for (size_t i = 0; i < head; i++)
		if (!peer_id_char(type, data[i]) || (data[i] == '.' && data[i + 1] == '.'))
			return false;
	return true;
}

/* "C=CH, O=Example, CN=*": one of its values is a lone star, as dn_pattern_read() (certify/match.h) has it. */
static inline bool peer_subject_is_pattern(const struct snap_id *id)
{
	bool type = true, begins = false; /* before the '='; where the value begins */

	for (size_t i = 0; i < id->len && id->type == ID_DN; i++) {
		size_t after = i + 1;

		if (id->data[i] == ',' || id->data[i] == '/') {
			type = true;
			begins = false;
		} else if (type) {
			begins = id->data[i] == '=';
			type = !begins;
		} else if (!begins || id->data[i] != ' ') {
			while (after < id->len && id->data[after] == ' ')
				after++;
			if (begins && id->data[i] == '*' &&
				(after == id->len || id->data[after] == ',' || id->data[after] == '/'))
				return true;
			begins = false;
			i += id->data[i] == '\\';
		}
	}
	return false;
}

/* ".branch.example", "@example.net", or a subject */
static inline bool peer_id_pattern_ok(const struct snap_id *pattern)
{
	if (pattern->type == ID_DN)
		return peer_subject_is_pattern(pattern);
	return pattern->len >= 2 && pattern->len < sizeof pattern->data &&
	       ((pattern->type == ID_FQDN && pattern->data[0] == '.') ||
		       (pattern->type == ID_RFC822 && pattern->data[0] == '@'));
}

/* What does not fit of a peer's records of templates; NULL: nothing. */
static inline const char *peer_template_fault(const struct snap_peer *p)
{
	bool pattern = p->flags & PEER_ID_PATTERN;

	if (pattern && (!(p->flags & PEER_REMOTE_ANY) || !peer_id_pattern_ok(&p->remote_id)))
		return "a pattern of identities that is none, or with one address";
	if (pattern != (p->connections_max != 0) || p->connections_max > CONNECTIONS_MAX)
		return "a number of identities that does not fit";
	if ((p->flags & PEER_PSK_OF_ID) && (!pattern || p->auth != PEER_AUTH_PSK))
		return "keys of identities without a pattern of them";
	return NULL;
}

#endif
