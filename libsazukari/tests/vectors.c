#include "vectors.h"

#include <ctype.h>

#include <openssl/bio.h>
#include <openssl/pem.h>

#include "test.h"

static char *text;

void vectors_load(void)
{
	const char *name = getenv("SAZUKARI_VECTORS");
	FILE *f = fopen(name != NULL ? name : "", "rb");
	if (f == NULL) {
		fprintf(stderr, "SAZUKARI_VECTORS must name v1-flow.json\n");
		exit(1);
	}
	CHECK(fseek(f, 0, SEEK_END) == 0);
	long size = ftell(f);
	CHECK(size > 0);
	rewind(f);
	text = malloc((size_t)size + 1);
	CHECK(text != NULL && fread(text, 1, (size_t)size, f) == (size_t)size);
	text[size] = '\0';
	fclose(f);
}

void vectors_free(void)
{
	free(text);
	text = NULL;
}

/* The file is ours and well formed, so this reads JSON without checking it. */

static const char *skip_space(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

static const char *skip_string(const char *p)
{
	for (p++; *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p + 1;
}

static const char *skip_value(const char *p)
{
	int depth = 0;
	do {
		p = skip_space(p);
		CHECK(*p != '\0');
		if (*p == '"') {
			p = skip_string(p);
		} else {
			depth += *p == '{' || *p == '[';
			depth -= *p == '}' || *p == ']';
			p++;
		}
	} while (depth > 0);
	while (isalnum((unsigned char)*p) || *p == '.' || *p == '-') /* the rest of a number or word */
		p++;
	return p;
}

/* Returns the member of the object or array at p that the path's first part
 * names, of size bytes; NULL if there is none. */
static const char *member(const char *p, const char *part, size_t size)
{
	int is_array = *p == '[';
	long wanted = strtol(part, NULL, 10);
	for (long i = 0;; i++) {
		p = skip_space(p + 1);
		if (*p == '}' || *p == ']')
			return NULL;
		int found = is_array && i == wanted;
		if (!is_array) {
			const char *end = skip_string(p);
			found = (size_t)(end - p) == size + 2 && memcmp(p + 1, part, size) == 0;
			p = skip_space(skip_space(end) + 1);
		}
		if (found)
			return p;
		p = skip_space(skip_value(p));
		if (*p != ',')
			return NULL;
	}
}

static const char *find(const char *path)
{
	const char *p = skip_space(text);
	while (p != NULL && *path != '\0') {
		size_t size = strcspn(path, ".");
		p = *p == '{' || *p == '[' ? member(p, path, size) : NULL;
		path += size + (path[size] == '.');
	}
	return p;
}

int vector_has(const char *path)
{
	return find(path) != NULL;
}

const char *vector_text(const char *path)
{
	static _Thread_local char out[64 * 1024];
	const char *p = find(path);
	if (p == NULL || *p != '"') {
		fprintf(stderr, "the vectors have no string %s\n", path);
		exit(1);
	}
	size_t n = 0;
	for (p++; *p != '"'; p++) {
		CHECK(n < sizeof out - 1);
		if (*p == '\\') {
			p++;
			CHECK(*p == 'n' || *p == '"' || *p == '\\' || *p == '/');
			out[n++] = *p == 'n' ? '\n' : *p;
		} else {
			out[n++] = *p;
		}
	}
	out[n] = '\0';
	return out;
}

byte *vector_bytes(const char *path, size_t *size)
{
	const char *hex = vector_text(path);
	size_t n = strlen(hex) / 2;
	byte *out = malloc(n + 1);
	CHECK(out != NULL && strlen(hex) % 2 == 0);
	for (size_t i = 0; i < n; i++) {
		unsigned b;
		CHECK(sscanf(hex + 2 * i, "%2x", &b) == 1);
		out[i] = (byte)b;
	}
	*size = n;
	return out;
}

void vector_exact(const char *path, void *out, size_t size)
{
	size_t n;
	byte *bytes = vector_bytes(path, &n);
	CHECK_INT(n, size);
	memcpy(out, bytes, size);
	free(bytes);
}

static EVP_PKEY *private_key(const char *path)
{
	BIO *bio = BIO_new_mem_buf(vector_text(path), -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	CHECK(key != NULL);
	BIO_free(bio);
	return key;
}

EVP_PKEY *vector_server_key(void)
{
	return private_key("server_private_key_pem");
}

EVP_PKEY *vector_client_key(void)
{
	return private_key("handshake.client_private_key_pem");
}

szkr_srvkey_t vector_pinned_key(void)
{
	szkr_srvkey_t key;
	vector_exact("server_key_file", &key, sizeof key);
	return key;
}
