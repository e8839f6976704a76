#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An app of several services over three hosts: names, published ports, clients' addresses, isolation,
# constraints, one-off jobs, health, volumes.
. "$(dirname "$0")/lib.sh"

begin app 0
host_up 1 --label zone=a
host_up 2 --label zone=b
host_up 3 --label zone=b
cluster_form 1 2 3
load busybox 1 2 3
load nginx 1 2 3
load redis 1 2 3
load web 1 2 3

file=$(compose shop <<'YAML'
name: shop
services:
  web:
    image: demo/web:1
    environment: {STORE: store}
    ports: ["8080:80"]
    depends_on: [store]
    stop_grace_period: 1s
    deploy: {replicas: 2}
  store:
    image: demo/redis:1
    volumes: ["data:/data"]
    stop_grace_period: 2s
    deploy: {placement: {constraints: ["node.labels.zone == a"]}}
  whoami:
    image: demo/nginx:1
    ports: ["8081:80"]
    stop_grace_period: 1s
    deploy: {placement: {constraints: ["node.hostname == n3"]}}
  greet:
    image: demo/web:1
    command: ["sh", "-c", "printf 'SET greeting welcome\\r\\nQUIT\\r\\n' | nc store 6379"]
    depends_on: [store]
    deploy: {mode: replicated-job, restart_policy: {condition: on-failure}}
volumes:
  data:
YAML
)
other=$(compose other <<'YAML'
name: other
services:
  probe:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    healthcheck: {test: ["CMD", "test", "!", "-e", "/sick"], interval: 1s, timeout: 2s, retries: 1}
YAML
)

node_of() { tasks 1 "$1" | jq -r '[.[] | select(.desired == "run")][0].node' | tr -d n; }
address_of() { tasks 1 "$1" | jq -r '[.[] | select(.desired == "run")][0].addresses[0]'; }

# inside SERVICE COMMAND...: in the container of its first task, by its namespaces
inside() {
    local service=$1 n id pid
    shift
    n=$(node_of "$service")
    id=t$(tasks 1 "$service" | jq -r '[.[] | select(.desired == "run")][0].id')
    pid=$(pids_in "$n" "$id" | head -1)
    nsenter -t "$pid" -m -n -p -u "$@"
}

# reaches SERVICE HOST: its first task gets an answer from the redis at HOST
reaches() { inside "$1" sh -c "printf 'PING\r\nQUIT\r\n' | nc -w 2 $2 6379 | grep -q PONG"; }

page() { curl -sS -m 5 "http://$PREFIX.$1:$2$3"; }

test_case "deploy" w 2 deploy -f "$file"
test_case "the job is complete" [ "$(tasks 1 shop.greet | jq -r '.[0].state')" = complete ]
test_case "the constraint on a label holds" [ "$(node_of shop.store)" = 1 ]
test_case "the constraint on a name holds" [ "$(node_of shop.whoami)" = 3 ]
for n in 1 2 3; do
    test_case "the port answers on host $n, the page reached the store by name" grep -q 'welcome from web' <(page $n 8080 /)
    test_case "on localhost of host $n too" grep -q 'from web' <(in_host $n curl -sS -m 5 http://127.0.0.1:8080/)
    test_case "through host $n the task on host 3 sees the client's address" [ "$(page $n 8081 /client)" = "$PREFIX.254" ]
done
test_case "a member reaches the port of another" grep -q 'from web' <(in_host 1 curl -sS -m 5 "http://$PREFIX.3:8080/")
test_case "a container reaches outside through its host" inside shop.web wget -q -O /dev/null "http://$PREFIX.2:8081/host"
test_case "a container reaches a task by its number" reaches shop.web store.1
test_case "and by its address" reaches shop.web "$(address_of shop.store)"
test_case "a name that is not there is not found" not reaches shop.web nowhere

test_case "another stack" w 3 deploy -f "$other"
test_case "it does not know the names of the first" not reaches other.probe store
test_case "nor reach its addresses" not reaches other.probe "$(address_of shop.store)"
test_case "its health was found good" [ "$(tasks 1 other.probe | jq -r '.[0].health')" = healthy ]
inside other.probe touch /sick
sick() { [ "$(tasks 1 other.probe | jq -r '.[0].health')" = unhealthy ]; }
test_case "and bad, when it is" wait_for 20 "unhealthy" sick

page 1 8080 / >/dev/null
visits() { page 1 8080 / | grep -oE '[0-9]+$'; }
before=$(visits)
w 1 scale shop.store=0 >/dev/null
w 1 scale shop.store=1 >/dev/null
kept() { [ "$(visits)" -gt "$before" ]; }
test_case "the volume outlives the task: redis saved its counter on SIGTERM" wait_for 20 "counter" kept
test_case "it is at its home still" [ "$(node_of shop.store)" = 1 ]

# Somebody flushes the rules: they come back by themselves.
in_host 2 nft flush ruleset
back() { page 2 8080 / | grep -q 'from web'; }
test_case "a flushed ruleset comes back" wait_for 30 "rules" back
test_case "rm" w 1 rm shop
test_case "the port is closed" not page 1 8080 /
finish
