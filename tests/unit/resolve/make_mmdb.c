/*
 * Writes databases of countries.
 *	make_mmdb FILE PREFIX=CODE...	one for the system tests
 *	make_mmdb --seeds DIRECTORY	those that fuzz/resolve/fuzz_mmdb begins with, hostile ones among them
 */
#include "mmdb.h"
#include "must.h"

#include <string.h>

static void save(const char *path, const struct mmdb *m)
{
	size_t n;
	uint8_t *bytes = mmdb_write(m, &n);
	FILE *f = fopen(path, "wb");

	MUST(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
	free(bytes);
}

static void seed(const char *directory, const char *name, struct mmdb *m)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	save(path, m);
	free(m);
}

static struct mmdb *plain(uint32_t ip_version, uint32_t record_bits)
{
	struct mmdb *m = mmdb_new(ip_version, record_bits);

	mmdb_put(m, "192.0.2.0/24", MMDB_DATA, mmdb_data(m, "country.iso_code=DE"));
	mmdb_put(m, "198.51.0.0/16", MMDB_DATA, mmdb_data(m, "registered_country.iso_code=FR"));
	mmdb_put(m, "203.0.113.0/25", MMDB_DATA, mmdb_data(m, "country=DE"));
	if (ip_version == 6) {
		uint32_t ipv4 = mmdb_node(m, "::/96");
		mmdb_put(m, "2001:db8::/32", MMDB_DATA, mmdb_data(m, "country_code=DE"));
		mmdb_put(m, "::ffff:0:0/96", MMDB_NODE, ipv4);
		mmdb_put(m, "2002::/16", MMDB_NODE, ipv4);
	}
	return m;
}

static struct mmdb *with(struct mmdb *m, enum mmdb_kind kind, uint32_t to)
{
	mmdb_put(m, "10.0.0.0/8", kind, to);
	return m;
}

static struct mmdb *with_record(const void *bytes, size_t n)
{
	struct mmdb *m = plain(4, 24);

	return with(m, MMDB_DATA, mmdb_data_raw(m, bytes, n));
}

static void seeds(const char *directory)
{
	static const uint8_t loop[] = { 0x28, 0 }, far[] = { 0x2f, 0xff }, deep[200] = { [0 ... 199] = 0xe1 };
	struct mmdb *many = plain(4, 24);

	many->says_nodes = 0xffffff;
	seed(directory, "ipv4-24", plain(4, 24));
	seed(directory, "ipv6-28", plain(6, 28));
	seed(directory, "ipv6-32", plain(6, 32));
	seed(directory, "loop", with(plain(6, 24), MMDB_NODE, 1));
	seed(directory, "beyond", with(plain(4, 24), MMDB_RAW, 0xffffff));
	seed(directory, "pointer-loop", with_record(loop, sizeof loop));
	seed(directory, "pointer-beyond", with_record(far, sizeof far));
	seed(directory, "deep-data", with_record(deep, sizeof deep));
	seed(directory, "many-nodes", many);
}

int main(int argc, char **argv)
{
	MUST(argc >= 3);
	if (strcmp(argv[1], "--seeds") == 0) {
		seeds(argv[2]);
		return 0;
	}
	struct mmdb *m = mmdb_new(6, 24);
	for (int i = 2; i < argc; i++) {
		char path[64], *code = strchr(argv[i], '=');
		MUST(code);
		*code++ = '\0';
		snprintf(path, sizeof path, "country.iso_code=%s", code);
		mmdb_put(m, argv[i], MMDB_DATA, mmdb_data(m, path));
	}
	save(argv[1], m);
	free(m);
	return 0;
}
