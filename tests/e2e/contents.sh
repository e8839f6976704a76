#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Configs and secrets: where they come from, who sees them, what a change of one does.
. "$(dirname "$0")/lib.sh"
begin contents 3

dir=$(mktemp -d)
load busybox 1 2 3

write_file() { # write_file PASSWORD GREETING
    printf '%s' "$1" >"$dir/password.txt"
    cat >"$dir/compose.yaml" <<END
name: app
services:
  web:
    image: demo/busybox:1
    command: [sh, -c, "trap 'echo reread' HUP; while :; do sleep 0.2; done"]
    stop_grace_period: 1s
    configs: [greeting, {source: site, target: /etc/site.conf, uid: "101", mode: 0440}]
    secrets: [password, {source: token, target: api_token, mode: 0400}]
    deploy: {replicas: 2, update_config: {parallelism: 2}}
  live:
    image: demo/busybox:1
    command: [sh, -c, "trap 'echo reread' HUP; while :; do sleep 0.2; done"]
    stop_grace_period: 1s
    configs: [greeting]
    x-wherry: {on-change: signal HUP}
configs:
  greeting: {content: "$2"}
  site: {external: true}
secrets:
  password: {file: ./password.txt}
  token: {environment: API_TOKEN}
END
}
deploy() { API_TOKEN=s3cr3t-token w 1 deploy -f "$dir/compose.yaml" "$@"; }
show() { w 1 exec "$1" cat "$2"; }

by_hand() {
    ! deploy 2>&1 | tee "$dir/out" | grep -q . || true
    grep -q "there is no config site: make it first, 'wherry config create site FILE'" "$dir/out" || return 1
    printf 'listen 80;' | w 2 config create -l tier=front site - | grep -qx 'site, version 1' || return 1
    ! printf x | w 2 config create site - 2>/dev/null || return 1
    w 3 config inspect site | jq -e '.[0].data == "listen 80;" and .[0].labels[0].key == "tier"'
}

in_place() {
    deploy >/dev/null || return 1
    for n in 1 2; do
        [ "$(show app.web.$n /greeting)" = hello ] || return 1
        [ "$(show app.web.$n /etc/site.conf)" = "listen 80;" ] || return 1
        [ "$(show app.web.$n /run/secrets/password)" = hunter2 ] || return 1
        [ "$(show app.web.$n /run/secrets/api_token)" = s3cr3t-token ] || return 1
        [ "$(w 1 exec app.web.$n stat -c '%u %a' /etc/site.conf)" = "101 440" ] || return 1
        [ "$(w 1 exec app.web.$n stat -c '%u %a' /run/secrets/api_token)" = "0 400" ] || return 1
        ! w 1 exec app.web.$n sh -c 'echo x >/run/secrets/password' 2>/dev/null || return 1
    done
}

# Nothing of it on a disk: neither in the log nor in a container's files.
sealed() {
    local n
    for n in 1 2 3; do
        ! grep -rqs -e hunter2 -e s3cr3t-token "$LAB_DATA/$n" || return 1
    done
    ! w 1 secret inspect app_password | grep -q hunter2 || return 1
    ! w 1 inspect app.web | grep -q hunter2 || return 1
    w 2 secret ls | grep -q '^app_password  *1 .*app.web'
}

tasks() { w 1 ps --json | jq -c '[.[] | select(.desired == "run") | {(.name): .id}] | add'; }

same_is_same() {
    local before
    before=$(tasks)
    deploy >/dev/null || return 1
    [ "$(tasks)" = "$before" ]
}

rolls() {
    local before
    before=$(w 1 ps --json | jq -c '[.[] | select(.name | startswith("app.web.")) | .id] | sort')
    write_file hunter3 hello
    w 1 plan -f "$dir/compose.yaml" 2>/dev/null | grep -q . || true
    API_TOKEN=s3cr3t-token w 1 plan -f "$dir/compose.yaml" | grep -q 'app.web .*secrets' || return 1
    deploy >/dev/null || return 1
    [ "$(show app.web.1 /run/secrets/password)" = hunter3 ] || return 1
    [ "$(w 1 ps --json | jq -c '[.[] | select(.name | startswith("app.web.")) | .id] | sort')" != "$before" ] || return 1
    w 1 rollback app.web >/dev/null || return 1
    [ "$(show app.web.2 /run/secrets/password)" = hunter2 ] || return 1
    deploy >/dev/null
}

in_place_with_a_signal() {
    local before
    before=$(w 1 ps --json | jq -r '.[] | select(.name == "app.live.1") | .id')
    write_file hunter3 "good day"
    deploy >/dev/null || return 1
    wait_for 10 "it" sh -c "[ \"\$($WHERRY -H unix://$LAB_RUN/1/wherry.sock exec app.live cat /greeting)\" = 'good day' ]" || return 1
    [ "$(w 1 ps --json | jq -r '.[] | select(.name == "app.live.1" and .desired == "run") | .id')" = "$before" ] || return 1
    wait_for 5 "it" sh -c "$WHERRY -H unix://$LAB_RUN/1/wherry.sock logs app.live | grep -q reread"
}

update_by_hand() {
    printf 'listen 81;' | w 3 config update site - | grep -q 'app.web gets it' || return 1
    wait_for 30 "it" sh -c "[ \"\$($WHERRY -H unix://$LAB_RUN/1/wherry.sock exec app.web.1 cat /etc/site.conf)\" = 'listen 81;' ]" || return 1
    ! w 1 config rm site 2>"$dir/err" || return 1
    grep -q 'in use by app.web' "$dir/err"
}

# What the processes of a task see at a path, also where nobody can be asked.
sees() { # sees HOST TASK-ID PATH TEXT
    local pid
    for pid in $(pids_in "$1" "t$2"); do
        [ "$(cat "/proc/$pid/root$3" 2>/dev/null)" = "$4" ] && return 0
    done
    return 1
}

back_again() {
    local node id n
    node=$(w 1 ps --json | jq -r '.[] | select(.name == "app.live.1") | .node' | tr -d n)
    id=$(w 1 ps --json | jq -r '.[] | select(.name == "app.live.1") | .id')
    for n in 1 2 3; do host_kill "$n"; done
    host_boot "$node"
    wait_for 60 "its files" sees "$node" "$id" /greeting "good day" || return 1
    for n in 1 2 3; do [ "$n" = "$node" ] || host_boot "$n"; done
    wait_for 60 "it" sh -c "$WHERRY -H unix://$LAB_RUN/1/wherry.sock exec app.web.1 cat /run/secrets/password 2>/dev/null | grep -qx hunter3"
}

other_key() {
    w 1 key rotate >/dev/null || return 1
    w 1 restart app.web >/dev/null || return 1
    wait_for 30 "it" sh -c "$WHERRY -H unix://$LAB_RUN/1/wherry.sock exec app.web.1 cat /run/secrets/password 2>/dev/null | grep -qx hunter3"
}

collected() {
    w 1 rm --yes app >/dev/null 2>&1 || w 1 rm app >/dev/null || return 1
    wait_for 30 "it" sh -c "[ \"\$($WHERRY -H unix://$LAB_RUN/1/wherry.sock secret ls -q | wc -l)\" = 0 ]" || return 1
    [ "$(w 1 config ls -q)" = site ] || return 1
    w 1 config rm site >/dev/null && [ -z "$(w 1 config ls -q)" ]
}

write_file hunter2 hello
test_case "what a file does not bring is made by hand" by_hand
test_case "files are in their places, with owner and mode" in_place
test_case "a secret is on no disk and in no answer" sealed
test_case "the same content is the same version" same_is_same
test_case "another content rolls the service, and a rollback goes back" rolls
test_case "with on-change it is put in place and the process signalled" in_place_with_a_signal
test_case "one made by hand is changed for all that have it" update_by_hand
test_case "after a loss of power they are there again, without a quorum too" back_again
test_case "another cluster key opens them as well" other_key
test_case "they go with the stack, or by hand" collected
rm -rf "$dir"
finish
