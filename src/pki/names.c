/*
 * Names as people write them, and back.
 */
#include "pki/internal.h"

#include "base/addr.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

/* RFC 4514 2.4: a backslash and two hexadecimal digits are an octet. */
static bool hex_pair(uint8_t *ret_octet, const char *text)
{
	unsigned value = 0;

	if (text[0] != '\\')
		return false;
	for (int i = 1; i <= 2; i++) {
		char c = text[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
			return false;
		value = value << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	*ret_octet = (uint8_t)value;
	return true;
}

/* Takes "TYPE=value" up to a comma; a backslash keeps the next character. RC_OK with *at behind the comma or at the end. */
static enum rc part_read(
	const char **at, char *ret_type, size_t type_size, char *ret_value, size_t value_size, struct err *e)
{
	uint8_t octet;
	const char *text = *at + strspn(*at, " "), *equals = strpbrk(text, "=,");
	size_t n = 0, type_n = equals ? (size_t)(equals - text) : 0;

	if (!equals || *equals != '=' || type_n == 0 || type_n >= type_size)
		return err_add(e, RC_MALFORMED,
			"subject: '%.60s' found, expected parts such as CN=gw.example.net, separated by commas",
			text);
	memcpy(ret_type, text, type_n);
	ret_type[type_n] = '\0';
	for (text = equals + 1; *text && *text != ','; text++) {
		if (hex_pair(&octet, text)) {
			ret_value[n++] = (char)octet;
			text += 2;
			if (octet == 0 || n == value_size)
				return err_add(e, RC_MALFORMED,
					"subject: %s has an octet of zero, or is too long", ret_type);
			continue;
		}
		if (*text == '\\' && text[1])
			text++;
		else if (*text == '+')
			return err_add(e, RC_UNSUPPORTED,
				"subject: parts of several values are not supported; write \\+ for a plus sign");
		if (n + 1 == value_size)
			return err_add(e, RC_LIMIT, "subject: %s is longer than %zu characters", ret_type,
				value_size - 1);
		ret_value[n++] = *text;
	}
	ret_value[n] = '\0';
	*at = text + (*text == ',');
	return n ? RC_OK : err_add(e, RC_MALFORMED, "subject: %s has no value", ret_type);
}

X509_NAME *pki_subject_read(const char *text, struct err *e)
{
	X509_NAME *name = X509_NAME_new();
	char type[32], value[256];
	const char *at = text;

	if (text[0] == '\0')
		err_add(e, RC_MALFORMED, "subject: it is empty, expected as CN=gw.example.net, O=Example");
	while (name && *at && part_read(&at, type, sizeof type, value, sizeof value, e) == RC_OK) {
		if (X509_NAME_add_entry_by_txt(
			    name, type, MBSTRING_UTF8, (const uint8_t *)value, -1, -1, 0) != 1) {
			ERR_clear_error();
			err_add(e, RC_MALFORMED,
				"subject: %s=%.60s is not a part of a name (CN, O, OU, C with two letters, L, ST, DC)",
				type, value);
			break;
		}
		if (*at == '\0')
			return name;
	}
	X509_NAME_free(name);
	return NULL;
}

void pki_subject_text(char *ret_text, size_t size, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *at = NULL;
	long n = 0;

	if (bio && X509_NAME_print_ex(bio, name, 0,
			   XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_QUOTE & ~ASN1_STRFLGS_ESC_MSB &
				   ~XN_FLAG_SPC_EQ) >= 0)
		n = BIO_get_mem_data(bio, &at);
	snprintf(ret_text, size, "%.*s", (int)n, at ? at : "");
	BIO_free(bio);
}

static bool dns_is_one(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = name[i];
		bool dot = c == '.' && i > 0 && i + 1 < n && name[i - 1] != '.';
		if (!dot && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			c != '-' && c != '_')
			return false;
	}
	return n > 0 && n <= 253;
}

static bool email_is_one(const char *name, size_t n)
{
	const char *sign = memchr(name, '@', n);

	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return sign && sign > name && dns_is_one(sign + 1, n - (size_t)(sign + 1 - name));
}

/* NULL: it is none. */
static GENERAL_NAME *name_read(const char *text, size_t n)
{
	size_t kind_n = n && memchr(text, ':', n) ? (size_t)((const char *)memchr(text, ':', n) - text) : 0;
	const char *value = text + kind_n + 1;
	size_t value_n = kind_n ? n - kind_n - 1 : 0;
	char address[ADDR_TEXT_MAX];
	struct ip_addr ip;
	int type;
	const void *bytes = value;

	if (kind_n == 3 && strncasecmp(text, "dns", 3) == 0 && dns_is_one(value, value_n)) {
		type = GEN_DNS;
	} else if (kind_n == 5 && strncasecmp(text, "email", 5) == 0 && email_is_one(value, value_n)) {
		type = GEN_EMAIL;
	} else if (kind_n == 2 && strncasecmp(text, "ip", 2) == 0 && value_n < sizeof address) {
		snprintf(address, sizeof address, "%.*s", (int)value_n, value);
		if (addr_parse(&ip, address) != RC_OK || ip.family == ADDR_NONE)
			return NULL;
		type = GEN_IPADD;
		bytes = ip.b;
		value_n = ip.family == ADDR_V4 ? 4 : 16;
	} else {
		return NULL;
	}
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *string =
		ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
	if (!name || !string || ASN1_STRING_set(string, bytes, (int)value_n) != 1) {
		GENERAL_NAME_free(name);
		ASN1_STRING_free(string);
		return NULL;
	}
	GENERAL_NAME_set0_value(name, type, string);
	return name;
}

GENERAL_NAMES *pki_names_read(const char *text, struct err *e)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();

	for (const char *at = text; names;) {
		at += strspn(at, " ");
		size_t n = strcspn(at, ", ");
		GENERAL_NAME *name = name_read(at, n);
		if (!name || sk_GENERAL_NAME_num(names) == PKI_NAMES_MAX ||
			sk_GENERAL_NAME_push(names, name) <= 0) {
			err_add(e, RC_MALFORMED,
				name ? "names: '%.*s' is one too many, at most %d are allowed"
				     : "names: '%.*s' found, expected dns:NAME, ip:ADDRESS or email:ADDRESS, at most %d, separated by commas",
				(int)MIN_OF(n, (size_t)80), at, PKI_NAMES_MAX);
			GENERAL_NAME_free(name);
			break;
		}
		at += n + strspn(at + n, " ");
		if (*at == '\0')
			return names;
		at += *at == ',';
	}
	GENERAL_NAMES_free(names);
	return NULL;
}

static int name_text(char *ret_text, size_t size, const GENERAL_NAME *name)
{
	int type;
	const ASN1_STRING *string = GENERAL_NAME_get0_value(name, &type);
	int n = 0;
	const uint8_t *bytes = NULL;

	if (type == GEN_DNS || type == GEN_EMAIL || type == GEN_IPADD) {
		n = ASN1_STRING_length(string);
		bytes = ASN1_STRING_get0_data(string);
	}
	if (type == GEN_IPADD && (n == 4 || n == 16)) {
		struct ip_addr ip = { .family = n == 4 ? ADDR_V4 : ADDR_V6 };
		char address[ADDR_TEXT_MAX];
		memcpy(ip.b, bytes, (size_t)n);
		return snprintf(ret_text, size, "ip:%s", addr_text(address, &ip));
	}
	/* A name with a NUL in it, or a line feed, is not shown as something that it is not. */
	if ((type == GEN_DNS && dns_is_one((const char *)bytes, (size_t)n)) ||
		(type == GEN_EMAIL && email_is_one((const char *)bytes, (size_t)n)))
		return snprintf(
			ret_text, size, "%s:%.*s", type == GEN_DNS ? "dns" : "email", n, (const char *)bytes);
	return snprintf(ret_text, size, "other");
}

bool pki_names_text(char *ret_text, size_t size, const GENERAL_NAMES *names)
{
	size_t at = 0;

	ret_text[0] = '\0';
	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
		if (at > 0 && at + 1 < size)
			ret_text[at++] = ',';
		int n = name_text(ret_text + at, size - at, sk_GENERAL_NAME_value(names, i));
		if (n < 0 || (size_t)n >= size - at)
			return false;
		at += (size_t)n;
	}
	return true;
}
