/*
 * The files that sshd reads: its configuration, from one table, and the accounts of its mount namespace. Pure.
 */
#ifndef SSH_FILES_H
#define SSH_FILES_H

#include "ssh/setup.h"

/* As they are named in the mount namespace of sshd (sandbox/login.h). */
#define SSH_SHELL	"/shell/plaingate"
#define SSH_CONFIG	"/etc/ssh/sshd_config"
#define SSH_AUTHORITIES "/etc/ssh/authorities"
#define SSH_KEYS_DIR	"/etc/ssh/keys"
#define SSH_HOST_KEY	"/keys/host_ed25519"
#define SSH_HOMES	"/home"
#define SSH_PRIVSEP	"/run/sshd"

#define SSH_CONFIG_TEXT_MAX 8192	/* octets */
#define SSH_FILE_TEXT_MAX   (16 * 1024) /* octets of the others: 64 lines, or 8 keys */

/* From which version on sshd knows a setting. */
enum ssh_since {
	SSH_ANY,   /* 9.2: Debian 12 */
	SSH_SPLIT, /* sshd-session beside sshd: 9.8 and later; Debian 13 has 10.0 */
};

/* clang-format off */
/*
 * Each setting of sshd, once: what is not here has sshd's own value, and no file beside this one is read. A value of NULL is written by
 * ssh_config_text() from the setup.
 */
#define SSH_SETTINGS(S)	/* keyword, value, since, why */								\
	S("Port",                         NULL,  SSH_ANY, "of the configuration")					\
	S("HostKey",                      SSH_HOST_KEY, SSH_ANY, "the gateway's own, never the machine's")		\
	S("PidFile",                      "none", SSH_ANY, "its parent knows it")					\
	S("LogLevel",                     "VERBOSE", SSH_ANY, "failures are read from it (ssh/failures.h)")		\
	S("UsePAM",                       "no",  SSH_ANY, "nothing of the host decides who comes in")			\
	S("AuthenticationMethods",        "publickey", SSH_ANY, "and no other")						\
	S("PubkeyAuthentication",         "yes", SSH_ANY, "keys and certificates of the configuration")		\
	S("PasswordAuthentication",       "no",  SSH_ANY, "there are no passwords")					\
	S("PermitEmptyPasswords",         "no",  SSH_ANY, "there are none")						\
	S("KbdInteractiveAuthentication", "no",  SSH_ANY, "which would be passwords again")				\
	S("GSSAPIAuthentication",         "no",  SSH_ANY, "no realm decides who comes in")				\
	S("KerberosAuthentication",       "no",  SSH_ANY, "likewise")							\
	S("HostbasedAuthentication",      "no",  SSH_ANY, "no other host does")					\
	S("IgnoreRhosts",                 "yes", SSH_ANY, "likewise")							\
	S("PermitRootLogin",              "no",  SSH_ANY, "root is at the console")					\
	S("DenyUsers",                    "root sshd", SSH_ANY, "who exists beside the administrators")			\
	S("AuthorizedKeysFile",           SSH_KEYS_DIR "/%u", SSH_ANY, "written by the process ssh alone")		\
	S("AuthorizedKeysCommand",        "none", SSH_ANY, "no program is asked")					\
	S("AuthorizedPrincipalsFile",     "none", SSH_ANY, "a certificate names its administrator")			\
	S("TrustedUserCAKeys",            SSH_AUTHORITIES, SSH_ANY, "the authorities of the configuration")		\
	S("StrictModes",                  "yes", SSH_ANY, "files of others are no keys")				\
	S("ForceCommand",                 SSH_SHELL " shell", SSH_ANY, "whatever the client asks for")		\
	S("PermitTTY",                    "yes", SSH_ANY, "the shell edits lines and pages")				\
	S("PermitUserRC",                 "no",  SSH_ANY, "a file of the home runs nothing")				\
	S("PermitUserEnvironment",        "no",  SSH_ANY, "nor does it set variables")				\
	S("ExposeAuthInfo",               "yes", SSH_ANY, "by which key, for admin_login")				\
	S("AllowAgentForwarding",         "yes", SSH_ANY, "signatures of commits by the administrator's own agent")	\
	S("AllowTcpForwarding",           "no",  SSH_ANY, "the gateway is nobody's way into a network")		\
	S("AllowStreamLocalForwarding",   "no",  SSH_ANY, "nor to a socket of it")					\
	S("PermitOpen",                   "none", SSH_ANY, "likewise")							\
	S("PermitListen",                 "none", SSH_ANY, "likewise")							\
	S("GatewayPorts",                 "no",  SSH_ANY, "likewise")							\
	S("PermitTunnel",                 "no",  SSH_ANY, "likewise")							\
	S("X11Forwarding",                "no",  SSH_ANY, "likewise")							\
	S("MaxAuthTries",                 "6",   SSH_ANY, "an agent offers several keys")				\
	S("MaxSessions",                  "4",   SSH_ANY, "of one connection")						\
	S("LoginGraceTime",               "30",  SSH_ANY, "seconds for who has not shown a key")			\
	S("MaxStartups",                  "16:30:60", SSH_ANY, "of these, all together")				\
	S("PerSourceMaxStartups",         "8",   SSH_ANY, "so that one source does not take all places")		\
	S("PerSourceNetBlockSize",        "32:64", SSH_ANY, "an IPv6 host has its whole network")			\
	/* a key that works is not locked out by others of its address */	\
	S("PerSourcePenalties",           "no", SSH_SPLIT, "they close the door to a whole address, also for a key that works") \
	S("ClientAliveInterval",          "20",  SSH_ANY, "a client that is gone is found out")			\
	S("ClientAliveCountMax",          "3",   SSH_ANY, "likewise")							\
	S("ChannelTimeout",               NULL,  SSH_ANY, "idle-timeout of the configuration")			\
	S("UnusedConnectionTimeout",      "30",  SSH_ANY, "a connection without a session ends")			\
	S("UseDNS",                       "no",  SSH_ANY, "nothing depends on names")					\
	S("Compression",                  "no",  SSH_ANY, "no decoder of it")						\
	S("PrintMotd",                    "no",  SSH_ANY, "the shell says what is to be said")			\
	S("PrintLastLog",                 "no",  SSH_ANY, "the ledger has it")						\
	S("DebianBanner",                 "no",  SSH_ANY, "strangers are told no version of a package")		\
	S("RekeyLimit",                   "512M 1h", SSH_ANY, "of one key")						\
	S("HostKeyAlgorithms",            "ssh-ed25519", SSH_ANY, "as the host key is")				\
	S("KexAlgorithms",                "mlkem768x25519-sha256,sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org", SSH_SPLIT, "hybrids first") \
	S("KexAlgorithms",                "sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org", SSH_ANY, "the first line of a keyword counts") \
	S("Ciphers",                      "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com", SSH_ANY, "AEAD alone") \
	S("MACs",                         "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com", SSH_ANY, "AEAD has none of them") \
	S("PubkeyAcceptedAlgorithms",     SSH_ALGORITHMS ",ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com," \
		"ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com," \
		"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com", SSH_ANY, "types of the configuration") \
	S("CASignatureAlgorithms",        SSH_ALGORITHMS, SSH_ANY, "likewise")						\
	S("RequiredRSASize",              "3072", SSH_ANY, "as the configuration demands")

#define SSH_ALGORITHMS "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com," \
	"sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256"
/* clang-format on */

/* Each returns the length, 0: it does not fit. setup was checked. privsep: the user that reads what strangers send, sshd's own. */
size_t ssh_config_text(char *ret_text, size_t size, const struct ssh_setup *setup, enum ssh_since version);
size_t ssh_passwd_text(char *ret_text, size_t size, const struct ssh_setup *setup, uint32_t privsep_uid,
	uint32_t privsep_gid);
size_t ssh_shadow_text(char *ret_text, size_t size, const struct ssh_setup *setup);
size_t ssh_group_text(char *ret_text, size_t size, const struct ssh_setup *setup, uint32_t privsep_gid);
size_t ssh_keys_text(char *ret_text, size_t size, const struct ssh_account *account);
size_t ssh_authorities_text(char *ret_text, size_t size, const struct ssh_setup *setup);

#define SSH_TTY_GROUP 5u /* in that namespace alone: terminals belong to it */

#endif
