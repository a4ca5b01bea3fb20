/*
 * Applications that need no configuration: names for well-known protocols and ports (IANA's service names where there
 * is one). One row per protocol and port range; rows of one name stand together. The compiler and the reference page
 * read it. An application of the configuration with the same name replaces the built-in one.
 */
#ifndef MODEL_APPLICATIONS_H
#define MODEL_APPLICATIONS_H

/* clang-format off */
#define BUILT_IN_APPLICATIONS(A)	/* name, IP protocol, first and last destination port or ICMP type */	\
	A("bgp",        6,  179,   179)		\
	A("dhcp",       17, 67,    68)		\
	A("dns",        17, 53,    53)		\
	A("dns",        6,  53,    53)		\
	A("dns-tls",    6,  853,   853)		\
	A("esp",        50, 0,     65535)	\
	A("ftp",        6,  21,    21)		\
	A("gre",        47, 0,     65535)	\
	A("http",       6,  80,    80)		\
	A("https",      6,  443,   443)		\
	A("icmp",       1,  0,     65535)	\
	A("icmp6",      58, 0,     65535)	\
	A("ike",        17, 500,   500)		\
	A("ike",        17, 4500,  4500)	\
	A("imap",       6,  143,   143)		\
	A("imaps",      6,  993,   993)		\
	A("kerberos",   6,  88,    88)		\
	A("kerberos",   17, 88,    88)		\
	A("ldap",       6,  389,   389)		\
	A("ldaps",      6,  636,   636)		\
	A("mysql",      6,  3306,  3306)	\
	A("nfs",        6,  2049,  2049)	\
	A("ntp",        17, 123,   123)		\
	A("ospf",       89, 0,     65535)	\
	A("ping",       1,  8,     8)		\
	A("ping",       58, 128,   128)		\
	A("pop3",       6,  110,   110)		\
	A("pop3s",      6,  995,   995)		\
	A("postgresql", 6,  5432,  5432)	\
	A("quic",       17, 443,   443)		\
	A("rdp",        6,  3389,  3389)	\
	A("rdp",        17, 3389,  3389)	\
	A("sip",        6,  5060,  5060)	\
	A("sip",        17, 5060,  5060)	\
	A("smb",        6,  445,   445)		\
	A("smtp",       6,  25,    25)		\
	A("smtps",      6,  465,   465)		\
	A("snmp",       17, 161,   161)		\
	A("snmp-trap",  17, 162,   162)		\
	A("ssh",        6,  22,    22)		\
	A("submission", 6,  587,   587)		\
	A("syslog",     17, 514,   514)		\
	A("syslog-tls", 6,  6514,  6514)	\
	A("tcp-any",    6,  0,     65535)	\
	A("telnet",     6,  23,    23)		\
	A("tftp",       17, 69,    69)		\
	A("traceroute", 17, 33434, 33534)	\
	A("udp-any",    17, 0,     65535)	\
	A("vnc",        6,  5900,  5900)
/* clang-format on */

#endif
