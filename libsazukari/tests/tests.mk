# The tests. SAZUKARI_VECTORS is the file of recorded packets.

export SAZUKARI_VECTORS ?= $(abspath ../vectors/v1-flow.json)

TEST_CFLAGS  = -std=c11 $(WARNINGS) -Wno-conversion -Iinclude -Isrc -pthread -g $(CPPFLAGS)
SANITIZE     = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
UNIT_SOURCES := $(wildcard tests/test_*.c) tests/unit.c tests/peer.c tests/vectors.c
UNIT_HEADERS := $(wildcard tests/*.h) $(HEADERS)

# The library and its tests in one program, so that tests reach what is inside.
$(BUILD)/unit: $(UNIT_SOURCES) $(SOURCES) $(UNIT_HEADERS)
	@mkdir -p $(BUILD)
	$(CC) $(TEST_CFLAGS) -O2 -o $@ $(UNIT_SOURCES) $(SOURCES) $(LDFLAGS) $(LIBS)

$(BUILD)/unit-sanitized: $(UNIT_SOURCES) $(SOURCES) $(UNIT_HEADERS)
	@mkdir -p $(BUILD)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) -o $@ $(UNIT_SOURCES) $(SOURCES) $(LDFLAGS) $(LIBS)
