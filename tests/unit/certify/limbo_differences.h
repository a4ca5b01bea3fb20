/*
 * Where the verdict of an engine is not the one that x509-limbo expects, and why. Both together accept what both accept.
 */
#ifndef TESTS_LIMBO_DIFFERENCES_H
#define TESTS_LIMBO_DIFFERENCES_H

#define ISSUERS                                                                                              \
	"a rule for who issues certificates (RFC 5280, MUST of the CA), which no check of a path asks for (section 6)"
#define BROWSERS "browsers' rule (CA/Browser Forum); RFC 5280 permits it"
#define SUBJECT                                                                                              \
	"the name of the subject is not looked at when a dNSName or an iPAddress is wanted: the alternative name alone decides"
#define EKU                                                                                                  \
	"absent, any, ipsecIKE (RFC 4945 5.1.3.12) or TLS's of the role, critical or not, and nothing is asked of the anchor's"

/* clang-format off */
static const struct {
	const char *id;
	bool libcrypto, gnutls;
	const char *why;
} differ[] = {
	{ "crl::crlnumber-missing", ACCEPTS, ACCEPTS, ISSUERS },
	{ "pathlen::validation-ignores-pathlen-in-leaf", REFUSES, REFUSES, "an authority's certificate is nobody's identity here" },
	{ "pathlen::self-issued-certs-pathlen", ACCEPTS, REFUSES, "GnuTLS counts self-issued certificates into the path length" },
	{ "pathlen::max-chain-depth-0-exhausted", ACCEPTS, ACCEPTS, "the depth is ours, eight, and not the caller's to lower" },
	{ "pathlen::max-chain-depth-1-exhausted", ACCEPTS, ACCEPTS, "the depth is ours, eight, and not the caller's to lower" },
	{ "rfc5280::aki::leaf-missing-aki", ACCEPTS, ACCEPTS, ISSUERS },
	{ "rfc5280::aki::intermediate-missing-aki", ACCEPTS, ACCEPTS, ISSUERS },
	{ "rfc5280::aki::cross-signed-root-missing-aki", ACCEPTS, ACCEPTS, ISSUERS },
	{ "rfc5280::nc::permitted-dns-match-noncritical", ACCEPTS, ACCEPTS, ISSUERS "; it is enforced all the same" },
	{ "rfc5280::nc::invalid-dnsname-leading-period", ACCEPTS, ACCEPTS,
		"both read .example.com as the names below example.com, as issuers mean it" },
	{ "rfc5280::nc::not-allowed-in-ee-noncritical", ACCEPTS, ACCEPTS, "a constraint in the end entity's certificate binds nobody; " ISSUERS },
	{ "rfc5280::nc::not-allowed-in-ee-critical", ACCEPTS, ACCEPTS, "a constraint in the end entity's certificate binds nobody; " ISSUERS },
	{ "rfc5280::nc::intermediate-with-san-rejected-by-intermediate-nc", REFUSES, ACCEPTS,
		"GnuTLS applies constraints to the end entity alone; libcrypto to all of the path" },
	{ "rfc5280::nc::intermediate-with-san-rejected-by-root-nc", REFUSES, ACCEPTS,
		"GnuTLS applies constraints to the end entity alone; libcrypto to all of the path" },
	{ "rfc5280::nc::nc-permits-invalid-dns-san", ACCEPTS, ACCEPTS, "the name that the case wants is well-formed and permitted; .example.com is no identity here" },
	{ "rfc5280::nc::nc-permits-invalid-ip-san", REFUSES, ACCEPTS, "GnuTLS passes over an address with a mask, libcrypto does not" },
	{ "rfc5280::nc::nc-permits-invalid-email-san", ACCEPTS, ACCEPTS,
		"the case wants no name; a mailbox with two @ is no identity here" },
	{ "rfc5280::nc::nc-forbids-alternate-chain-ica", REFUSES, ACCEPTS,
		"libcrypto follows one path; where it leads nowhere, the other one is not tried" },
	{ "rfc5280::nc::nc-forbids-same-chain-ica", REFUSES, ACCEPTS,
		"libcrypto follows one path; where it is constrained, the other one is not tried" },
	{ "rfc5280::nc::nc-forbids-othername-noop", ACCEPTS, REFUSES, "GnuTLS refuses constraints of a kind that it does not know" },
	{ "rfc5280::pc::ica-noncritical-pc", ACCEPTS, ACCEPTS, ISSUERS },
	{ "rfc5280::san::noncritical-with-empty-subject", ACCEPTS, ACCEPTS, ISSUERS },
	{ "rfc5280::san::underscore-dns", ACCEPTS, ACCEPTS, "underscores are in use; the name is compared exactly" },
	{ "rfc5280::serial::too-long", ACCEPTS, ACCEPTS, ISSUERS },
	{ "rfc5280::serial::zero", ACCEPTS, ACCEPTS, ISSUERS },
	{ "rfc5280::ski::root-missing-ski", ACCEPTS, ACCEPTS, ISSUERS },
	{ "rfc5280::ski::intermediate-missing-ski", ACCEPTS, ACCEPTS, ISSUERS },
	{ "rfc5280::validity::notafter-exact", REFUSES, ACCEPTS, "libcrypto ends the validity at the second of notAfter, GnuTLS after it" },
	{ "rfc5280::validity::notafter-fractional", REFUSES, ACCEPTS, "libcrypto ends the validity at the second of notAfter, GnuTLS after it" },
	{ "rfc5280::ca-empty-subject", ACCEPTS, ACCEPTS, ISSUERS },
	{ "rfc5280::root-non-critical-basic-constraints", ACCEPTS, ACCEPTS, ISSUERS },
	{ "rfc5280::leaf-ku-keycertsign", ACCEPTS, ACCEPTS, "keyCertSign without cA gives no right: such a certificate is refused as an issuer" },
	{ "rfc5280::ca-as-leaf", REFUSES, REFUSES, "an authority's certificate is nobody's identity here" },
	{ "webpki::aki::root-with-aki-missing-keyidentifier", ACCEPTS, ACCEPTS, BROWSERS },
	{ "webpki::aki::root-with-aki-authoritycertissuer", ACCEPTS, ACCEPTS, BROWSERS },
	{ "webpki::aki::root-with-aki-authoritycertserialnumber", ACCEPTS, ACCEPTS, BROWSERS },
	{ "webpki::aki::root-with-aki-all-fields", ACCEPTS, ACCEPTS, BROWSERS },
	{ "webpki::aki::root-with-aki-ski-mismatch", ACCEPTS, ACCEPTS, BROWSERS },
	{ "webpki::cn::ipv4-hex-mismatch", ACCEPTS, ACCEPTS, SUBJECT },
	{ "webpki::cn::ipv4-leading-zeros-mismatch", ACCEPTS, ACCEPTS, SUBJECT },
	{ "webpki::cn::ipv6-uppercase-mismatch", ACCEPTS, ACCEPTS, SUBJECT },
	{ "webpki::cn::ipv6-uncompressed-mismatch", ACCEPTS, ACCEPTS, SUBJECT },
	{ "webpki::cn::ipv6-non-rfc5952-mismatch", ACCEPTS, ACCEPTS, SUBJECT },
	{ "webpki::cn::punycode-not-in-san", ACCEPTS, ACCEPTS, SUBJECT },
	{ "webpki::cn::utf8-vs-punycode-mismatch", ACCEPTS, ACCEPTS, SUBJECT },
	{ "webpki::cn::not-in-san", ACCEPTS, ACCEPTS, SUBJECT },
	{ "webpki::cn::case-mismatch", ACCEPTS, ACCEPTS, SUBJECT },
	{ "webpki::eku::ee-anyeku", ACCEPTS, ACCEPTS, EKU },
	{ "webpki::eku::ee-critical-eku", ACCEPTS, ACCEPTS, EKU },
	{ "webpki::eku::ee-without-eku", ACCEPTS, ACCEPTS, EKU },
	{ "webpki::eku::root-has-eku", ACCEPTS, ACCEPTS, EKU },
	{ "webpki::nc::intermediate-permitted-excluded-subtrees-both-null", ACCEPTS, ACCEPTS, BROWSERS },
	{ "webpki::nc::intermediate-permitted-excluded-subtrees-both-empty-sequences", ACCEPTS, ACCEPTS, BROWSERS },
	{ "webpki::nc::nc-permits-dns-san-pattern", REFUSES, REFUSES, "RFC 4945 3.1.2: an identity is compared exactly, without wildcards" },
	{ "webpki::san::leftmost-wildcard-san", REFUSES, REFUSES, "RFC 4945 3.1.2: an identity is compared exactly, without wildcards" },
	{ "webpki::san::san-critical-with-nonempty-subject", ACCEPTS, ACCEPTS, BROWSERS },
	{ "webpki::malformed-aia", ACCEPTS, ACCEPTS, "nothing is fetched, so the extension is not read" },
	{ "webpki::forbidden-rsa-not-divisible-by-8-in-root", ACCEPTS, ACCEPTS, BROWSERS },
	{ "webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf", ACCEPTS, ACCEPTS, BROWSERS },
};
/* clang-format on */

#endif
