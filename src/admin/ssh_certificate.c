#include "admin/ssh_certificate.h"
#include "base/rd.h"
#include "base/wr.h"

#include <string.h>

/* What stands in a certificate's blob between its nonce and its serial number: the key's own strings. */
static const struct {
	const char *certificate, *key;
	unsigned strings;
} rows[] = {
	{ "ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", 1 },
	{ "ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256", 2 },
	{ "ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384", 2 },
	{ "ecdsa-sha2-nistp521-cert-v01@openssh.com", "ecdsa-sha2-nistp521", 2 },
	{ "ssh-rsa-cert-v01@openssh.com", "ssh-rsa", 2 },
	{ "sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com", 2 },
	{ "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", 3 },
};

static struct rd string_take(struct rd *r)
{
	return rd_sub(r, rd_u32(r));
}

static size_t row_of(const struct rd *name)
{
	size_t i = 0;

	while (i < COUNT_OF(rows) && (strlen(rows[i].certificate) != rd_left(name) ||
					     memcmp(rows[i].certificate, name->at, rd_left(name)) != 0))
		i++;
	return i;
}

/* The key's own blob: its name, and the strings as the certificate has them. */
static enum rc key_read(struct ssh_key *ret_key, struct rd *r, size_t row, struct err *e)
{
	uint8_t blob[SSH_KEY_BLOB_MAX];
	size_t name_n = strlen(rows[row].key), n;
	struct wr w = wr_over(blob, sizeof blob);
	const uint8_t *at = r->at;

	for (unsigned i = 0; i < rows[row].strings; i++)
		string_take(r);
	wr_u32(&w, (uint32_t)name_n);
	wr_bytes(&w, rows[row].key, name_n);
	if (!r->bad)
		wr_bytes(&w, at, (size_t)(r->at - at));
	n = wr_len(&w);
	if (r->bad || w.bad)
		return err_add(e, RC_MALFORMED, "malformed SSH certificate: expected its key");
	return ssh_key_from_blob(ret_key, blob, n, e);
}

enum rc ssh_certificate_read(struct ssh_certificate *ret, const void *blob, size_t n, struct err *e)
{
	struct rd r = rd_over(blob, n), name = string_take(&r);

	memset(ret, 0, sizeof *ret);
	size_t row = r.bad ? COUNT_OF(rows) : row_of(&name);
	if (r.bad)
		return err_add(
			e, RC_MALFORMED, "malformed SSH certificate: expected the name of its type first");
	if (row == COUNT_OF(rows))
		return err_add(e, RC_UNSUPPORTED,
			"the certificate is of a type that none of the configuration's keys has");
	string_take(&r); /* nonce */
	enum rc rc = key_read(&ret->key, &r, row, e);
	if (rc != RC_OK)
		return rc;
	rd_u64(&r);	 /* serial number */
	rd_u32(&r);	 /* user or host */
	string_take(&r); /* key id */
	string_take(&r); /* principals */
	rd_u64(&r);	 /* valid from */
	rd_u64(&r);	 /* and before */
	string_take(&r); /* critical options */
	string_take(&r); /* extensions */
	string_take(&r); /* reserved */
	struct rd authority = string_take(&r);
	string_take(&r); /* signature */
	if (rd_end(&r) != RC_OK)
		return err_add(e, RC_MALFORMED,
			"malformed SSH certificate: expected an authority and its signature at the end");
	rc = ssh_key_from_blob(&ret->authority, authority.at, rd_left(&authority), e);
	return rc == RC_OK ? rc : err_add(e, rc, "the authority of the certificate");
}
