/*
 * Why a token gave no key. The provider says neither whether it found the token nor whether its PIN was right, so the token's module is
 * asked itself: which tokens there are, whether the process is logged in, whether tries are left. It is the one that the provider has
 * loaded, and nothing here logs in: no PIN is tried a second time.
 */
#include "pki/internal.h"

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROXY_MODULE "p11-kit-proxy.so" /* what the provider takes where no module is named */

/* Fields of PKCS#11 are filled with spaces. */
static bool field_is(const unsigned char *field, size_t n, const char *text)
{
	while (n && field[n - 1] == ' ')
		n--;
	return strlen(text) == n && memcmp(field, text, n) == 0;
}

static bool token_is(const CK_TOKEN_INFO *info, const char *uri)
{
	char value[PKI_URI_MAX];

	return (!pki_uri_attribute(value, sizeof value, uri, "token=") ||
		       field_is(info->label, sizeof info->label, value)) &&
	       (!pki_uri_attribute(value, sizeof value, uri, "serial=") ||
		       field_is(info->serialNumber, sizeof info->serialNumber, value));
}

static bool logged_in(CK_FUNCTION_LIST *module, CK_SLOT_ID slot)
{
	CK_SESSION_HANDLE session;
	CK_SESSION_INFO info = { 0 };

	if (module->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK)
		return false;
	bool good = module->C_GetSessionInfo(session, &info) == CKR_OK &&
		    (info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS);
	module->C_CloseSession(session);
	return good;
}

static const char *tries_text(CK_FLAGS flags)
{
	if (flags & CKF_USER_PIN_LOCKED)
		return "the PIN is locked: the token's security officer sets a new one";
	if (flags & CKF_USER_PIN_FINAL_TRY)
		return "one try is left, then the token locks the PIN";
	if (flags & CKF_USER_PIN_COUNT_LOW)
		return "the token has counted a wrong PIN since the last right one";
	return "the token does not say how many tries are left";
}

static enum pki_token_state look(char *ret_text, size_t size, CK_FUNCTION_LIST *module, const char *uri)
{
	CK_SLOT_ID slots[PKI_SLOTS_MAX];
	CK_ULONG n = PKI_SLOTS_MAX;
	CK_TOKEN_INFO info;
	size_t used = 0;

	if (module->C_GetSlotList(CK_TRUE, slots, &n) != CKR_OK)
		n = 0;
	for (CK_ULONG i = 0; i < n; i++) {
		if (module->C_GetTokenInfo(slots[i], &info) != CKR_OK ||
			!(info.flags & CKF_TOKEN_INITIALIZED))
			continue;
		if (token_is(&info, uri)) {
			snprintf(ret_text, size, "%s", tries_text(info.flags));
			return !(info.flags & CKF_LOGIN_REQUIRED) || logged_in(module, slots[i])
				       ? PKI_TOKEN_LOGGED_IN
				       : PKI_TOKEN_LOGGED_OUT;
		}
		size_t len = sizeof info.label;
		while (len && info.label[len - 1] == ' ')
			len--;
		int more = snprintf(ret_text + used, size - used, "%s'%.*s'", used ? ", " : "", (int)len,
			(const char *)info.label);
		used = MIN_OF(used + (size_t)MAX_OF(more, 0), size - 1);
	}
	if (!used)
		snprintf(ret_text, size, "none");
	return PKI_TOKEN_NONE;
}

enum pki_token_state pki_pkcs11_look(char *ret_text, size_t size, const char *uri)
{
	const char *path = getenv(PKI_MODULE_VARIABLE);
	CK_FUNCTION_LIST *module = NULL;
	CK_C_GetFunctionList list;
	enum pki_token_state state = PKI_TOKEN_NO_MODULE;

	ret_text[0] = '\0';
	if (!path)
		path = PROXY_MODULE;
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		snprintf(ret_text, size, "%s", path);
		return PKI_TOKEN_NO_MODULE;
	}
	*(void **)&list = dlsym(library, "C_GetFunctionList");
	if (list && list(&module) == CKR_OK && module) {
		/* The provider has, or it has failed before. */
		CK_RV rv = module->C_Initialize(NULL);
		if (rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED)
			state = look(ret_text, size, module, uri);
		if (rv == CKR_OK)
			module->C_Finalize(NULL);
	}
	if (state == PKI_TOKEN_NO_MODULE)
		snprintf(ret_text, size, "%s", path);
	dlclose(library);
	return state;
}
