#include "model/habits.h"

#include <string.h>

#include "base/bytes.h"

#define BRACES "statements are written in braces, as in: system { host-name hq; }"

#define RULES_NAME                                                                                           \
	"rules name applications: define 'application NAME { protocol tcp; destination-port 8080; }' in applications"
#define THE_SYSTEMS                                                                                          \
	"addresses and routes are the operating system's (/etc/network/interfaces, systemd-networkd, ip route): they are followed"

#define ICMP_NUMBERS                                                                                         \
	"an ICMP type is its number: an echo request is 8 of icmp and 128 of icmp6, and the built-in application ping is both"
#define HOSTS_OWN "clock, name servers and users are the operating system's"

/* Words of other firewalls, and what is written here. */
static const struct {
	const char *word, *hint;
} habits[] = {
	{ "set", BRACES },
	{ "edit", BRACES },
	{ "delete", "remove the statement from the text instead" },
	{ "inactive:", "'inactive:' stands once, before the statement" },
	{ "inactive", "write 'inactive:', with its colon, before the statement" },
	{ "deactivate", "write 'inactive:' before the statement" },
	{ "disable", "write 'inactive:' before the statement that is to be switched off" },
	{ "description", "there is no description here: write a comment, # to the end of the line or /* */" },
	{ "security", "its parts are statements at the top: zones, policy, nat, ike, ipsec" },
	{ "security-zone", "write: zones { zone NAME { ... } }" },
	{ "policies", "write: policy { ... }" },
	{ "from-zone", "write: from ZONE to ZONE { rule NAME { ... } }" },
	{ "to-zone", "write: from ZONE to ZONE { rule NAME { ... } }" },
	{ "source-address", "write: source NAME" },
	{ "destination-address", "write: destination NAME" },
	{ "dns-name", "write: fqdn NAME" },
	{ "host-inbound-traffic", "write: host-inbound [ SERVICE SERVICE ]" },
	{ "system-services", "write: host-inbound [ SERVICE SERVICE ]" },
	{ "service", RULES_NAME },
	{ "protocol", RULES_NAME },
	{ "destination-port", RULES_NAME },
	{ "accept", "write: permit" },
	{ "allow", "write: permit" },
	{ "pass", "write: permit" },
	{ "drop", "write: deny" },
	{ "block", "write: deny" },
	{ "schedule", "write: scheduler-name NAME" },
	{ "rule-set", "rules stand in source, destination and static themselves, each with its own from and to" },
	{ "pool", "a pool has no name: its addresses are written in the rule, as in: source-nat 198.51.100.8/29" },
	{ "masquerade", "write: source-nat interface" },
	{ "ids-option", "write: screens { screen NAME { ... } }, and in the zone: screen NAME" },
	{ "gateway", "write: peer NAME { ... } in ike" },
	{ "vpn", "write: tunnel NAME { ... } in ipsec" },
	{ "traffic-selector", "write: local PREFIX; remote PREFIX;" },
	{ "proxy-identity", "write: local PREFIX; remote PREFIX;" },
	{ "dead-peer-detection", "write: dpd SECONDS" },
	{ "echo-request", ICMP_NUMBERS },
	{ "echo-reply", "replies pass with the session of their query" },
	{ "syslog", "syslog is: log { stream NAME { host ADDRESS; transport tcp; } }, in the format rfc5424" },
	{ "pptp", "there is no ALG for it" },
	{ "h323", "there is no ALG for it" },
	{ "time-zone", HOSTS_OWN },
	{ "name-server", HOSTS_OWN },
	{ "login", HOSTS_OWN },
	{ "rekey-time", "write: lifetime SECONDS" },
	{ "lifetime-seconds", "write: lifetime SECONDS" },
	{ "lifetime-kilobytes", "write: lifetime-bytes OCTETS" },
}, at_the_top[] = {
	{ "interfaces", THE_SYSTEMS },
	{ "routing-options", THE_SYSTEMS },
	{ "routing-instances", THE_SYSTEMS },
	{ "protocols", "routing protocols are other programs' (FRR, BIRD): the kernel's routes are followed" },
	{ "firewall", "write: policy { from ZONE to ZONE { rule NAME { ... } } }" },
};

const char *habit_hint(const char *word, size_t n, bool top)
{
	if (n >= 2 && memcmp(word, "//", 2) == 0)
		return "comments begin with #, or are written between /* and */";
	if (word[0] == '\'')
		return "strings are written in double quotes, and need them only for white space and { } [ ] ; \" #";
	if (memchr(word, ',', n))
		return "values are separated by white space, without commas";
	if (n >= 4 && memcmp(word, "modp", 4) == 0)
		return "configure x25519, ecp256 or ecp384 at both ends; with an old peer modp2048, modp3072 or modp4096 and legacy-algorithms";
	if (n >= 3 && (memmem(word, n, "cbc", 3) || memmem(word, n, "3des", 4)))
		return "only ciphers that authenticate as well (AEAD) are for everybody: configure one of these at both ends; with an old peer AES-CBC and its HMAC are one word, such as aes256cbcsha256, with legacy-algorithms";
	for (size_t i = 0; i < COUNT_OF(habits); i++)
		if (strlen(habits[i].word) == n && memcmp(habits[i].word, word, n) == 0)
			return habits[i].hint;
	for (size_t i = 0; top && i < COUNT_OF(at_the_top); i++)
		if (strlen(at_the_top[i].word) == n && memcmp(at_the_top[i].word, word, n) == 0)
			return at_the_top[i].hint;
	return NULL;
}
