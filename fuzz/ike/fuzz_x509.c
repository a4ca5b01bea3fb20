/* Where the key of a certificate stands: inside of it, and the same again of what ends with it. */
#include "must.h"
#include "wire/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *spki;
	size_t spki_n;

	if (x509_public_key(data, n, &spki, &spki_n))
		MUST(spki >= data && spki_n >= 2 && spki_n <= (size_t)(data + n - spki) && spki[0] == 0x30);
	return 0;
}
