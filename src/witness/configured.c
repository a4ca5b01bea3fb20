#include "witness/configured.h"
#include "merkle/note.h"

#include <string.h>

enum rc configured_keys_check(const struct snap_evidence *v, const char *name, struct err *e)
{
	struct note_key key;

	for (uint32_t i = 0; i < v->count; i++) {
		const struct snap_witness *w = &v->witness[i];
		enum rc rc = note_key_parse(&key, w->key, strlen(w->key), e);
		if (rc == RC_OK && key.type != NOTE_COSIGNATURE_ED25519)
			rc = err_add(e, RC_UNSUPPORTED,
				"the key has type %u, expected %u (Ed25519 cosignatures): a gateway's is cosigner_vkey in its show ledger",
				key.type, NOTE_COSIGNATURE_ED25519);
		if (rc != RC_OK)
			return err_add(e, rc, "the key of witness '%s' in %s", w->name, name);
	}
	for (uint32_t i = 0; i < v->cosign_count; i++) {
		enum rc rc = note_key_parse(&key, v->cosign[i].key, strlen(v->cosign[i].key), e);
		if (rc == RC_OK && key.type != NOTE_ED25519)
			rc = err_add(e, RC_UNSUPPORTED,
				"the key has type %u, expected %u (a ledger's): vkey in the peer's show ledger",
				key.type, NOTE_ED25519);
		if (rc != RC_OK)
			return err_add(
				e, rc, "the key of the ledger '%s' to cosign in %s", v->cosign[i].name, name);
	}
	return RC_OK;
}
