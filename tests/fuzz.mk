# Fuzzing: each tests/fuzz/fuzz_NAME.c is a libFuzzer target; its seeds are tests/fuzz/corpus/NAME.
# `make fuzz` replays the seeds and then looks for new inputs for FUZZ_SECONDS each; what it finds
# stays in build/fuzz.

FUZZ_SECONDS ?= 20
FUZZ_O = build/fuzz
FUZZ = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SAN = address,undefined -fno-sanitize-recover=all
FUZZ_CFLAGS = -std=gnu17 -D_GNU_SOURCE -I. -MMD -MP -O1 -g -fno-omit-frame-pointer

# In a recipe: count one failure, if somebody counts, and fail.
FUZZ_FAILED = [ -z "$$WHERRY_COUNTS" ] || echo "0 1 0" >>"$$WHERRY_COUNTS"; exit 1

.PHONY: fuzz $(FUZZ:%=fuzz-%)

$(FUZZ_O)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC $@)
	$(Q)clang $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link,$(FUZZ_SAN) -c -o $@ $<

$(FUZZ_O)/libwherry.a: $(patsubst %.c,$(FUZZ_O)/%.o,$(LIB_SRC) $(FETCH_LIB_SRC))
	$(Q)rm -f $@; ar rcs $@ $^

$(FUZZ_O)/bin/%: $(FUZZ_O)/tests/fuzz/fuzz_%.o $(FUZZ_O)/libwherry.a
	@mkdir -p $(@D)
	$(call say,CC $@)
	$(Q)clang -fsanitize=fuzzer,$(FUZZ_SAN) -Wl,--as-needed -o $@ $^ $(LIBS) $(FETCH_LIBS)

$(FUZZ:%=fuzz-%): fuzz-%: $(FUZZ_O)/bin/%
	@mkdir -p $(FUZZ_O)/found/$* tests/fuzz/corpus/$*
	@$< -runs=0 tests/fuzz/corpus/$* >$(FUZZ_O)/$*.log 2>&1 || { tail -50 $(FUZZ_O)/$*.log; $(FUZZ_FAILED); }
	@$< -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=1024 \
	  -artifact_prefix=$(FUZZ_O)/$*- $(FUZZ_O)/found/$* tests/fuzz/corpus/$* \
	  >$(FUZZ_O)/$*.log 2>&1 || { tail -50 $(FUZZ_O)/$*.log; $(FUZZ_FAILED); }
	@echo "ok     fuzz/$* $$(tail -1 $(FUZZ_O)/$*.log)"
	@[ -z "$$WHERRY_COUNTS" ] || echo "1 0 0" >>"$$WHERRY_COUNTS"

fuzz: $(FUZZ:%=fuzz-%)

-include $(shell find $(FUZZ_O) -name '*.d' 2>/dev/null)
