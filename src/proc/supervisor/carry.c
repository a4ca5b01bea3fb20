/*
 * Receipt before act, as for executables: the object is read once into sealed memory, its SHA-256 is entered, and what was
 * hashed is loaded. The data plane gets the maps that it writes and the tap for its packet sockets; the map of links, which says
 * where packets may be taken from and sent to, is written here alone. The programs stay loaded until the supervisor ends.
 *
 * Killed, it leaves the program at tc behind. That does nothing without the tap, which ends with the packet sockets. The next
 * supervisor replaces it.
 */
#include "proc/supervisor/carry.h"
#include "base/log.h"
#include "carry/carry.h"
#include "ledger/types.h"
#include "proc/supervisor/limits.h"
#include "proc/supervisor/supervisor.h"

#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

#ifdef WITH_CARRY

#include "layout_digest.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

_Static_assert(CARRY_LINKS_MAX == INTERFACES_MAX && CARRY_WORKERS == WORKERS_MAX, "as layout.h says");

/* The parts that the data plane is handed, by enum carry_part. */
static const char *const parts[CARRY_PARTS] = {
	[CARRY_PART_HEAD] = "head",
	[CARRY_PART_BUCKETS] = "buckets",
	[CARRY_PART_RECORDS] = "records",
	[CARRY_PART_HOST] = "host",
	[CARRY_PART_TAP] = "tap",
};

/* What libbpf says last before it fails, its first line: the verifier's log is long. */
static char said[120];

static int keep_said(enum libbpf_print_level level, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

static int keep_said(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char line[512];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof line, format, arguments);
	line[strcspn(line, "\n")] = '\0';
	snprintf(said, sizeof said, "%.*s", (int)sizeof said - 1, line);
	return 0;
}

static void unavailable(struct carry_programs *c, const char *what, int error)
{
	c->life = CARRY_FAILED;
	snprintf(c->why, sizeof c->why, "%s: %s", what, strerror(error));
	log_warn("sessions are not carried by the kernel: %s%s%s", c->why, said[0] ? "; libbpf: " : "", said);
	bpf_object__close(c->object);
	c->object = NULL;
}

static int part_fd(struct bpf_object *o, enum carry_part part)
{
	if (part != CARRY_PART_TAP)
		return bpf_object__find_map_fd_by_name(o, parts[part]);
	struct bpf_program *p = bpf_object__find_program_by_name(o, parts[part]);
	return p ? bpf_program__fd(p) : -ENOENT;
}

static void parts_give(struct supervisor *s)
{
	for (int part = 0; part < CARRY_PARTS; part++) {
		int fd = fcntl(part_fd(s->carry.object, (enum carry_part)part), F_DUPFD_CLOEXEC, 3);
		int i = fd < 0 ? -1
			       : resource_add(
					 s, PROC_DATAPLANE, RESOURCE_CARRY, (uint32_t)part, parts[part], fd);
		if (i < 0)
			log_error("%s of carried sessions is not handed over: too many resources or files",
				parts[part]);
		else
			resource_give(s, &s->resources[i]);
	}
}

/* Of the same text of layout.h: fields may have changed places in structures of the same size. */
static bool has_layout(const struct bpf_object *o)
{
	struct bpf_map *m = bpf_object__find_map_by_name(o, ".rodata.layout");
	size_t n = 0;
	const void *digest = m ? bpf_map__initial_value(m, &n) : NULL;

	return digest && n == sizeof CARRY_LAYOUT_DIGEST && memcmp(digest, CARRY_LAYOUT_DIGEST, n) == 0;
}

/* Is its memory that of layout.h? A file of another version is not used. */
static bool is_of_this_version(const struct bpf_object *o)
{
	static const struct {
		size_t value;
		uint32_t entries;
	} maps[CARRY_MAPS] = {
		[CARRY_PART_HEAD] = { sizeof(struct carry_head), 1 },
		[CARRY_PART_BUCKETS] = { sizeof(struct carry_bucket), CARRY_BUCKETS },
		[CARRY_PART_RECORDS] = { sizeof(struct carry_record), CARRY_RECORDS_MAX },
		[CARRY_PART_HOST] = { sizeof(struct carry_host), 1 },
	};

	for (int part = 0; part < CARRY_MAPS; part++) {
		const struct bpf_map *m = bpf_object__find_map_by_name(o, parts[part]);
		if (!m || bpf_map__value_size(m) != maps[part].value ||
			bpf_map__max_entries(m) != maps[part].entries)
			return false;
	}
	return has_layout(o);
}

static struct bpf_object *object_open(int file)
{
	struct stat st;
	struct bpf_object *o = NULL;
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "plaingate");

	if (fstat(file, &st) < 0 || st.st_size == 0)
		return NULL;
	void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	if (at == MAP_FAILED)
		return NULL;
	o = bpf_object__open_mem(at, (size_t)st.st_size, &options);
	int saved = errno;
	munmap(at, (size_t)st.st_size);
	errno = saved;
	return o;
}

static void load(struct supervisor *s)
{
	struct carry_programs *c = &s->carry;

	said[0] = '\0';
	libbpf_set_print(keep_said);
	c->object = object_open(c->file);
	if (!c->object) {
		unavailable(c, "open " CARRY_FILE, errno);
		return;
	}
	if (!is_of_this_version(c->object)) {
		unavailable(c,
			"read " CARRY_FILE ", which is not of this version: install all files of one build",
			EINVAL);
		return;
	}
	int r = bpf_object__load(c->object);
	if (r < 0) {
		unavailable(c, "load " CARRY_FILE, -r);
		return;
	}
	struct bpf_program *p = bpf_object__find_program_by_name(c->object, "carry");
	c->program = p ? bpf_program__fd(p) : -1;
	c->links = bpf_object__find_map_fd_by_name(c->object, "links");
	for (int part = 0; part < CARRY_PARTS; part++)
		if (part_fd(c->object, (enum carry_part)part) < 0)
			c->program = -1;
	if (c->program < 0 || c->links < 0) {
		unavailable(c, "read " CARRY_FILE ", which lacks a program or a map", ENOENT);
		return;
	}
	c->life = CARRY_UP;
	c->why[0] = '\0';
	log_info("the programs that carry sessions in the kernel are loaded");
	parts_give(s);
}

/* ---- links ---- */

static bool is_ethernet(const char *name)
{
	struct ifreq r = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
	bool is = fd >= 0 && ioctl(fd, SIOCGIFHWADDR, &r) == 0 && r.ifr_hwaddr.sa_family == ARPHRD_ETHER;
	if (fd >= 0)
		close(fd);
	return is;
}

static bool link_write(const struct carry_programs *c, uint32_t link, bool on)
{
	uint32_t place = carry_link_of(link);
	struct carry_link now = { 0 };

	if (bpf_map_lookup_elem(c->links, &place, &now) < 0 ||
		(on ? now.interface != 0 && now.interface != link : now.interface != link))
		return !on;
	now.interface = on ? link : 0;
	return bpf_map_update_elem(c->links, &place, &now, BPF_ANY) == 0;
}

/* A link that is gone has taken its programs along. */
static void tc_detach(uint32_t link)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)link, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, at, .handle = CARRY_TC_HANDLE, .priority = CARRY_TC_PRIORITY);

	bpf_tc_detach(&hook, &at);
}

static int tc_attach(const struct carry_programs *c, uint32_t link)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)link, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, at, .prog_fd = c->program, .handle = CARRY_TC_HANDLE,
		.priority = CARRY_TC_PRIORITY, .flags = BPF_TC_F_REPLACE);
	int r = bpf_tc_hook_create(&hook);

	return r < 0 && r != -EEXIST ? r : bpf_tc_attach(&hook, &at);
}

/* First it may be taken from no more, then the program goes. */
static void link_detach(struct carry_programs *c, uint32_t i)
{
	link_write(c, c->link[i], false);
	tc_detach(c->link[i]);
	c->link[i] = c->link[--c->links_n];
}

static void link_attach(struct carry_programs *c, const struct zone_interface *z)
{
	int r = tc_attach(c, z->index);

	if (r < 0) {
		log_warn("interface %s does not carry sessions in the kernel: attach to its ingress: %s",
			z->name, strerror(-r));
	} else if (!link_write(c, z->index, true)) {
		tc_detach(z->index);
		log_warn("interface %s does not carry sessions in the kernel: another link has its place",
			z->name);
	}
	c->link[c->links_n++] = z->index; /* and is not tried again */
}

static bool is_attached(const struct carry_programs *c, uint32_t link)
{
	for (uint32_t i = 0; i < c->links_n; i++)
		if (c->link[i] == link)
			return true;
	return false;
}

static const struct zone_interface *wanted(const struct supervisor *s, uint32_t link)
{
	for (size_t i = 0; s->snapshot && s->snapshot->offload && i < s->interfaces_n; i++)
		if (s->interfaces[i].index == link)
			return &s->interfaces[i];
	return NULL;
}

static void links_follow(struct supervisor *s)
{
	struct carry_programs *c = &s->carry;

	for (uint32_t i = c->links_n; i-- > 0;)
		if (!wanted(s, c->link[i]))
			link_detach(c, i);
	for (size_t i = 0; i < s->interfaces_n; i++) {
		const struct zone_interface *z = &s->interfaces[i];
		if (z->index && wanted(s, z->index) && !is_attached(c, z->index) &&
			c->links_n < INTERFACES_MAX && is_ethernet(z->name))
			link_attach(c, z);
	}
}

/* ---- life ---- */

static void on_receipt(void *context, uint64_t cookie, const struct msg_ledger_receipt *r)
{
	struct supervisor *s = context;
	struct carry_programs *c = &s->carry;

	if (c->life != CARRY_ENTERING || s->stopping)
		return;
	if (r->rc != RC_OK) {
		c->life = CARRY_DOWN;
		c->again = s->loop.now + BACKOFF_MAX_NS;
		snprintf(c->why, sizeof c->why, "the ledger did not enter " CARRY_FILE ": %.100s", r->text);
		log_warn("sessions are not carried by the kernel: %s", c->why);
		return;
	}
	load(s);
	if (c->life == CARRY_UP)
		links_follow(s);
}

static void begin(struct supervisor *s)
{
	struct carry_programs *c = &s->carry;
	static struct ledger_body b;
	char path[PATH_MAX], hex[2 * SHA256_SIZE + 1];
	struct err e = { 0 };

	c->again = s->loop.now + BACKOFF_MAX_NS;
	if (c->file < 0) {
		struct measured m = { .fd = -1 };
		snprintf(path, sizeof path, "%s/" CARRY_FILE, s->options.libexec);
		if (measured_read(path, &m, &e) != RC_OK) {
			c->life = CARRY_FAILED;
			snprintf(c->why, sizeof c->why, "%.*s", (int)sizeof c->why - 1, e.text);
			log_warn("sessions are not carried by the kernel: %s", c->why);
			return;
		}
		c->file = m.fd;
		memcpy(c->sha256, m.sha256, sizeof c->sha256);
	}
	ledger_body_begin(&b, LEDGER_KERNEL_PROGRAM);
	ledger_body_str(&b, "file", CARRY_FILE);
	ledger_body_str(&b, "sha256", hex_from_bytes(hex, c->sha256, SHA256_SIZE));
	size_t n = ledger_body_done(&b);
	c->life = CARRY_ENTERING;
	if (ledger_append(&s->ledger, LEDGER_GATE, LEDGER_KERNEL_PROGRAM, b.text, n, on_receipt, s, 0,
		    s->loop.now) != RC_OK)
		c->life = CARRY_DOWN;
}

void carry_follow(struct supervisor *s)
{
	struct carry_programs *c = &s->carry;

	if (!s->snapshot || s->stopping)
		return;
	if (c->life == CARRY_UP)
		links_follow(s);
	else if (c->life == CARRY_DOWN && s->snapshot->offload && s->loop.now >= c->again)
		begin(s);
}

void carry_data_plane_ended(struct supervisor *s)
{
	struct carry_programs *c = &s->carry;
	struct carry_head *head;

	if (c->life != CARRY_UP)
		return;
	head = mmap(NULL, sizeof *head, PROT_READ | PROT_WRITE, MAP_SHARED,
		part_fd(c->object, CARRY_PART_HEAD), 0);
	if (head == MAP_FAILED) {
		log_error("map the head of carried sessions, of which the data plane has ended: %m");
		return;
	}
	carry_beats_end(head, clock_mono());
	munmap(head, sizeof *head);
}

void carry_end(struct supervisor *s)
{
	struct carry_programs *c = &s->carry;

	while (c->links_n > 0)
		link_detach(c, c->links_n - 1);
}

void carry_flush(void)
{
	struct if_nameindex *list = if_nameindex();

	libbpf_set_print(keep_said);
	for (struct if_nameindex *i = list; i && i->if_index; i++)
		tc_detach(i->if_index);
	if_freenameindex(list);
}

#else /* without a compiler for BPF, or without libbpf, when this was built */

void carry_follow(struct supervisor *s)
{
	if (s->carry.life == CARRY_FAILED)
		return;
	s->carry.life = CARRY_FAILED;
	snprintf(s->carry.why, sizeof s->carry.why, "built without the programs for the kernel");
	log_info("sessions are not carried by the kernel: %s", s->carry.why);
}

void carry_data_plane_ended(struct supervisor *s)
{
}

void carry_end(struct supervisor *s)
{
}

void carry_flush(void)
{
}

#endif

void carry_init(struct supervisor *s)
{
	s->carry = (struct carry_programs){ .file = -1, .program = -1, .links = -1 };
}
