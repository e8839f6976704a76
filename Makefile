# Wherry: build, demo, tests.
#
#   make deps       install the Debian packages it needs (root); make deps-test: those of the tests
#   make            wherry, wherry-shim, wherry-image
#   sudo make demo  three hosts on this machine run a Compose app; make demo-down removes it all
#   sudo make check all tests; make check-unit, check-sim, check-e2e, check-fault: one layer
#   make SAN=address,undefined ...   the same with sanitizers, in a build folder of its own

PACKAGES = build-essential pkg-config \
  libraft-dev libuv1-dev libnng-dev libmsgpack-dev libsqlite3-dev libarchive-dev libssl-dev \
  libfyaml-dev libmicrohttpd-dev libcurl4-openssl-dev libjansson-dev libmnl-dev libnftnl-dev libldns-dev libseccomp-dev uthash-dev \
  musl-tools crun runc iproute2 nftables curl jq busybox-static procps util-linux zstd \
  ca-certificates tzdata
TEST_PACKAGES = dpkg-dev clang clang-format libclang-rt-14-dev libcmocka-dev xz-utils attr libcap2-bin bind9-dnsutils \
  docker-registry e2fsprogs xfsprogs iptables socat faketime qemu-system-x86 cpio kmod python3 skopeo umoci openssl wrk

SAN ?=
comma := ,
O := build/$(if $(SAN),san-$(subst $(comma),-,$(SAN)),release)

WARN = -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wswitch-enum -Wvla -Wmissing-prototypes \
  -Wstrict-prototypes -Wnull-dereference -Wpointer-arith -Wcast-align -Werror
CFLAGS ?= -O2 -g
HARDEN = -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -I. -MMD -MP $(WARN) $(CFLAGS) \
  $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer,$(HARDEN))
ALL_LDFLAGS = $(LDFLAGS) -Wl,--as-needed \
  $(if $(SAN),-fsanitize=$(SAN),-pie -Wl,-z,relro,-z,now)

# make V=1 shows the commands.
V ?= 0
Q = $(if $(filter 0,$(V)),@,)
say = $(if $(filter 0,$(V)),@echo "  $(1)",)

# Rooms. Everything directly in a room's folder belongs to it.
BASE = $(wildcard base/*.c)
STORE = $(wildcard store/*.c)
CLUSTER = $(wildcard cluster/*.c)
SCHEDULER = $(wildcard scheduler/*.c)
RUNTIME = $(wildcard runtime/*.c)
NODE = $(wildcard node/*.c)
CLI = $(wildcard cli/*.c)
SHIM = $(wildcard runtime/shim/*.c)
SHIM_SHARED = runtime/shim/message.c runtime/shim/ring.c
FETCH = $(wildcard runtime/fetch/*.c)
FETCH_SHARED = runtime/image_name.c runtime/image_manifest.c runtime/platform.c

LIB_SRC = $(BASE) $(STORE) $(CLUSTER) $(SCHEDULER) $(RUNTIME) $(SHIM_SHARED) $(filter-out node/main.c,$(NODE)) \
  $(filter-out cli/main.c,$(CLI))
LIBS = -lmicrohttpd -lraft -luv -lnng -lmsgpackc -lsqlite3 -lssl -lcrypto -lfyaml -ljansson -lmnl -lnftnl \
  -lldns -lseccomp -lpthread
FETCH_LIBS = -lcurl -larchive -ljansson -lcrypto -lpthread

obj = $(patsubst %.c,$(O)/%.o,$(1))

.DELETE_ON_ERROR:
.PHONY: all as-root deps deps-test demo demo-down format layers clean

all: wherry wherry-shim wherry-image

# The programs at the top are those of the release build; others stay in their build folder.
wherry wherry-shim wherry-image: %: $(O)/bin/%
	cp $< $@

$(O)/bin/wherry: $(call obj,$(LIB_SRC) cli/main.c)
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(O)/bin/wherry-image: $(call obj,$(FETCH) $(FETCH_SHARED) $(BASE))
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(FETCH_LIBS)

# Nothing but libc, static, no sanitizer: it must be tiny and outlive everything.
$(O)/bin/wherry-shim: $(SHIM) $(wildcard runtime/shim/*.h)
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)musl-gcc -std=gnu17 -D_GNU_SOURCE -I. $(WARN) -Os -g0 -static -s -ffunction-sections \
	  -Wl,--gc-sections -o $@ $(SHIM)

$(O)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC $<)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# install(PACKAGES): those that are missing.
install = @missing=; for p in $(1); do \
  dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
  done; [ -z "$$missing" ] || { apt-get update -q && \
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing; }

as-root:
	@[ "$$(id -u)" = 0 ] || { echo "this must run as root: sudo make $(MAKECMDGOALS)" >&2; exit 1; }

deps: as-root
	$(call install,$(PACKAGES))

deps-test: deps
	$(call install,$(TEST_PACKAGES))

# One command: what it needs, three hosts, an app, the loss of a host.
demo: deps
	$(MAKE) -j$$(nproc) all
	deploy/demo/demo.sh up

demo-down: as-root
	deploy/demo/demo.sh down

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

layers:
	tests/layers.sh

clean:
	rm -rf build wherry wherry-shim wherry-image

include deploy/package.mk
include tests/tests.mk

-include $(shell find $(O) -name '*.d' 2>/dev/null)
