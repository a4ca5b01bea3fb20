/*
 * Sums over whole packets: what trains are cut into and joined from has its checksum made or checked in
 * software, so this is where the data plane's own time goes. Called through csum_add() only.
 */
#include "wire/csum.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* 32-bit words are summed in 64-bit lanes, which cannot overflow in one packet. n: a multiple of 64. */
__attribute__((target("avx2"))) static uint64_t add_avx2(const uint8_t *b, size_t n)
{
	const __m256i low = _mm256_set1_epi64x(0xffffffff);
	__m256i sum[4] = { _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
		_mm256_setzero_si256() };
	uint64_t lanes[4];

	for (; n > 0; n -= 64, b += 64) {
		__m256i x = _mm256_loadu_si256((const __m256i *)(const void *)b);
		__m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(b + 32));
		sum[0] = _mm256_add_epi64(sum[0], _mm256_and_si256(x, low));
		sum[1] = _mm256_add_epi64(sum[1], _mm256_srli_epi64(x, 32));
		sum[2] = _mm256_add_epi64(sum[2], _mm256_and_si256(y, low));
		sum[3] = _mm256_add_epi64(sum[3], _mm256_srli_epi64(y, 32));
	}
	__m256i all = _mm256_add_epi64(_mm256_add_epi64(sum[0], sum[1]), _mm256_add_epi64(sum[2], sum[3]));
	_mm256_storeu_si256((__m256i *)(void *)lanes, all);
	return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

uint64_t csum_add_long(uint64_t sum, const void *bytes, size_t n)
{
	size_t whole = n & ~(size_t)63;

	if (!__builtin_cpu_supports("avx2"))
		return csum_add_words(sum, bytes, n);
	uint64_t more = add_avx2(bytes, whole);
	sum = (sum & 0xffffffff) + (sum >> 32) + (more & 0xffffffff) + (more >> 32);
	return csum_add_words(sum, (const uint8_t *)bytes + whole, n - whole);
}

#else

uint64_t csum_add_long(uint64_t sum, const void *bytes, size_t n)
{
	return csum_add_words(sum, bytes, n);
}

#endif
