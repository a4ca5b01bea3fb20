#include "admin/signed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

size_t signed_statement_text(char ret_text[SIGNED_STATEMENT_MAX], const struct signed_statement *s)
{
	static const uint8_t none[32];
	char base[65], text[65], certificates[65] = "none";

	hex_from_bytes(base, s->base, sizeof s->base);
	hex_from_bytes(text, s->text, sizeof s->text);
	if (memcmp(s->certificates, none, sizeof none) != 0)
		hex_from_bytes(certificates, s->certificates, sizeof s->certificates);
	if (s->is_first_form)
		return (size_t)snprintf(ret_text, SIGNED_STATEMENT_MAX,
			SIGNED_NAMESPACE " v1\nbase-generation %" PRIu64
					 "\nbase %s\ntext %s\nconfirm-within %u\n",
			s->base_generation, base, text, s->confirm_minutes);
	return (size_t)snprintf(ret_text, SIGNED_STATEMENT_MAX,
		SIGNED_NAMESPACE " v2\nbase-generation %" PRIu64
				 "\nbase %s\ntext %s\ncertificates %s\nconfirm-within %u\noptions %s\n",
		s->base_generation, base, text, certificates, s->confirm_minutes,
		signed_options_text(s->options));
}

const char *signed_options_text(uint32_t options)
{
	static const char *const texts[] = { "none", "close-all", "cut-off", "close-all cut-off" };

	return texts[options & SIGNED_OPTIONS];
}

static uint32_t of_path(const struct signed_rules *r, const char *path)
{
	uint32_t required = r->required;
	size_t longest = 0;

	for (uint32_t i = 0; i < r->n; i++) {
		size_t n = strlen(r->at[i].path);
		if (n > longest && words_begin(path, r->at[i].path)) {
			longest = n;
			required = r->at[i].required;
		}
	}
	return required;
}

static uint32_t largest(const struct signed_rules *r)
{
	uint32_t required = r->required;

	for (uint32_t i = 0; i < r->n; i++)
		required = MAX_OF(required, r->at[i].required);
	return required;
}

/* Who signs, and how many must. */
static bool of_signers(const char *path)
{
	return words_begin(path, "system administrators") || words_begin(path, "system ssh") ||
	       words_begin(path, "system commit");
}

bool signed_demands(const struct administrators *a)
{
	return a && largest(&a->signatures) > 0;
}

uint32_t signed_required(const struct administrators *a, const struct admin_words *paths)
{
	uint32_t required = 0;

	if (!a)
		return 0;
	if (paths->n == 0)
		return a->signatures.required;
	for (uint32_t i = 0; i < paths->n; i++) {
		uint32_t n = of_signers(paths->at[i]) ? largest(&a->signatures)
						      : of_path(&a->signatures, paths->at[i]);
		required = MAX_OF(required, n);
	}
	return required;
}

static const struct administrator *owner(const struct administrators *a, const struct ssh_key *key)
{
	for (uint32_t i = 0; a && i < a->n; i++)
		for (uint32_t k = 0; k < a->at[i].keys.n; k++) {
			const char *text = a->at[i].keys.at[k];
			struct ssh_key of;
			if (ssh_key_parse(&of, text, strlen(text), NULL, NULL, NULL) == RC_OK &&
				ssh_key_equal(&of, key))
				return &a->at[i];
		}
	return NULL;
}

static enum rc may_sign(const struct administrators *a, const struct administrator *who,
	const struct admin_words *paths, struct err *e)
{
	if (!role_may_command(a, who->role, "commit"))
		return err_add(e, RC_DENIED,
			"the signature of '%s' does not count: the role %s may not commit", who->name,
			role_word(a, who->role));
	for (uint32_t i = 0; i < paths->n; i++)
		if (!role_may_change(a, who->role, paths->at[i]))
			return err_add(e, RC_DENIED,
				"the signature of '%s' does not count: the role %s may not change '%s'",
				who->name, role_word(a, who->role), paths->at[i]);
	return RC_OK;
}

/* One that is another administrator's as well counts for whom a signature would count; RSA of more than 4096 bits signs nothing. */
static bool key_can_sign(const struct administrators *a, const struct administrator *one, const char *text)
{
	struct ssh_key key;

	return ssh_key_parse(&key, text, strlen(text), NULL, NULL, NULL) == RC_OK &&
	       sshsig_key_can_sign(&key) && owner(a, &key) == one;
}

uint32_t signed_signers(const struct administrators *a, const char *path)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->n; i++) {
		bool can = false;
		for (uint32_t k = 0; k < a->at[i].keys.n && !can; k++)
			can = key_can_sign(a, &a->at[i], a->at[i].keys.at[k]);
		n += can && role_may_command(a, a->at[i].role, "commit") &&
		     role_may_change(a, a->at[i].role, path);
	}
	return n;
}

enum rc signed_count_add(struct signed_count *c, const struct administrators *a,
	const struct signed_statement *s, const struct admin_words *paths, const void *blob, size_t n,
	char ret_fingerprint[SSH_FINGERPRINT_SIZE], const struct administrator **ret_who, struct err *e)
{
	char text[SIGNED_STATEMENT_MAX];
	const struct administrator *who;
	struct ssh_key key;
	enum rc rc = sshsig_key(&key, blob, n, e);

	*ret_who = NULL;
	ret_fingerprint[0] = '\0';
	if (rc)
		return rc;
	ssh_key_fingerprint(ret_fingerprint, &key);
	if (!(who = owner(a, &key)))
		return err_add(e, RC_DENIED,
			"the signature is by the key %s, which is no administrator's in the configuration that runs",
			ret_fingerprint);
	size_t text_n = signed_statement_text(text, s);
	if ((rc = sshsig_verify(&key, blob, n, SIGNED_NAMESPACE, text, text_n, e)))
		return err_add(e, rc, "in the signature of '%s'", who->name);
	if ((rc = may_sign(a, who, paths, e)))
		return rc;
	if (c->by[who - a->at])
		return err_add(e, RC_EXISTS,
			"'%s' has signed this already: another administrator's signature is needed",
			who->name);
	c->by[who - a->at] = true;
	c->n++;
	*ret_who = who;
	return RC_OK;
}
