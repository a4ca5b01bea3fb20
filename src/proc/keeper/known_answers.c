#include "proc/keeper/known_answers.h"

#include "crypto/hkdf.h"
#include "crypto/leaf.h"
#include "crypto/vrf.h"
#include "ledger/canonical.h"
#include "proc/keeper/generator.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct question {
	size_t inputs_n, output_n;
	struct {
		size_t n;
		uint8_t octets[KNOWN_INPUT_MAX];
	} input[KNOWN_INPUTS_MAX];
	uint8_t output[KNOWN_OUTPUT_MAX]; /* expected */
};

/* Each computes output_n octets. False: the inputs do not fit the function. */
typedef bool answer_fn(const struct question *q, uint8_t ret_output[KNOWN_OUTPUT_MAX]);

static bool answer_sha256(const struct question *q, uint8_t ret_output[KNOWN_OUTPUT_MAX])
{
	sha256(ret_output, q->input[0].octets, q->input[0].n);
	return q->output_n == SHA256_SIZE;
}

/* salt, material, info */
static bool answer_hkdf(const struct question *q, uint8_t ret_output[KNOWN_OUTPUT_MAX])
{
	const struct prf_part material = { q->input[1].octets, q->input[1].n };
	uint8_t key[HKDF_KEY_SIZE];

	return hkdf_extract(q->input[0].octets, q->input[0].n, &material, 1, key) == RC_OK &&
	       hkdf_expand(key, q->input[2].octets, q->input[2].n, ret_output, q->output_n) == RC_OK;
}

/* label, two seeds: 96 octets for each */
static bool answer_generator(const struct question *q, uint8_t ret_output[KNOWN_OUTPUT_MAX])
{
	char label[KNOWN_INPUT_MAX + 1];
	struct generator g;

	memcpy(label, q->input[0].octets, q->input[0].n);
	label[q->input[0].n] = '\0';
	generator_init(&g, label);
	return q->input[1].n == GENERATOR_SEED_SIZE && q->input[2].n == GENERATOR_SEED_SIZE &&
	       q->output_n == 2 * 96 && generator_draw(&g, q->input[1].octets, ret_output, 96) &&
	       generator_draw(&g, q->input[2].octets, ret_output + 96, 96);
}

/* scalar, alpha: public key, proof, output */
static bool answer_vrf(const struct question *q, uint8_t ret_output[KNOWN_OUTPUT_MAX])
{
	uint8_t *proof = ret_output + VRF_PUBLIC_SIZE;
	struct vrf_key key;

	if (q->input[0].n != VRF_SCALAR_SIZE ||
		q->output_n != VRF_PUBLIC_SIZE + VRF_PROOF_SIZE + VRF_HASH_SIZE ||
		vrf_key_import(&key, q->input[0].octets) != RC_OK)
		return false;
	memcpy(ret_output, key.public_key, VRF_PUBLIC_SIZE);
	return vrf_prove(&key, q->input[1].octets, q->input[1].n, proof) == RC_OK &&
	       vrf_proof_hash(proof, proof + VRF_PROOF_SIZE) == RC_OK;
}

/* what the kernel gave */
static bool answer_kernel_share(const struct question *q, uint8_t ret_output[KNOWN_OUTPUT_MAX])
{
	leaf_kernel_share(q->input[0].octets, ret_output);
	return q->input[0].n == LEAF_SHARE_SIZE && q->output_n == LEAF_SHARE_SIZE;
}

/* both shares: data of the leaf for all groups of Diffie-Hellman */
static bool answer_leaf(const struct question *q, uint8_t ret_output[KNOWN_OUTPUT_MAX])
{
	return q->input[0].n == LEAF_SHARE_SIZE && q->input[1].n == LEAF_SHARE_SIZE &&
	       q->output_n == leaf_data_size(LEAF_DH_GROUPS) &&
	       leaf_data(q->input[0].octets, q->input[1].octets, LEAF_DH_GROUPS, ret_output) == RC_OK;
}

/* root, what came later, n, k: k octets */
static bool answer_challenge(const struct question *q, uint8_t ret_output[KNOWN_OUTPUT_MAX])
{
	uint32_t indices[LEAF_COUNT_MAX], n = q->input[2].octets[0], k = q->input[3].octets[0];

	if (q->input[0].n != SHA256_SIZE || q->input[2].n != 1 || q->input[3].n != 1 || k == 0 || k > n ||
		q->output_n != k)
		return false;
	leaf_challenge(q->input[0].octets, q->input[1].octets, q->input[1].n, n, k, indices);
	for (uint32_t i = 0; i < k; i++)
		ret_output[i] = (uint8_t)indices[i];
	return true;
}

static const struct {
	const char *name;
	size_t inputs_n;
	answer_fn *answer;
} functions[] = {
	{ "sha-256", 1, answer_sha256 },
	{ "hkdf-sha256", 3, answer_hkdf },
	{ "generator", 3, answer_generator },
	{ "vrf-r255", 2, answer_vrf },
	{ "kernel-share", 1, answer_kernel_share },
	{ "leaf", 2, answer_leaf },
	{ "leaf-challenge", 4, answer_challenge },
};

static bool octets_of(const char *text, size_t text_n, uint8_t *ret_octets, size_t max, size_t *ret_n)
{
	char digits[2 * KNOWN_OUTPUT_MAX + 1];

	*ret_n = text_n / 2;
	if (text_n % 2 != 0 || *ret_n > max || text_n >= sizeof digits)
		return false;
	memcpy(digits, text, text_n);
	digits[text_n] = '\0';
	return hex_to_bytes(ret_octets, *ret_n, digits);
}

/* "<hex> <hex>", with "-" for nothing. */
static bool inputs_of(struct question *q, const struct canonical_text *text)
{
	size_t at = 0;

	for (q->inputs_n = 0; q->inputs_n < KNOWN_INPUTS_MAX && at < text->n; q->inputs_n++) {
		const char *word = text->text + at, *end = memchr(word, ' ', text->n - at);
		size_t n = end ? (size_t)(end - word) : text->n - at;
		bool empty = n == 1 && word[0] == '-';

		if (!octets_of(word, empty ? 0 : n, q->input[q->inputs_n].octets, KNOWN_INPUT_MAX,
			    &q->input[q->inputs_n].n))
			return false;
		at += n + (end ? 1 : 0);
	}
	return at == text->n;
}

static enum rc row_check(struct canonical *c, uint32_t *seen, struct err *e)
{
	struct canonical_text name, input, output;
	uint8_t made[KNOWN_OUTPUT_MAX] = { 0 };
	struct question q = { 0 };
	size_t i = 0;

	canonical_char(c, '{');
	canonical_key(c, "function");
	canonical_string(c, &name);
	canonical_char(c, ',');
	canonical_key(c, "input");
	canonical_string(c, &input);
	canonical_char(c, ',');
	canonical_key(c, "output");
	canonical_string(c, &output);
	canonical_char(c, '}');
	if (c->bad || !inputs_of(&q, &input) ||
		!octets_of(output.text, output.n, q.output, KNOWN_OUTPUT_MAX, &q.output_n))
		return err_add(e, RC_MALFORMED,
			"malformed known answers: expected rows of function, input and output");
	while (i < COUNT_OF(functions) &&
		(strlen(functions[i].name) != name.n || memcmp(functions[i].name, name.text, name.n) != 0))
		i++;
	if (i == COUNT_OF(functions) || q.inputs_n != functions[i].inputs_n)
		return err_add(e, RC_MALFORMED,
			"known answer of '%.*s': the function is unknown, or has another number of inputs",
			(int)MIN_OF(name.n, (size_t)40), name.text);
	if (q.output_n == 0 || !functions[i].answer(&q, made) || memcmp(made, q.output, q.output_n) != 0)
		return err_add(e, RC_AUTH, "%s does not give the known answer", functions[i].name);
	*seen |= 1u << i;
	return RC_OK;
}

enum rc known_answers_check(const char *text, size_t n, struct err *e)
{
	struct canonical c = canonical_over(text, n);
	uint32_t seen = 0;
	enum rc rc = RC_OK;

	canonical_char(&c, '{');
	canonical_key(&c, "answers");
	canonical_char(&c, '[');
	canonical_char(&c, '\n');
	while (rc == RC_OK && (rc = row_check(&c, &seen, e)) == RC_OK && c.at < c.end && *c.at == ',') {
		canonical_char(&c, ',');
		canonical_char(&c, '\n');
	}
	if (rc != RC_OK)
		return rc;
	canonical_char(&c, '\n');
	canonical_char(&c, ']');
	canonical_char(&c, '}');
	canonical_char(&c, '\n');
	if (!canonical_end(&c))
		return err_add(
			e, RC_MALFORMED, "malformed known answers: expected ']}' and a line feed at the end");
	for (size_t i = 0; i < COUNT_OF(functions); i++)
		if (!(seen >> i & 1))
			return err_add(
				e, RC_NOT_FOUND, "the known answer of %s is missing", functions[i].name);
	return RC_OK;
}

enum rc known_answers_check_file(int fd, struct err *e)
{
	const int must = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	struct stat st;

	if (fd < 0)
		return err_add(e, RC_NOT_FOUND, "the file of known answers was not handed over");
	if ((fcntl(fd, F_GET_SEALS) & must) != must)
		return err_add(e, RC_DENIED, "the file of known answers is not sealed");
	if (fstat(fd, &st) < 0 || st.st_size == 0 || st.st_size > KNOWN_ANSWERS_FILE_MAX)
		return err_add(e, RC_MALFORMED,
			"the file of known answers is empty, or longer than %d octets",
			KNOWN_ANSWERS_FILE_MAX);
	void *text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (text == MAP_FAILED)
		return err_errno(e, RC_IO, "map the known answers");
	enum rc rc = known_answers_check(text, (size_t)st.st_size, e);
	munmap(text, (size_t)st.st_size);
	return rc;
}
