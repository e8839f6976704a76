#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Jobs: runs, parallelism, retries, deadlines, schedules, on every node, and what is kept of them.
. "$(dirname "$0")/lib.sh"

begin jobs 3
load busybox 1 2 3
job() { w 1 job ls --json "$1" | jq -r ".[0].runs[-1].$2"; }
runs() { w 1 job ls --json "$1" | jq -r "[.[0].runs[] | select(.state == \"$2\")] | length"; }
is() { [ "$(job "$1" "$2")" = "$3" ]; }
at_least() { [ "$(runs "$1" "$2")" -ge "$3" ]; }
deploy() { w 1 deploy -f "$1" "${@:2}"; }

# --- completions and parallelism ------------------------------------------------------------------
file=$(compose count <<'YAML'
name: count
services:
  add:
    image: demo/busybox:1
    command: ["sh", "-c", "echo made $$HOSTNAME; sleep 1"]
    deploy: {mode: replicated-job, replicas: 5}
    x-wherry: {parallelism: 2}
  after:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    depends_on: {add: {condition: service_completed_successfully}}
YAML
)
most=0
deploy "$file" >/dev/null &
pid=$!
while kill -0 $pid 2>/dev/null; do
    n=$(w 2 ps --json count.add 2>/dev/null | jq '[.[] | select(.id != 0 and .state != "complete")] | length')
    [ "${n:-0}" -gt $most ] && most=$n
done
test_case "a job's deploy waits for its end" wait $pid
test_case "five completions" is count.add complete 5
test_case "two at once, never more" [ "$most" = 2 ]
test_case "it succeeded" is count.add state succeeded
test_case "what depends on it runs" [ "$(w 1 ls --json count.after | jq -r '.[0].state')" = running ]
test_case "each said so" [ "$(w 3 logs count.add | grep -c made)" = 5 ]
deploy "$file" >/dev/null
test_case "deployed again it does not run again" is count.add number 1
test_case "by hand it does" w 2 job run count.add
test_case "as its second run" is count.add number 2
test_case "whose cause is known" is count.add cause "by hand"
test_case "a service that is no job cannot" says "is no job" w 1 job run count.after
w 1 rm count >/dev/null

# --- failure, retries, deadline -------------------------------------------------------------------
file=$(compose bad <<'YAML'
name: bad
services:
  twice:
    image: demo/busybox:1
    command: ["sh", "-c", "n=$$(cat /d/n 2>/dev/null || echo 0); echo $$((n + 1)) >/d/n; [ $$n -ge 2 ]"]
    volumes: ["d:/d"]
    deploy: {mode: replicated-job, restart_policy: {condition: on-failure, delay: 200ms, max_attempts: 5}}
  never:
    image: demo/busybox:1
    command: ["sh", "-c", "echo no good; exit 7"]
    deploy: {mode: replicated-job, restart_policy: {condition: on-failure, delay: 100ms, max_attempts: 2}}
  slow:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 0s
    deploy: {mode: replicated-job, replicas: 2}
    x-wherry: {deadline: 2s}
volumes: {d: {}}
YAML
)
test_case "a failing job fails the deploy" says "cannot run as asked" deploy "$file"
test_case "tried again it succeeds" wait_for 20 "success" is bad.twice state succeeded
test_case "one that keeps failing fails" wait_for 20 "failure" is bad.never state failed
test_case "with the reason" grep -q 'bad.never.1 gave up.*7' <(job bad.never message)
test_case "one that takes too long fails" wait_for 20 "its deadline" is bad.slow state failed
test_case "with the reason, too" grep -q 'deadline of 2 s' <(job bad.slow message)
none_left() { [ "$(w 1 ps --json bad.slow | jq '[.[] | select(.state == "running")] | length')" = 0 ]; }
test_case "and its tasks end" wait_for 20 "none" none_left
w 1 rm bad >/dev/null

# --- schedules ------------------------------------------------------------------------------------
file=$(compose cron <<'YAML'
name: cron
services:
  tick:
    image: demo/busybox:1
    command: ["sh", "-c", "echo tick"]
    deploy: {mode: replicated-job}
    x-wherry: {schedule: "@every 2s", history: 3}
  long:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 0s
    deploy: {mode: replicated-job}
    x-wherry: {schedule: "@every 2s"}
  next:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 0s
    deploy: {mode: replicated-job}
    x-wherry: {schedule: "@every 2s", concurrency: replace}
  night:
    image: demo/busybox:1
    command: ["true"]
    deploy: {mode: replicated-job}
    x-wherry: {schedule: "30 3 * * *", time-zone: Europe/Berlin}
YAML
)
test_case "nobody waits for a schedule" deploy "$file" --timeout 20s
test_case "it runs again and again" wait_for 30 "runs" at_least cron.tick succeeded 3
kept() { [ "$(w 1 job ls --json cron.tick | jq '.[0].runs | length')" -le 4 ] && is cron.tick state succeeded; }
fourth() { [ "$(job cron.tick number)" -ge 5 ]; }
wait_for 30 "a fifth" fourth
test_case "of which the last are kept" wait_for 10 "three" kept
test_case "with their logs" [ "$(w 2 logs cron.tick | grep -c tick)" -ge 2 ]
test_case "one that still runs has the next skipped" wait_for 30 "skipped" at_least cron.long skipped 1
test_case "and goes on alone" [ "$(runs cron.long running)" = 1 ]
test_case "or is replaced by it" wait_for 30 "replaced" at_least cron.next canceled 1
berlin=$(TZ=Europe/Berlin date -d "tomorrow 03:30" +%s)
[ "$(TZ=Europe/Berlin date +%H%M)" -lt 0330 ] && berlin=$(TZ=Europe/Berlin date -d "03:30" +%s)
test_case "a time of day in its zone" [ "$(w 1 job ls --json cron.night | jq '.[0].next_ms / 1000')" = "$berlin" ]
w 1 stop cron.tick >/dev/null
before=$(job cron.tick number)
sleep 5
test_case "a stopped one does not run" [ "$(job cron.tick number)" = "$before" ]
w 1 start cron.tick --detach
later() { [ "$(job cron.tick number)" -gt "$before" ]; }
test_case "started it does" wait_for 20 "a run" later
test_case "a run can be ended" w 1 job stop cron.long
test_case "which is told" wait_for 10 "canceled" at_least cron.long canceled 1

# The leader dies: no time is lost, none comes twice.
l=$(leader 1)
f=$(follower 1 2 3)
host_kill "$l"
due() { w "$f" job ls --json cron.tick | jq -r '.[0].runs[] | .scheduled_ms'; }
wait_for 20 "another leader" has_leader "$f"
sleep 4
test_case "after the leader's death it goes on" wait_for 20 "a run" \
    bash -c "[ \$(( \$(date +%s%3N) - $(due | tail -1) )) -lt 6000 ]"
test_case "no time twice" [ -z "$(due | sort | uniq -d)" ]
host_boot "$l"
wait_for 30 "three" members_up "$f" 3
w "$f" rm cron >/dev/null

# --- on every node --------------------------------------------------------------------------------
file=$(compose each <<'YAML'
name: each
services:
  once:
    image: demo/busybox:1
    command: ["sh", "-c", "echo on $$(hostname)"]
    deploy: {mode: global-job}
YAML
)
load busybox "$l"
test_case "once on every node" w "$f" deploy -f "$file"
nodes() { w "$f" ps --json each.once | jq -r '[.[] | select(.state == "complete") | .node] | unique | length'; }
test_case "on three" [ "$(nodes)" = 3 ]
test_case "scaling it is refused" says "global" w "$f" scale each.once=2
test_case "a removed one" w "$f" job rm each.once
gone() { ! w "$f" job ls --json each.once >/dev/null 2>&1; }
test_case "is gone" wait_for 20 "its end" gone

# --- nonsense -------------------------------------------------------------------------------------
bad=$(compose nonsense <<'YAML'
name: nonsense
services:
  a: {image: x, deploy: {mode: replicated-job}, x-wherry: {schedule: "61 3 * * *"}}
  b: {image: x, x-wherry: {schedule: "0 3 * * *"}}
YAML
)
test_case "a minute that is none" says "minute '61': is out of range" w 1 deploy -f "$bad"
test_case "a schedule for what is no job" says "deploy.mode must be replicated-job" w 1 deploy -f "$bad"
finish
