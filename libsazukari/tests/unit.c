/* Runs the tests, or those that the arguments name. */
#include "test.h"

#include "vectors.h"

int stride(int n)
{
	return getenv("SAZUKARI_TEST_SHORT") != NULL ? n : 1;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{"recording", test_recording}, {"vectors", test_vectors}, {"keys", test_keys}, {"handshake", test_handshake},
		{"resume", test_resume},       {"message", test_message}, {"states", test_states}, {"seen", test_seen},
		{"http", test_http},           {"net", test_net},         {"threads", test_threads},
	};
	int ran = 0;
	vectors_load();
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
		int wanted = argc == 1;
		for (int j = 1; j < argc; j++)
			wanted |= strcmp(argv[j], tests[i].name) == 0;
		if (wanted) {
			tests[i].run();
			printf("ok %s\n", tests[i].name);
			ran++;
		}
	}
	vectors_free();
	return ran > 0 ? 0 : 2;
}
