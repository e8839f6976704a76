# The layers of tests. Each unit or sim test is one program per file, linked with the rooms it needs.

TEST_LIB = $(O)/libwherry.a
UNIT = $(patsubst tests/unit/%.c,$(O)/tests/unit/%,$(wildcard tests/unit/*/*_test.c))
SIM = $(patsubst tests/sim/%.c,$(O)/tests/sim/%,$(wildcard tests/sim/*_test.c))
FETCH_LIB_SRC = $(filter-out runtime/fetch/main.c,$(FETCH))

.PHONY: unit sim check-unit check-sim
.SECONDARY:

$(TEST_LIB): $(call obj,$(LIB_SRC) $(FETCH_LIB_SRC))
	$(Q)rm -f $@; ar rcs $@ $^

$(O)/tests/%_test: $(O)/tests/%_test.o $(TEST_LIB)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_LDFLAGS) $(TEST_LDFLAGS) -o $@ $(filter %.o,$^) $(TEST_LIB) $(LIBS) $(FETCH_LIBS) \
	  -lcmocka

# A whole cluster in one process: its parts come before the real ones, which it sees all calls of.
SIM_CLUSTER = $(wildcard tests/sim/cluster/*.c)
$(O)/tests/sim/cluster_test: $(call obj,$(SIM_CLUSTER))
$(O)/tests/sim/cluster_test: TEST_LDFLAGS = -Wl,-z,muldefs \
  $(patsubst %,-Wl$(comma)--wrap=store_%,apply snapshot restore_trusted)

unit: $(UNIT)
sim: $(SIM)

check-unit: unit
	tests/run.sh $(UNIT)

check-sim: sim
	tests/run.sh $(SIM)

include tests/bench.mk

# The drivers of e2e tests.
$(O)/tests/e2e/%: $(O)/tests/e2e/%.o $(TEST_LIB)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(TEST_LIB) $(LIBS)

# The programs of fault tests.
$(O)/tests/fault/%: $(O)/tests/fault/%.o $(TEST_LIB)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(TEST_LIB) $(LIBS)

# It has more than one file.
$(O)/tests/fault/rundriver: $(call obj,tests/fault/rundriver.c tests/fault/runfull.c) $(TEST_LIB)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(TEST_LIB) $(LIBS)

# Runs the real programs.
$(O)/tests/unit/runtime/container_test $(O)/tests/unit/runtime/options_test \
  $(O)/tests/unit/runtime/exec_test: \
  | $(O)/bin/wherry-shim $(O)/bin/wherry-image
$(O)/tests/unit/runtime/image_load_test: | $(O)/bin/wherry-image

include tests/fuzz.mk

# --- all of it -------------------------------------------------------------------------------------
# Each layer appends "passed failed skipped" to $(COUNTS); the last line adds them up.

COUNTS = $(CURDIR)/build/counts
E2E = $(filter-out tests/e2e/lib.sh,$(wildcard tests/e2e/*.sh))
FAULT = $(filter-out tests/fault/lib.sh,$(wildcard tests/fault/*.sh))

.PHONY: check check-all check-san check-e2e check-fault check-vm check-nemesis

check: deps-test
	@mkdir -p build && rm -f $(COUNTS)
	$(MAKE) -j$$(nproc) all
	@status=0; export WHERRY_COUNTS=$(COUNTS); \
	tests/layers.sh && echo "1 0 0" >>$(COUNTS) || { echo "0 1 0" >>$(COUNTS); status=1; }; \
	$(MAKE) -k -j$$(nproc) unit sim || { echo "0 1 0" >>$(COUNTS); status=1; }; \
	$(MAKE) -k check-unit || status=1; \
	$(MAKE) -k check-sim || status=1; \
	$(MAKE) -k -j$$(nproc) SAN=address,undefined unit sim || { echo "0 1 0" >>$(COUNTS); status=1; }; \
	$(MAKE) -k SAN=address,undefined check-unit check-sim || status=1; \
	$(MAKE) -k -j$$(nproc) fuzz FUZZ_SECONDS=5 || status=1; \
	$(MAKE) -k check-e2e || status=1; \
	$(MAKE) -k check-fault || status=1; \
	$(MAKE) -k check-vm || status=1; \
	awk -v status=$$status '{p += $$1; f += $$2; s += $$3} END {if (status && !f) f = 1; \
	  printf "%d passed, %d failed, %d skipped\n", p, f, s}' $(COUNTS); \
	exit $$status

check-e2e: all $(O)/tests/e2e/netdriver $(O)/tests/e2e/imagedriver $(O)/tests/e2e/stranger
	tests/run_scripts.sh $(E2E)

# Longer, and with more members: make check-nemesis NEMESIS_SECONDS=3600 NEMESIS_MEMBERS=5
check-nemesis: all $(O)/tests/fault/linear
	NEMESIS_SECONDS=$(or $(NEMESIS_SECONDS),600) bash tests/fault/nemesis.sh

# The runtime on cgroup2 in a virtual machine: power cut and reboot.
check-vm: all $(O)/tests/unit/runtime/container_test
	tests/run_scripts.sh tests/vm/check.sh

check-fault: all $(O)/tests/e2e/imagedriver $(O)/tests/fault/linear $(O)/tests/fault/writer \
  $(O)/tests/fault/rundriver $(O)/tests/fault/rulechurn
	tests/run_scripts.sh $(FAULT)
