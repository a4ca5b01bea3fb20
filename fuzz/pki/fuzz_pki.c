/* What the authority reads of others: requests, certificates, lists and an index; and names as people write them. */
#include "must.h"
#include "pki/pki.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What was read is written as it was, or as what reads as the same. */
static void index_check(const struct pki_text *text)
{
	struct pki_entry *first, *second;
	struct pki_text again = { 0 };
	struct err e = { 0 };
	size_t first_n, second_n;

	if (pki_index_read(&first, &first_n, text, &e) != RC_OK)
		return;
	for (size_t i = 0; i < first_n; i++)
		MUST(pki_index_add(&again, &first[i], &e) == RC_OK);
	MUST(pki_index_read(&second, &second_n, &again, &e) == RC_OK && first_n == second_n);
	MUST(memcmp(first, second, first_n * sizeof *first) == 0);
	free(first);
	free(second);
	pki_text_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct pki_key *key;
	struct pki_text pem = { 0 };
	static char json[PKI_DESCRIBE_MAX];
	struct pki_text text = { .at = malloc(n + 1), .n = n }, request = { 0 };
	char subject[PKI_SUBJECT_MAX], names[PKI_SUBJECT_MAX], serial[PKI_SERIAL_TEXT];
	struct err e = { 0 };
	uint64_t number;

	MUST(text.at);
	if (!key)
		MUST(pki_key_make(&pem, PKI_ED25519, &e) == RC_OK && pki_key_read(&key, &pem, &e) == RC_OK);
	pki_text_free(&pem);
	memcpy(text.at, data, n);
	text.at[n] = '\0';
	if (pki_describe(json, &text, &e) == RC_OK)
		MUST(json[0] == '{');
	err_clear(&e);
	pki_request_says(subject, names, &text, &e);
	err_clear(&e);
	pki_serial_of(serial, &text, &text, &e);
	err_clear(&e);
	pki_crl_number(&number, &text, &e);
	index_check(&text);
	err_clear(&e);
	/* What may be kept as a key's name has no line feed, which would end it in ca.uri. */
	if (pki_uri_check(text.at, &e) == RC_OK)
		MUST(!strchr(text.at, '\n') && strlen(text.at) < PKI_URI_MAX);
	err_clear(&e);
	/* A subject that is taken reads as one that is taken. */
	if (pki_request_make(&request, key, text.at, NULL, &e) == RC_OK) {
		MUST(pki_request_says(subject, names, &request, &e) == RC_OK);
		pki_text_free(&request);
	}
	err_clear(&e);
	if (pki_request_make(&request, key, "CN=a", text.at, &e) == RC_OK)
		MUST(pki_request_says(subject, names, &request, &e) == RC_OK || e.rc == RC_LIMIT);
	pki_text_free(&request);
	pki_text_free(&text);
	return 0;
}
