/*
 * The numbers of IKEv2 (RFC 7296 section 3, IANA "Internet Key Exchange Version 2 Parameters"): one table per
 * registry makes the enum and the names. Algorithms that Plaingate negotiates are in model/algorithms.h; the
 * tables here also name those it does not, so that a refusal can say what the peer offered.
 */
#ifndef WIRE_IKE_NUMBERS_H
#define WIRE_IKE_NUMBERS_H

#include <stdint.h>

/* clang-format off */
#define IKE_EXCHANGES(X)	/* id, number */	\
	X(IKE_SA_INIT,     34)				\
	X(IKE_AUTH,        35)				\
	X(CREATE_CHILD_SA, 36)				\
	X(INFORMATIONAL,   37)				\
	X(IKE_INTERMEDIATE, 43)	/* RFC 9242 */	\
	X(IKE_FOLLOWUP_KE, 44)	/* RFC 9370 */

#define IKE_PAYLOADS(P)		/* id, number, name; many: 1 if it may occur more than once */	\
	P(SA,       33, "SA",       0)	\
	P(KE,       34, "KE",       0)	\
	P(IDI,      35, "IDi",      0)	\
	P(IDR,      36, "IDr",      0)	\
	P(CERT,     37, "CERT",     1)	\
	P(CERTREQ,  38, "CERTREQ",  1)	\
	P(AUTH,     39, "AUTH",     0)	\
	P(NONCE,    40, "Nonce",    0)	\
	P(NOTIFY,   41, "N",        1)	\
	P(DELETE,   42, "D",        1)	\
	P(VENDOR,   43, "V",        1)	\
	P(TSI,      44, "TSi",      0)	\
	P(TSR,      45, "TSr",      0)	\
	P(SK,       46, "SK",       0)	\
	P(CP,       47, "CP",       0)	\
	P(EAP,      48, "EAP",      0)	\
	P(PS,       54, "PS",       0)	/* RFC 8019 */

#define IKE_NOTIFIES(N)		/* id, number: below 16384 errors, above status */	\
	N(UNSUPPORTED_CRITICAL_PAYLOAD, 1)	\
	N(INVALID_IKE_SPI,              4)	\
	N(INVALID_MAJOR_VERSION,        5)	\
	N(INVALID_SYNTAX,               7)	\
	N(INVALID_MESSAGE_ID,           9)	\
	N(INVALID_SPI,                  11)	\
	N(NO_PROPOSAL_CHOSEN,           14)	\
	N(INVALID_KE_PAYLOAD,           17)	\
	N(AUTHENTICATION_FAILED,        24)	\
	N(SINGLE_PAIR_REQUIRED,         34)	\
	N(NO_ADDITIONAL_SAS,            35)	\
	N(INTERNAL_ADDRESS_FAILURE,     36)	\
	N(FAILED_CP_REQUIRED,           37)	\
	N(TS_UNACCEPTABLE,              38)	\
	N(INVALID_SELECTORS,            39)	\
	N(TEMPORARY_FAILURE,            43)	\
	N(CHILD_SA_NOT_FOUND,           44)	\
	N(STATE_NOT_FOUND,              47)	\
	N(TS_MAX_QUEUE,                 48)	\
	N(INITIAL_CONTACT,              16384)	\
	N(SET_WINDOW_SIZE,              16385)	\
	N(ADDITIONAL_TS_POSSIBLE,       16386)	\
	N(IPCOMP_SUPPORTED,             16387)	\
	N(NAT_DETECTION_SOURCE_IP,      16388)	\
	N(NAT_DETECTION_DESTINATION_IP, 16389)	\
	N(COOKIE,                       16390)	\
	N(USE_TRANSPORT_MODE,           16391)	\
	N(HTTP_CERT_LOOKUP_SUPPORTED,   16392)	\
	N(REKEY_SA,                     16393)	\
	N(ESP_TFC_PADDING_NOT_SUPPORTED,16394)	\
	N(NON_FIRST_FRAGMENTS_ALSO,     16395)	\
	N(MOBIKE_SUPPORTED,             16396)	\
	N(AUTH_LIFETIME,                16403)	\
	N(MULTIPLE_AUTH_SUPPORTED,      16404)	\
	N(REDIRECT_SUPPORTED,           16406)	\
	N(REDIRECT,                     16407)	\
	N(REDIRECTED_FROM,              16408)	\
	N(EAP_ONLY_AUTHENTICATION,      16417)	\
	N(CHILDLESS_IKEV2_SUPPORTED,    16418)	\
	N(QCD_TOKEN,                    16419)	\
	N(IKEV2_FRAGMENTATION_SUPPORTED,16430)	\
	N(SIGNATURE_HASH_ALGORITHMS,    16431)	\
	N(PUZZLE,                       16434)	\
	N(USE_PPK,                      16435)	\
	N(PPK_IDENTITY,                 16436)	\
	N(NO_PPK_AUTH,                  16437)	\
	N(INTERMEDIATE_EXCHANGE_SUPPORTED, 16438)	\
	N(ADDITIONAL_KEY_EXCHANGE,      16441)	\
	N(SA_RESOURCE_INFO,             16444)	\
	N(IKE_SA_INIT_FULL_TRANSCRIPT_AUTH, 16447)	/* draft-ietf-ipsecme-ikev2-downgrade-prevention-08 */	\
	/* private use (RFC 7296 section 3.10.1), between gateways that offered the vendor id of ike/peer_message.c */	\
	N(PLAINGATE_WITNESS_ASK,        42001)	\
	N(PLAINGATE_WITNESS_ANSWER,     42002)	\
	N(PLAINGATE_WITNESS_PART,       42003)

#define IKE_TRANSFORM_TYPES(T)	/* id, number, name */	\
	T(ENCR,  1, "encryption")	\
	T(PRF,   2, "PRF")		\
	T(INTEG, 3, "integrity")	\
	T(DH,    4, "DH group")		\
	T(ESN,   5, "sequence numbers")

/* RFC 9370: additional key exchanges 1 to 7, of the DH groups' numbers. */
#define TT_ADDKE_FIRST 6
#define TT_ADDKE_LAST  12

#define IKE_TRANSFORM_NAMES(T)	/* type, number, name as IANA writes it, short; the number's key length follows it */	\
	T(ENCR, 2, "DES") T(ENCR, 3, "3DES") T(ENCR, 5, "CAST") T(ENCR, 7, "BLOWFISH") T(ENCR, 11, "NULL")	\
	T(ENCR, 12, "AES_CBC") T(ENCR, 13, "AES_CTR") T(ENCR, 14, "AES_CCM_8") T(ENCR, 15, "AES_CCM_12")		\
	T(ENCR, 16, "AES_CCM_16") T(ENCR, 18, "AES_GCM_8") T(ENCR, 19, "AES_GCM_12") T(ENCR, 20, "AES_GCM_16")	\
	T(ENCR, 23, "CAMELLIA_CBC") T(ENCR, 24, "CAMELLIA_CTR") T(ENCR, 28, "CHACHA20_POLY1305")			\
	T(PRF, 1, "PRF_HMAC_MD5") T(PRF, 2, "PRF_HMAC_SHA1") T(PRF, 4, "PRF_AES128_XCBC")				\
	T(PRF, 5, "PRF_HMAC_SHA2_256") T(PRF, 6, "PRF_HMAC_SHA2_384") T(PRF, 7, "PRF_HMAC_SHA2_512")			\
	T(PRF, 8, "PRF_AES128_CMAC")											\
	T(INTEG, 0, "NONE") T(INTEG, 1, "HMAC_MD5_96") T(INTEG, 2, "HMAC_SHA1_96") T(INTEG, 5, "AES_XCBC_96")		\
	T(INTEG, 8, "AES_CMAC_96") T(INTEG, 12, "HMAC_SHA2_256_128") T(INTEG, 13, "HMAC_SHA2_384_192")			\
	T(INTEG, 14, "HMAC_SHA2_512_256")										\
	T(DH, 0, "NONE") T(DH, 1, "MODP_768") T(DH, 2, "MODP_1024") T(DH, 5, "MODP_1536") T(DH, 14, "MODP_2048")	\
	T(DH, 15, "MODP_3072") T(DH, 16, "MODP_4096") T(DH, 17, "MODP_6144") T(DH, 18, "MODP_8192")			\
	T(DH, 19, "ECP_256") T(DH, 20, "ECP_384") T(DH, 21, "ECP_521") T(DH, 22, "MODP_1024_160")			\
	T(DH, 23, "MODP_2048_224") T(DH, 24, "MODP_2048_256") T(DH, 25, "ECP_192") T(DH, 26, "ECP_224")			\
	T(DH, 27, "BRAINPOOL_224") T(DH, 28, "BRAINPOOL_256") T(DH, 29, "BRAINPOOL_384") T(DH, 30, "BRAINPOOL_512")	\
	T(DH, 31, "CURVE25519") T(DH, 32, "CURVE448") T(DH, 35, "ML_KEM_512") T(DH, 36, "ML_KEM_768")			\
	T(DH, 37, "ML_KEM_1024")											\
	T(ESN, 0, "NO_ESN") T(ESN, 1, "ESN")
/* clang-format on */

enum ike_exchange {
#define E(id, number) EX_##id = number,
	IKE_EXCHANGES(E)
#undef E
};

enum ike_payload_type {
	PL_NO_NEXT = 0,
#define E(id, number, name, many) PL_##id = number,
	IKE_PAYLOADS(E)
#undef E
		PL_SKF = 53, /* RFC 7383: part of a message; never beside others, nor in a chain */
};

/* One bit per payload type, for the sets of required and optional payloads. */
#define IKE_HAS(id) (1u << (PL_##id - PL_SA))

enum ike_notify_type {
#define E(id, number) NTF_##id = number,
	IKE_NOTIFIES(E)
#undef E
		NTF_FIRST_STATUS = 16384,
};

enum ike_transform_type {
#define E(id, number, name) TT_##id = number,
	IKE_TRANSFORM_TYPES(E)
#undef E
};

enum ike_protocol { IKE_PROTO_NONE = 0, IKE_PROTO_IKE = 1, IKE_PROTO_AH = 2, IKE_PROTO_ESP = 3 };

enum ike_flags { IKE_FLAG_INITIATOR = 1 << 3, IKE_FLAG_VERSION = 1 << 4, IKE_FLAG_RESPONSE = 1 << 5 };

/* "IKE_AUTH", "TSi", "NO_PROPOSAL_CHOSEN"; NULL for a number that is not in the table. */
const char *ike_exchange_name(unsigned number);
const char *ike_payload_name(unsigned number);
const char *ike_notify_name(unsigned number);
/* "CURVE25519", "AES_CBC", ...; NULL when unknown. */
const char *ike_transform_name(unsigned type, unsigned number);

#endif
