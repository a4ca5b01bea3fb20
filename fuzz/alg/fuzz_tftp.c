/* A TFTP request: what is accepted is one by a second, simpler reading, and no truncation of it is. */
#include "alg/limits.h"
#include "alg/tftp.h"
#include "must.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct endpoint client = { .port = 40000 };
	struct ip_addr server;
	struct expectation e;
	uint8_t *copy = malloc(n ? n : 1);
	size_t zeros = 0;

	MUST(copy);
	memcpy(copy, data, n);
	addr_parse(&client.addr, "10.0.0.2");
	addr_parse(&server, "192.0.2.9");
	if (tftp_datagram(copy, n, &client, &server, &e) == ALG_EXPECT) {
		for (size_t i = 2; i < n; i++)
			zeros += copy[i] == 0;
		MUST(n <= TFTP_REQUEST_MAX && copy[0] == 0 && (copy[1] == 1 || copy[1] == 2) &&
			copy[n - 1] == 0);
		MUST(zeros >= 2 && zeros % 2 == 0);
		MUST(addr_equal(&e.src, &server) && addr_equal(&e.dst, &client.addr) && e.dst_port == 40000);
		MUST(tftp_datagram(copy, n - 1, &client, &server, &e) != ALG_EXPECT);
	}
	free(copy);
	return 0;
}
