# The layers of tests. Each unit or sim test is one program per file, linked with the rooms it needs.

TEST_LIB = $(O)/libwherry.a
UNIT = $(patsubst tests/unit/%.c,$(O)/tests/unit/%,$(wildcard tests/unit/*/*_test.c))
SIM = $(patsubst tests/sim/%.c,$(O)/tests/sim/%,$(wildcard tests/sim/*_test.c))
FETCH_LIB_SRC = $(filter-out runtime/fetch/main.c,$(FETCH))

.PHONY: unit sim check-unit check-sim
.SECONDARY:

$(TEST_LIB): $(call obj,$(LIB_SRC) $(FETCH_LIB_SRC))
	rm -f $@; ar rcs $@ $^

$(O)/tests/%_test: $(O)/tests/%_test.o $(TEST_LIB)
	$(CC) $(ALL_LDFLAGS) -o $@ $< $(TEST_LIB) $(LIBS) $(FETCH_LIBS) -lcmocka

unit: $(UNIT)
sim: $(SIM)

check-unit: unit
	tests/run.sh $(UNIT)

check-sim: sim
	tests/run.sh $(SIM)

$(O)/tests/%_bench: $(O)/tests/%_bench.o $(TEST_LIB)
	$(CC) $(ALL_LDFLAGS) -o $@ $< $(TEST_LIB) $(LIBS) $(FETCH_LIBS)

.PHONY: bench-scheduler
bench-scheduler: $(O)/tests/bench/scheduler_bench
	$<

# The drivers of e2e tests.
$(O)/tests/e2e/%: $(O)/tests/e2e/%.o $(TEST_LIB)
	$(CC) $(ALL_LDFLAGS) -o $@ $< $(TEST_LIB) $(LIBS)

# Runs the real programs.
$(O)/tests/unit/runtime/container_test: | $(O)/bin/wherry-shim $(O)/bin/wherry-image

include tests/fuzz.mk
