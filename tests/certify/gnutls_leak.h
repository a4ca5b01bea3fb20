/*
 * For programs that run the engine over GnuTLS with a sanitizer. GnuTLS 3.7.9 loses the octets of a nameConstraints subtree of a kind
 * that it does not know (otherName): seen with valgrind and a program that reads one such certificate and nothing else; 3.8.9 does
 * by the sanitizer. That function alone is passed over: what we lose of the library's objects is found. Only the slow unwinder sees
 * its frame, the sixth.
 */
#ifndef TESTS_CERTIFY_GNUTLS_LEAK_H
#define TESTS_CERTIFY_GNUTLS_LEAK_H

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0:malloc_context_size=8";
}

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:gnutls_x509_ext_import_name_constraints\n";
}

#endif
