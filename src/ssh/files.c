#include "ssh/files.h"
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NOBODYS_SHELL                                                                                        \
	"/usr/sbin/nologin" /* one that exists, for the same reason as the password in ssh_shadow_text() */

struct text {
	char *at;
	size_t n, size;
	bool over;
};

static struct text text_begin(char *at, size_t size)
{
	at[0] = '\0';
	return (struct text){ .at = at, .size = size };
}

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int n = vsnprintf(t->at + t->n, t->size - t->n, format, arguments);
	va_end(arguments);
	if (n < 0 || (size_t)n >= t->size - t->n)
		t->over = true;
	else
		t->n += (size_t)n;
}

static size_t text_end(const struct text *t)
{
	return t->over ? 0 : t->n;
}

/* The lines that depend on the setup. */
static void setting_add(struct text *t, const char *keyword, const struct ssh_setup *setup)
{
	if (strcmp(keyword, "Port") == 0) {
		add(t, "Port %u\n", setup->port);
	} else if (strcmp(keyword, "ChannelTimeout") == 0 && setup->idle_s) {
		add(t, "ChannelTimeout session:*=%us\n", setup->idle_s);
	}
}

size_t ssh_config_text(char *ret_text, size_t size, const struct ssh_setup *setup, enum ssh_since version)
{
	static const struct {
		const char *keyword, *value;
		enum ssh_since since;
	} settings[] = {
#define E(keyword, value, since, why) { keyword, value, since },
		SSH_SETTINGS(E)
#undef E
	};
	struct text t = text_begin(ret_text, size);

	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		if (settings[i].since > version)
			continue;
		if (settings[i].value)
			add(&t, "%s %s\n", settings[i].keyword, settings[i].value);
		else
			setting_add(&t, settings[i].keyword, setup);
	}
	return text_end(&t);
}

size_t ssh_passwd_text(char *ret_text, size_t size, const struct ssh_setup *setup, uint32_t privsep_uid,
	uint32_t privsep_gid)
{
	struct text t = text_begin(ret_text, size);

	add(&t, "root:x:0:0::/:" NOBODYS_SHELL "\nsshd:x:%u:%u::" SSH_PRIVSEP ":" NOBODYS_SHELL "\n",
		privsep_uid, privsep_gid);
	for (uint32_t i = 0; i < setup->accounts_n; i++)
		add(&t, "%s:x:%u:%u::" SSH_HOMES "/%s:" SSH_SHELL "\n", setup->account[i].name,
			setup->account[i].uid, setup->account[i].uid, setup->account[i].name);
	return text_end(&t);
}

size_t ssh_shadow_text(char *ret_text, size_t size, const struct ssh_setup *setup)
{
	struct text t = text_begin(ret_text, size);

	/* A password that nothing hashes to. "!" would be a locked account: sshd refuses it as well, but does not say from where it was tried. */
	add(&t, "root:*:1::::::\nsshd:*:1::::::\n");
	for (uint32_t i = 0; i < setup->accounts_n; i++)
		add(&t, "%s:*:1::::::\n", setup->account[i].name);
	return text_end(&t);
}

size_t ssh_group_text(char *ret_text, size_t size, const struct ssh_setup *setup, uint32_t privsep_gid)
{
	struct text t = text_begin(ret_text, size);

	add(&t, "root:x:0:\ntty:x:%u:\nsshd:x:%u:\n", SSH_TTY_GROUP, privsep_gid);
	for (uint32_t i = 0; i < setup->accounts_n; i++)
		add(&t, "%s:x:%u:\n", setup->account[i].name, setup->account[i].uid);
	return text_end(&t);
}

size_t ssh_keys_text(char *ret_text, size_t size, const struct ssh_account *account)
{
	struct text t = text_begin(ret_text, size);

	for (uint32_t i = 0; i < account->keys_n; i++)
		add(&t, "%s\n", account->key[i]);
	return text_end(&t);
}

size_t ssh_authorities_text(char *ret_text, size_t size, const struct ssh_setup *setup)
{
	struct text t = text_begin(ret_text, size);

	for (uint32_t i = 0; i < setup->authorities_n; i++)
		add(&t, "%s\n", setup->authority[i]);
	return text_end(&t);
}
