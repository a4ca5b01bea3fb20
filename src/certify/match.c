#include "certify/match.h"

#include <stdio.h>

/* Letters, digits, hyphens and underscores in labels between dots: neither ".example.com" nor "*.example.com". */
static bool dns_is_one(const uint8_t *name, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = name[i];
		bool dot = c == '.' && i > 0 && i + 1 < n && name[i - 1] != '.';
		if (!dot && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			c != '-' && c != '_')
			return false;
	}
	return n > 0;
}

/* One @ with something on both sides: where there are two, libraries differ about what the host is. */
static bool mailbox_is_one(const uint8_t *name, size_t n)
{
	const uint8_t *at = memchr(name, '@', n);

	return at && at > name && dns_is_one(at + 1, (size_t)(name + n - at - 1));
}

static bool identity_is_one(const struct certify_question *q)
{
	if (!q->id.b || q->id.n == 0 || q->id.n > CERTIFY_IDENTITY_MAX)
		return false;
	switch (q->id_kind) {
	case CERTIFY_ID_DNS:
		return dns_is_one(q->id.b, q->id.n);
	case CERTIFY_ID_RFC822:
		return mailbox_is_one(q->id.b, q->id.n) && !memchr(q->id.b, '\0', q->id.n);
	case CERTIFY_ID_DN_TEXT:
		return !memchr(q->id.b, '\0', q->id.n);
	case CERTIFY_ID_IP:
		return q->id.n == 4 || q->id.n == 16;
	case CERTIFY_ID_DN:
		return true;
	}
	return false;
}

uint32_t certify_bounds(const struct certify_question *q)
{
	size_t total = 0;

	if (q->bag_n == 0 || q->bag_n > CERTIFY_BAG_MAX || q->anchors_n > CERTIFY_ANCHORS_MAX ||
		q->crls_n > CERTIFY_CRLS_MAX || q->now_s < 0 || (unsigned)q->role > CERTIFY_ROLE_CLIENT ||
		(unsigned)q->revocation > CERTIFY_CRL_HARD) /* another process may send any number */
		return CERTIFY_LIMIT;
	for (size_t i = 0; i < q->bag_n; i++) {
		if (!q->bag[i].b || q->bag[i].n == 0 || q->bag[i].n > CERTIFY_BAG_BYTES_MAX - total)
			return CERTIFY_LIMIT;
		total += q->bag[i].n;
	}
	for (size_t i = 0; i < q->anchors_n; i++)
		if (!q->anchors[i].b || q->anchors[i].n == 0 || q->anchors[i].n > CERTIFY_BAG_BYTES_MAX)
			return CERTIFY_LIMIT;
	for (size_t i = 0; i < q->crls_n; i++)
		if (!q->crls[i].b || q->crls[i].n == 0 || q->crls[i].n > CERTIFY_CRL_BYTES_MAX)
			return CERTIFY_LIMIT;
	return identity_is_one(q) ? CERTIFY_OK : CERTIFY_IDENTITY;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool same_letters(const uint8_t *a, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

bool certify_name_matches(enum certify_id_kind kind, struct certify_der wanted, struct certify_der name)
{
	size_t local = 0;

	if (wanted.n == 0 || wanted.n != name.n || wanted.n > CERTIFY_IDENTITY_MAX)
		return false;
	switch (kind) {
	case CERTIFY_ID_DNS:
		return same_letters(wanted.b, name.b, name.n);
	case CERTIFY_ID_RFC822:
		for (size_t i = 0; i < name.n; i++)
			if (wanted.b[i] == '@')
				local = i;
		return local > 0 && memcmp(wanted.b, name.b, local + 1) == 0 &&
		       same_letters(wanted.b + local + 1, name.b + local + 1, name.n - local - 1);
	case CERTIFY_ID_IP:
	case CERTIFY_ID_DN:
		return memcmp(wanted.b, name.b, name.n) == 0;
	case CERTIFY_ID_DN_TEXT:
		break;
	}
	return false;
}

bool dn_matches(const struct dn *pattern, const struct dn *subject)
{
	if (pattern->n == 0 || pattern->n != subject->n)
		return false;
	for (uint32_t i = 0; i < subject->n; i++) {
		const struct dn_rdn *p = &pattern->rdn[i], *s = &subject->rdn[i];
		if (strcmp(p->oid, s->oid) != 0)
			return false;
		if (!p->any && (p->n != s->n || !same_letters(p->value, s->value, s->n)))
			return false;
	}
	return true;
}

static const struct {
	const char *name, *oid;
} types[] = {
	{ "C", "2.5.4.6" },
	{ "O", "2.5.4.10" },
	{ "OU", "2.5.4.11" },
	{ "CN", "2.5.4.3" },
	{ "L", "2.5.4.7" },
	{ "ST", "2.5.4.8" },
	{ "S", "2.5.4.8" },
	{ "SN", "2.5.4.4" },
	{ "G", "2.5.4.42" },
	{ "T", "2.5.4.12" },
	{ "serialNumber", "2.5.4.5" },
	{ "DC", "0.9.2342.19200300.100.1.25" },
	{ "UID", "0.9.2342.19200300.100.1.1" },
	{ "E", "1.2.840.113549.1.9.1" },
	{ "emailAddress", "1.2.840.113549.1.9.1" },
};

/* The dotted number of a type, "" if it is none. */
static void type_read(char ret_oid[DN_OID_MAX], const char *text, size_t n)
{
	ret_oid[0] = '\0';
	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (strlen(types[i].name) == n &&
			same_letters((const uint8_t *)types[i].name, (const uint8_t *)text, n)) {
			snprintf(ret_oid, DN_OID_MAX, "%s", types[i].oid);
			return;
		}
	if (n == 0 || n >= DN_OID_MAX || text[0] < '0' || text[0] > '2' || !memchr(text, '.', n))
		return;
	for (size_t i = 0; i < n; i++)
		if (text[i] != '.' && (text[i] < '0' || text[i] > '9'))
			return;
	memcpy(ret_oid, text, n);
	ret_oid[n] = '\0';
}

/* One "TYPE=VALUE" at *at, up to the separator; *at is then behind it. */
static enum rc rdn_read(struct dn_rdn *ret_rdn, const char *text, size_t n, size_t *at, struct err *e)
{
	size_t begin = *at, i, kept = 0;
	bool any_escaped = false;

	while (begin < n && text[begin] == ' ')
		begin++;
	for (i = begin; i < n && text[i] != '=' && text[i] != ',' && text[i] != '/';)
		i++;
	*ret_rdn = (struct dn_rdn){ 0 };
	type_read(ret_rdn->oid, text + begin, i - begin);
	if (i == n || text[i] != '=' || ret_rdn->oid[0] == '\0')
		return err_add(e, RC_MALFORMED,
			"'%.*s' in a distinguished name: expected TYPE=VALUE with a type like C, O, OU, CN or an OID",
			(int)(i - begin > 40 ? 40 : i - begin), text + begin);
	for (i++; i < n && text[i] == ' ';)
		i++;
	for (; i < n && text[i] != ',' && text[i] != '/'; i++) {
		bool escaped = text[i] == '\\' && i + 1 < n;
		i += escaped;
		any_escaped |= escaped;
		if (ret_rdn->n == DN_VALUE_MAX)
			return err_add(e, RC_LIMIT, "a value of a distinguished name has more than %u octets",
				(unsigned)DN_VALUE_MAX);
		ret_rdn->value[ret_rdn->n++] = (uint8_t)text[i];
		if (text[i] != ' ' || escaped)
			kept = ret_rdn->n;
	}
	ret_rdn->n = (uint32_t)kept;
	ret_rdn->any = kept == 1 && ret_rdn->value[0] == '*' && !any_escaped;
	*at = i + 1;
	if (kept == 0)
		return err_add(e, RC_MALFORMED,
			"a value of a distinguished name is empty: expected TYPE=VALUE, or * for any");
	return RC_OK;
}

enum rc dn_pattern_read(struct dn *ret_pattern, const char *text, size_t n, struct err *e)
{
	struct dn d = { 0 };
	size_t at = n > 0 && text[0] == '/'; /* "/C=CH/CN=x" */

	do {
		if (d.n == DN_RDNS_MAX)
			return err_add(e, RC_LIMIT, "a distinguished name has more than %u parts",
				(unsigned)DN_RDNS_MAX);
		enum rc rc = rdn_read(&d.rdn[d.n], text, n, &at, e);
		if (rc != RC_OK)
			return rc;
		d.n++;
	} while (at <= n);
	*ret_pattern = d;
	return RC_OK;
}

bool certify_crl_number(struct certify_crl_age *age, const uint8_t *octets, size_t n)
{
	while (n > 0 && octets[0] == 0) {
		octets++;
		n--;
	}
	if (n > sizeof age->number)
		return false;
	memset(age->number, 0, sizeof age->number);
	if (n > 0)
		memcpy(age->number + sizeof age->number - n, octets, n);
	age->numbered = true;
	return true;
}

bool certify_crl_is_older(const struct certify_crl_age *a, const struct certify_crl_age *b)
{
	return a->this_s < b->this_s ||
	       (a->numbered && b->numbered && memcmp(a->number, b->number, sizeof a->number) < 0);
}
