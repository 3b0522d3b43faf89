#include "vectors.h"

#include <ctype.h>
#include <stdarg.h>

#include <openssl/bio.h>
#include <openssl/pem.h>

#include "test.h"

_Thread_local char current_test[256];

void test_fail(const char *file, int line, const char *function, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "%s:%d: %s: %s%s", file, line, function, current_test, current_test[0] != '\0' ? ": " : "");
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static char *recording;

char *json_read(const char *name)
{
	char path[1024];
	const char *folder = getenv("SAZUKARI_VECTORS");
	snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : ".", name);
	FILE *f = fopen(path, "rb");
	if (f == NULL) {
		fprintf(stderr, "%s: SAZUKARI_VECTORS must name the folder of vectors\n", path);
		exit(1);
	}
	CHECK(fseek(f, 0, SEEK_END) == 0);
	long size = ftell(f);
	CHECK(size > 0);
	rewind(f);
	char *text = malloc((size_t)size + 1);
	CHECK(text != NULL && fread(text, 1, (size_t)size, f) == (size_t)size);
	text[size] = '\0';
	fclose(f);
	return text;
}

void vectors_load(void)
{
	recording = json_read("v1-flow.json");
}

void vectors_free(void)
{
	free(recording);
	recording = NULL;
}

/* The files are ours and well formed, so this reads JSON without checking it. */

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

const char *json_find(const char *json, const char *path)
{
	const char *p = skip_space(json);
	while (p != NULL && *path != '\0') {
		size_t size = strcspn(path, ".");
		p = *p == '{' || *p == '[' ? member(p, path, size) : NULL;
		path += size + (path[size] == '.');
	}
	return p;
}

const char *json_text(const char *json, const char *path)
{
	static _Thread_local char out[64 * 1024];
	const char *p = json_find(json, path);
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

byte *json_bytes(const char *json, const char *path, size_t *size)
{
	const char *hex = json_text(json, path);
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

void json_exact(const char *json, const char *path, void *out, size_t size)
{
	size_t n;
	byte *bytes = json_bytes(json, path, &n);
	CHECK_INT(n, size);
	memcpy(out, bytes, size);
	free(bytes);
}

int json_is(const char *json, const char *path, const char *text)
{
	const char *p = json_find(json, path);
	return p != NULL && *p == '"' && strcmp(json_text(json, path), text) == 0;
}

long json_number(const char *json, const char *path)
{
	const char *p = json_find(json, path);
	return p != NULL ? strtol(p, NULL, 10) : 0;
}

EVP_PKEY *json_key(const char *json, const char *path)
{
	BIO *bio = BIO_new_mem_buf(json_text(json, path), -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	CHECK(key != NULL);
	BIO_free(bio);
	return key;
}

const char *vector_text(const char *path)
{
	return json_text(recording, path);
}

int vector_has(const char *path)
{
	return json_find(recording, path) != NULL;
}

byte *vector_bytes(const char *path, size_t *size)
{
	return json_bytes(recording, path, size);
}

void vector_exact(const char *path, void *out, size_t size)
{
	json_exact(recording, path, out, size);
}

EVP_PKEY *vector_server_key(void)
{
	return json_key(recording, "server_private_key_pem");
}

EVP_PKEY *vector_client_key(void)
{
	return json_key(recording, "handshake.client_private_key_pem");
}

szkr_srvkey_t vector_pinned_key(void)
{
	szkr_srvkey_t key;
	vector_exact("server_key_file", &key, sizeof key);
	return key;
}
