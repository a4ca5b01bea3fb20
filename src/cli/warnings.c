/*
 * Rules without effect are a matter of the text alone. Interfaces, addresses and key files are looked up on
 * this machine: where none of the interfaces exists, or there is no directory of keys, it is not the gateway,
 * and nothing is said of them. The machine whose gateway took the configuration is.
 */
#include "cli/warnings.h"

#include "admin/administrators.h"
#include "base/nearest.h"
#include "cli/certificates.h"
#include "cli/connection.h"
#include "cli/networks.h"
#include "ipc/certificate_file.h"
#include "model/default_proposal.h"
#include "model/model.h"
#include "model/warnings.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEYS_DIR "/etc/plaingate/keys"

static void print(void *context, const char *text)
{
	findings_warning(context, text);
}

static bool is_in_a_zone(const struct snapshot *s, const char *interface)
{
	for (uint32_t i = 0; i < s->interfaces.count; i++)
		if (strcmp(snap_interfaces(s)[i].name, interface) == 0)
			return true;
	return false;
}

/* One that exists, is in no zone, and has nearly this name. */
static const char *like(char ret_hint[NEAREST_HINT_MAX], const struct snapshot *s, const char *name)
{
	struct if_nameindex *all = if_nameindex();
	struct nearest near = nearest_to(name, strlen(name));

	for (const struct if_nameindex *at = all; at && at->if_name; at++)
		if (!is_in_a_zone(s, at->if_name))
			nearest_offer(&near, at->if_name, strlen(at->if_name));
	nearest_hint(ret_hint, &near);
	if (all)
		if_freenameindex(all);
	return ret_hint;
}

static bool has_an_interface(const struct snapshot *s)
{
	for (uint32_t i = 0; i < s->interfaces.count; i++)
		if (if_nametoindex(snap_interfaces(s)[i].name) != 0)
			return true;
	return false;
}

static void interfaces(const struct snapshot *s, struct findings *f)
{
	const struct snap_interface *in = snap_interfaces(s);
	char text[300], hint[NEAREST_HINT_MAX];

	for (uint32_t i = 0; i < s->interfaces.count; i++) {
		if (if_nametoindex(in[i].name) != 0)
			continue;
		snprintf(text, sizeof text, "interface %s of zone '%s' does not exist on this machine%s",
			in[i].name, snap_zones(s)[in[i].zone].name, like(hint, s, in[i].name));
		findings_warning(f, text);
	}
}

/* plaingated makes it, and only once; what is no TUN device cannot be what it has made. */
static void tunnel_interfaces(const struct snapshot *s, struct findings *f)
{
	char text[300], path[64 + INTERFACE_NAME_BYTES];

	for (uint32_t i = 0; i < s->tunnels.count; i++) {
		const struct snap_tunnel *t = &snap_tunnels(s)[i];
		if (!snap_tunnel_is_routed(t) || if_nametoindex(t->interface) == 0)
			continue;
		snprintf(path, sizeof path, "/sys/class/net/%s/tun_flags", t->interface);
		if (access(path, F_OK) == 0)
			continue;
		snprintf(text, sizeof text,
			"interface %s of tunnel '%s' exists on this machine already, so this configuration will be refused here: name one that does not exist, plaingated makes it",
			t->interface, t->name);
		findings_warning(f, text);
	}
}

static bool is_on_a_link(const struct ifaddrs *all, const struct ip_addr *wanted)
{
	for (const struct ifaddrs *at = all; at; at = at->ifa_next) {
		const void *a = at->ifa_addr;
		struct ip_addr here;
		if (!a || (at->ifa_addr->sa_family != AF_INET && at->ifa_addr->sa_family != AF_INET6))
			continue;
		here = at->ifa_addr->sa_family == AF_INET
			       ? addr_v4(&((const struct sockaddr_in *)a)->sin_addr)
			       : addr_v6(&((const struct sockaddr_in6 *)a)->sin6_addr);
		if (addr_equal(&here, wanted))
			return true;
	}
	return false;
}

/* A tunnel from an address that the machine does not have waits for it, in silence. */
static void local_addresses(const struct snapshot *s, struct findings *f)
{
	char address[ADDR_TEXT_MAX], text[300];
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) != 0)
		return;
	for (uint32_t i = 0; i < s->peers.count; i++) {
		const struct snap_peer *p = &snap_peers(s)[i];
		if (p->local.family == ADDR_NONE || is_on_a_link(all, &p->local))
			continue;
		snprintf(text, sizeof text,
			"local-address %s of peer '%s' is on no interface of this machine",
			addr_text(address, &p->local), p->name);
		findings_warning(f, text);
	}
	freeifaddrs(all);
}

static void key(struct findings *f, const char *peer, const char *name, const char *ending)
{
	char path[sizeof KEYS_DIR + NAME_MAX_BYTES + 8], text[400];

	snprintf(path, sizeof path, KEYS_DIR "/%s.%s", name, ending);
	if (access(path, F_OK) == 0 || errno != ENOENT)
		return;
	snprintf(text, sizeof text, "the key of peer '%s', %s, does not exist", peer, path);
	findings_warning(f, text);
}

static void keys(const struct snapshot *s, struct findings *f)
{
	for (uint32_t i = 0; access(KEYS_DIR, X_OK) == 0 && i < s->peers.count; i++) {
		const struct snap_peer *p = &snap_peers(s)[i];

		if (!(p->flags & PEER_PSK_OF_ID))
			key(f, p->name, p->key_name, p->auth == PEER_AUTH_PSK ? "psk" : "pem");
		if (p->ppk_name[0])
			key(f, p->name, p->ppk_name, "ppk");
	}
}

/* The reader's context: a directory, and who is told. */
struct certificate_directory {
	int fd;
	struct findings *findings;
};

static void certificate_fault(void *context, const char *text)
{
	const struct certificate_directory *d = context;
	char warning[ERR_TEXT_MAX + 60];

	snprintf(warning, sizeof warning, "a commit here would be refused: %s", text);
	findings_warning(d->findings, warning);
}

/* What a commit would refuse; on a machine that has no such directory nothing is said. */
static void certificates(const struct snapshot *s, struct findings *f)
{
	struct certificate_directory d = { open(CERTIFICATES_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC), f };
	size_t bytes = s->bytes;
	void *copy = d.fd >= 0 && s->certificate_files.count > 0 ? malloc(bytes) : NULL;

	if (copy) {
		memcpy(copy, s, bytes);
		certificates_add(&copy, &bytes, certificate_file_read, &d, certificate_fault, NULL);
	}
	free(copy);
	if (d.fd >= 0)
		close(d.fd);
}

/* Whoever sits on a connection that the configuration closes is told before the commit, which refuses it. */
static bool has_mlkem(void)
{
	return OPENSSL_version_major() > 3 || (OPENSSL_version_major() == 3 && OPENSSL_version_minor() >= 5);
}

/* A proposal whose additional key exchanges this machine's libcrypto lacks: it is not used here. */
static void additional_of(struct findings *f, const char *protocol, const char *name, uint16_t first)
{
	char text[320];

	snprintf(text, sizeof text,
		"%s proposal '%s' is not used on this machine: its additional-key-exchange %s needs "
		"libcrypto 3.5 or later; a %s without another proposal stays down",
		protocol, name, kem_word(first), strcmp(protocol, "IKE") == 0 ? "peer" : "tunnel");
	findings_warning(f, text);
}

/* Each of them once. */
static void additional(const struct snapshot *s, struct findings *f)
{
	const struct snap_ike_proposal *p = snap_ike_proposals(s);
	const struct snap_esp_proposal *x = snap_esp_proposals(s);

	for (uint32_t i = 0; !has_mlkem() && i < s->ike_proposals.count; i++) {
		bool again = false;

		for (uint32_t k = 0; k < i; k++)
			again |= strcmp(p[k].name, p[i].name) == 0;
		/* The default one has another beside it, as everybody without ML-KEM. */
		if (!again && p[i].additional[0] != 0 && strcmp(p[i].name, IKE_PROPOSAL_DEFAULT_HYBRID) != 0)
			additional_of(f, "IKE", p[i].name, p[i].additional[0]);
	}
	for (uint32_t i = 0; !has_mlkem() && i < s->esp_proposals.count; i++) {
		bool again = false;

		for (uint32_t k = 0; k < i; k++)
			again |= strcmp(x[k].name, x[i].name) == 0;
		if (!again && x[i].additional[0] != 0)
			additional_of(f, "ESP", x[i].name, x[i].additional[0]);
	}
}

static void own_connection(const struct snapshot *s, struct findings *f)
{
	struct host_connection c;
	char address[ADDR_TEXT_MAX], text[ERR_TEXT_MAX + 200];
	struct err e = { 0 };

	connection_find(&c);
	if (c.remote.family == ADDR_NONE || !has_an_interface(s) || snapshot_admits(s, &c, &e) == RC_OK)
		return;
	snprintf(text, sizeof text,
		"the connection from %s by which you work would not be admitted: %s; a commit of this needs --cut-off",
		addr_text(address, &c.remote), e.text);
	findings_warning(f, text);
}

static void warn(const struct snapshot *s, struct findings *f, bool gateway)
{
	snapshot_warnings(s, print, f);
	if (gateway || has_an_interface(s)) {
		interfaces(s, f);
		tunnel_interfaces(s, f);
		local_addresses(s, f);
		networks_warn(s, f);
	}
	keys(s, f);
	certificates_warn(s, f);
	additional(s, f);
	if (!gateway) /* which has read them, and refused them if need be */
		certificates(s, f);
}

const char *warnings_unchecked(char ret_text[WARNINGS_UNCHECKED_MAX], const struct snapshot *s)
{
	const struct {
		bool is;
		const char *what;
	} parts[] = {
		{ s->interfaces.count > 0 && !has_an_interface(s),
			"interfaces and local addresses (this machine has none of the interfaces)" },
		{ s->peers.count > 0 && access(KEYS_DIR, X_OK) != 0, "key files (it has no " KEYS_DIR ")" },
		{ s->certificate_files.count > 0 && access(CERTIFICATES_DIR, X_OK) != 0,
			"certificate files (it has no " CERTIFICATES_DIR ")" },
	};
	size_t n = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (parts[i].is)
			n += (size_t)snprintf(ret_text + n, WARNINGS_UNCHECKED_MAX - n, "%s%s",
				n ? ", " : "; not checked on this machine: ", parts[i].what);
	return ret_text;
}

void warnings_print(const struct snapshot *s, struct findings *f)
{
	warn(s, f, false);
	own_connection(s, f);
}

void warnings_roles(const struct administrators *a, struct findings *f)
{
	roles_warn(a, print, f);
}

void warnings_print_taken(const char *text, size_t n, struct findings *f)
{
	struct faults none;
	void *block = NULL;
	size_t bytes = 0;

	struct administrators *a = NULL;

	if (model_read_administrators(text, n, f->name, 0, NULL, &block, &bytes, &a, &none, NULL) == RC_OK) {
		warn(block, f, true);
		warnings_roles(a, f);
	}
	administrators_free(a);
	free(block);
}
