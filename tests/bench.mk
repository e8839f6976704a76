# Benchmarks: numbers, never a test that a slow machine fails.
#
#   sudo make bench          a cluster of three hosts against bare crun, the disk and the libraries
#   sudo make bench-swarm    the same, and the same work on a Docker Swarm (installs docker.io)
#   sudo make bench-state    the replicated state against etcd (installs etcd-server)
#   sudo make bench-members  what a member costs where there are twenty
#   sudo make bench-peers    an image from a registry, and from other members
#   sudo make bench-runtime  one machine's runtime beside containerd, dockerd and podman (installs them)
#   sudo make bench-wear     what a change writes to the disks
#   make bench-scheduler bench-cluster bench-commit     single rooms
#   sudo make bench-network                containers' network beside the bare link (installs iperf3)
#   sudo make bench-rules                  1,000 services: one of them changes
#   make bench-snapshot                    100,000 tasks: copy, check, restore, a new member
#
# BENCH_ROUNDS=5 BENCH_SECONDS=60 set how often, and how long idling is watched. All of the table
# stands in docs/benchmarks.md.

.PHONY: bench bench-runtime bench-peers bench-wear bench-state bench-members bench-swarm bench-scheduler bench-cluster bench-commit bench-snapshot bench-rules bench-network

$(O)/tests/%_bench: $(O)/tests/%_bench.o $(TEST_LIB)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(TEST_LIB) $(LIBS) $(FETCH_LIBS) -lcmocka

# All libraries, also those it does not need: it measures what they take.
$(O)/tests/bench/probe: $(O)/tests/bench/probe.o $(TEST_LIB)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_LDFLAGS) -Wl,--no-as-needed -o $@ $< $(TEST_LIB) $(LIBS)

$(O)/tests/bench/load: $(O)/tests/bench/load.o $(TEST_LIB)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(TEST_LIB) $(LIBS)

bench-scheduler: $(O)/tests/bench/scheduler_bench
	$<

bench-cluster: $(O)/tests/bench/cluster_bench
	$<

bench-commit: $(O)/tests/bench/commit_bench
	$<

bench-rules: $(O)/tests/bench/rules_bench
	unshare -n $<

bench-snapshot: $(O)/tests/bench/state_bench $(O)/tests/bench/join_bench
	$(O)/tests/bench/state_bench
	$(O)/tests/bench/join_bench

bench: deps
	$(MAKE) all $(O)/tests/bench/probe
	tests/bench/bench.sh

bench-swarm: deps
	dpkg-query -W docker.io containerd iptables >/dev/null 2>&1 || { apt-get update -q && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
	  docker.io containerd iptables; }
	$(MAKE) all $(O)/tests/bench/probe
	tests/bench/swarm.sh
	tests/bench/bench.sh --peer build/bench/swarm.samples

bench-wear: deps
	$(MAKE) all $(O)/tests/bench/load
	tests/bench/wear.sh

# The replicated state beside etcd, on the same hosts.
bench-state: deps
	dpkg-query -W etcd-server >/dev/null 2>&1 || { apt-get update -q && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends etcd-server; }
	$(MAKE) all $(O)/tests/bench/probe $(O)/tests/bench/load
	tests/bench/state.sh

# The network between containers.
bench-network: deps-test
	$(call install,iperf3)
	$(MAKE) all
	tests/bench/network.sh

# What a member costs where there are twenty.
bench-members: deps
	$(MAKE) all
	tests/bench/members.sh

# An image of 100 MB from a registry, and from other members.
bench-peers: deps-test
	$(MAKE) all
	tests/bench/peers.sh

# The runtime core beside its peers; an image from another member is bench-peers.
BENCH_PACKAGES = containerd docker.io iptables podman containernetworking-plugins
bench-runtime: deps-test
	$(call install,$(BENCH_PACKAGES))
	$(MAKE) all $(O)/tests/bench/runtime_bench
	tests/bench/runtime.sh
