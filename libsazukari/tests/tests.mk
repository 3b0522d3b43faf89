# The tests. SAZUKARI_VECTORS is the folder of the protocol's vectors.

export SAZUKARI_VECTORS ?= $(abspath ../vectors)

CXX         ?= c++
CLANG       ?= clang
FUZZ_RUNS   ?= 1000000
FUZZ_SECONDS ?= 120
TEST_CFLAGS  = -std=c11 $(WARNINGS) -Wno-conversion -Iinclude -Isrc -pthread -g $(CPPFLAGS)
SANITIZE     = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
UNIT_SOURCES := $(wildcard tests/test_*.c) tests/unit.c tests/peer.c tests/vectors.c
UNIT_HEADERS := $(wildcard tests/*.h) $(HEADERS)
UNIT         = $(UNIT_SOURCES) $(SOURCES)
FUZZERS      := $(patsubst tests/fuzz_%.c,%,$(wildcard tests/fuzz_*.c))

test: programs ## what takes seconds
	$(BUILD)/unit-sanitized
	$(BUILD)/abi
	$(BUILD)/cxx
	nm -D --defined-only $(BUILD)/libsazukari.so.1 | awk '$$2 == "T" { sub("@.*", "", $$3); print $$3 }' | sort | diff - tests/symbols.txt
	nm -g --defined-only $(BUILD)/libsazukari.a | awk 'NF == 3 && $$3 !~ /^s(zkr|kzr|zkri)_/ { print "foreign name " $$3; bad = 1 } END { exit bad }'

test-long: test analyze valgrind race fuzz ## minutes more

# What the tests run. `reference` is linked with the stub, and runs with the
# library in the stub's place.
.PHONY: programs analyze valgrind race fuzz
programs: all $(BUILD)/unit-sanitized $(BUILD)/abi $(BUILD)/cxx $(BUILD)/reference $(BUILD)/reference-sanitized $(BUILD)/get $(BUILD)/conformance

# The library and its tests in one program, so that tests reach what is inside.
$(BUILD)/unit: $(UNIT) $(UNIT_HEADERS)
	@mkdir -p $(BUILD)
	$(CC) $(TEST_CFLAGS) -O2 -o $@ $(UNIT) $(LDFLAGS) $(LIBS)

$(BUILD)/unit-sanitized: $(UNIT) $(UNIT_HEADERS)
	@mkdir -p $(BUILD)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) -o $@ $(UNIT) $(LDFLAGS) $(LIBS)

$(BUILD)/unit-race: $(UNIT) $(UNIT_HEADERS)
	@mkdir -p $(BUILD)
	$(CC) $(TEST_CFLAGS) -O1 -fsanitize=thread -o $@ $(UNIT) $(LDFLAGS) $(LIBS)

$(BUILD)/abi: tests/abi.c $(BUILD)/libsazukari.a
	$(CC) $(TEST_CFLAGS) -Wpedantic -o $@ $< $(BUILD)/libsazukari.a $(LDFLAGS) $(LIBS)

$(BUILD)/cxx: tests/cxx.cc $(BUILD)/libsazukari.a
	$(CXX) -std=c++11 -Wall -Wextra -Wpedantic -Werror -Iinclude -pthread -o $@ $< $(BUILD)/libsazukari.a $(LDFLAGS) $(LIBS)

# Old programs aren't written for our warnings.
$(BUILD)/reference: tests/reference.c tests/stub.c $(HEADERS)
	@mkdir -p $(BUILD)/stub
	$(CC) -shared -fPIC -o $(BUILD)/stub/libsazukari.so tests/stub.c
	$(CC) -w -Iinclude -o $@ tests/reference.c -L$(BUILD)/stub -lsazukari

$(BUILD)/reference-sanitized: tests/reference.c $(SOURCES) $(HEADERS)
	@mkdir -p $(BUILD)
	$(CC) -w -g $(SANITIZE) -Iinclude $(CPPFLAGS) -pthread -o $@ tests/reference.c $(SOURCES) $(LDFLAGS) $(LIBS)

$(BUILD)/get: example/get.c $(SHARED)
	$(CC) -std=c11 -D_POSIX_C_SOURCE=200809L $(WARNINGS) -Iinclude -o $@ $< -L$(BUILD) -lsazukari -Wl,-rpath,$(abspath $(BUILD))

$(BUILD)/conformance: tests/conformance.c $(SOURCES) $(HEADERS)
	@mkdir -p $(BUILD)
	$(CC) $(TEST_CFLAGS) -D_POSIX_C_SOURCE=200809L $(SANITIZE) -o $@ $< $(SOURCES) $(LDFLAGS) $(LIBS)

analyze:
	@set -e; for f in $(SOURCES); do $(CC) -std=c11 -O2 -fanalyzer -Wall -Wextra -Werror -Iinclude $(CPPFLAGS) -c -o /dev/null $$f; done
	@echo "ok -fanalyzer"

valgrind: $(BUILD)/unit
	SAZUKARI_TEST_SHORT=1 valgrind -q --leak-check=full --errors-for-leak-kinds=all --show-leak-kinds=all --error-exitcode=9 $(BUILD)/unit

race: $(BUILD)/unit-race
	$(BUILD)/unit-race threads keys net

$(BUILD)/fuzz-%: tests/fuzz_%.c tests/vectors.c tests/peer.c $(SOURCES) $(UNIT_HEADERS)
	@mkdir -p $(BUILD)
	$(CLANG) $(TEST_CFLAGS) -O2 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $< tests/vectors.c tests/peer.c $(SOURCES) $(LDFLAGS) $(LIBS)

# Up to FUZZ_RUNS inputs each, for at most FUZZ_SECONDS.
fuzz: $(FUZZERS:%=$(BUILD)/fuzz-%)
	@set -e; for name in $(FUZZERS); do \
	  mkdir -p $(BUILD)/corpus/$$name; echo "fuzz $$name"; \
	  $(BUILD)/fuzz-$$name -runs=$(FUZZ_RUNS) -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -artifact_prefix=$(BUILD)/ \
	    $(BUILD)/corpus/$$name tests/corpus/$$name >$(BUILD)/fuzz-$$name.log 2>&1 || { tail -50 $(BUILD)/fuzz-$$name.log; exit 1; }; \
	  tail -1 $(BUILD)/fuzz-$$name.log; done
