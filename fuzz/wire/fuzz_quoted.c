/* What an ICMP error quotes: any octets are read within their bounds, and every place that is told lies
 * inside. */
#include "must.h"
#include "wire/ip.h"
#include "wire/quoted.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	struct quoted q, before;

	MUST(copy);
	memcpy(copy, data, n);
	memset(&q, 0x5a, sizeof q);
	before = q;
	if (quoted_parse(&q, copy, n)) {
		size_t ports = q.proto == IP_TCP			    ? 8
			       : q.proto == IP_UDP || q.proto == IP_SCTP    ? 4
			       : q.proto == IP_ICMP || q.proto == IP_ICMPV6 ? 6
									    : 0;
		MUST(q.src.family == q.dst.family && (q.src.family == ADDR_V4 || q.src.family == ADDR_V6));
		MUST(q.l4_offset >= 20 && q.l4_offset + ports <= n);
		MUST(q.csum_offset == 0 || (q.csum_offset > q.l4_offset && q.csum_offset + 2 <= n));
		MUST(ports || (q.src_port == 0 && q.dst_port == 0));
		/* The same quotation with more behind it says the same of ports. */
		uint8_t *longer = calloc(1, n + 64);
		struct quoted r;
		MUST(longer);
		memcpy(longer, data, n);
		MUST(quoted_parse(&r, longer, n + 64));
		MUST(r.src_port == q.src_port && r.dst_port == q.dst_port && r.l4_offset == q.l4_offset);
		free(longer);
	} else {
		MUST(memcmp(&q, &before, sizeof q) == 0); /* a failed parse leaves no trace */
	}
	free(copy);
	return 0;
}
