#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A private registry behind TLS of its own CA: one login for all members; a tag stands for the same
# bits on all of them until a deploy asks anew; the login through a new key, a lock and a restore.
. "$(dirname "$0")/lib.sh"

begin registry_login 0
registry=$PREFIX.254:5443
password=the-password-of-ann-$RANDOM$RANDOM
dir=$LAB_RUN/registry
mkdir -p "$dir"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test-ca \
    -keyout "$dir/ca.key" -out "$dir/ca.pem" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=registry \
    -keyout "$dir/key.pem" -out "$dir/csr.pem" 2>/dev/null
openssl x509 -req -in "$dir/csr.pem" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
    -extfile <(echo "subjectAltName=IP:$PREFIX.254") -out "$dir/cert.pem" 2>/dev/null
printf 'ann:%s\n' "$(perl -e 'print crypt($ARGV[0], "\$2y\$05\$abcdefghijklmnopqrstuu")' "$password")" >"$dir/htpasswd"
cat >"$dir/config.yaml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $dir/store}}
http: {addr: $registry, tls: {certificate: $dir/cert.pem, key: $dir/key.pem}}
auth: {htpasswd: {realm: test, path: $dir/htpasswd}}
log: {level: error}
YAML
registry_up() {
    docker-registry serve "$dir/config.yaml" >>"$dir/log" 2>&1 &
    registry_pid=$!
    wait_for 10 "registry" ask "https://$registry/v2/"
}
ask() { curl -fsS --cacert "$dir/ca.pem" -u "ann:$password" "$@"; }
registry_down() { kill "$registry_pid"; wait "$registry_pid" 2>/dev/null; }
trap 'kill $registry_pid 2>/dev/null; finish' EXIT

put_blob() { # put_blob FILE
    local location
    location=$(ask -X POST -D - -o /dev/null "https://$registry/v2/team/app/blobs/uploads/" |
        tr -d '\r' | awk 'tolower($1) == "location:" {print $2}')
    ask -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$1" \
        "$location&digest=sha256:$(sha256sum "$1" | cut -d' ' -f1)"
}
push() { # push TAG BITS: busybox, with BITS in the environment of its containers; prints the digest
    local push=$dir/push manifest layer
    rm -rf "$push" && mkdir -p "$push" && tar -C "$push" -xf "$images/busybox.tar" || return
    manifest=$push/blobs/$(jq -r '.manifests[0].digest' "$push/index.json" | tr : /)
    jq -c ".config.Env += [\"BITS=$2\"]" "$push/blobs/$(jq -r .config.digest "$manifest" | tr : /)" >"$push/config"
    jq -c --arg d "sha256:$(sha256sum "$push/config" | cut -d' ' -f1)" --argjson n "$(stat -c %s "$push/config")" \
        '.config.digest = $d | .config.size = $n' "$manifest" >"$push/manifest"
    for layer in $(jq -r '.layers[].digest' "$manifest" | tr : /); do put_blob "$push/blobs/$layer" || return; done
    put_blob "$push/config" &&
        ask -X PUT -H "Content-Type: $(jq -r '.mediaType // "application/vnd.oci.image.manifest.v1+json"' "$push/manifest")" \
            --data-binary "@$push/manifest" "https://$registry/v2/team/app/manifests/$1" &&
        echo "sha256:$(sha256sum "$push/manifest" | cut -d' ' -f1)"
}
app() { # app TAG REPLICAS
    compose app <<YAML
name: app
services:
  web:
    image: $registry/team/app:$1
    command: ["sleep", "100000"]
    stop_signal: SIGKILL
    deploy: {replicas: $2, placement: {max_replicas_per_node: 1}}
YAML
}
login() { w "$1" registry login -u ann --password-stdin "$registry" <<<"$2"; }
digest() { w 2 inspect app.web --json | jq -r '.[0].spec.image_digest'; }
bits() { # the bits of all replicas: "1 1 1"
    local node id
    tasks 1 app.web | jq -r '.[] | select(.state == "running") | "\(.node) \(.id)"' | while read -r node id; do
        tr '\0' '\n' <"/proc/$(pids_in "${node#n}" "t$id" | head -1)/environ" | sed -n 's/^BITS=//p'
    done | sort | paste -sd' '
}
bits_are() { [ "$(bits)" = "$1" ] || { bits; return 1; }; }
nobody_has_it_in_plain() { ! grep -rqaF "$password" "$LAB_DATA" "$LAB_RUN"; }
ids() { tasks 1 app.web | jq -c '[.[].id]'; }
fetching_says() { tasks 1 app.web | jq -r '.[].message' | grep -q "$1"; }

registry_up
one=$(push 1 1)
test_case "an image is there" [ -n "$one" ]
for n in 1 2 3; do host_up $n; done
cluster_form 1 2 3 || exit 1
wait_for 10 "level 3" eval '[ "$(w 1 status --json | jq ".[0].level")" -ge 3 ]'
file=$(app 1 2)

# --- the login ---
test_case "a certificate that nobody vouches for is not trusted" says 'certificate|TLS|SSL' login 1 "$password"
test_case "its CA is made known" w 1 registry set --ca "$dir/ca.pem" "$registry"
test_case "without a login a deploy is refused and says what to do" \
    says "wherry registry login $registry" w 2 deploy -f "$file"
test_case "nothing of it was made" [ "$(w 2 ls --json | jq length)" = 0 ]
test_case "a wrong password is not kept" says 'denied|not accept|credentials|unauthorized|authentication' login 1 wrong
test_case "nobody is logged in" [ "$(w 2 registry ls --json | jq -r '.[0].login')" = none ]
test_case "the right one is taken, on one member" login 1 "$password"
test_case "another member knows of it" [ "$(w 3 registry inspect "$registry" | jq -r '.[0].username')" = ann ]
test_case "the password is shown nowhere" not grep -qF "$password" <(w 1 registry ls --json; w 1 registry inspect "$registry")
test_case "nor is it on a disk" nobody_has_it_in_plain
test_case "nor does a caller have it sent over plain HTTP" \
    says 'is for TLS and not sent' w 1 image pull --plain-http "$registry" "$registry/team/app:1"

# --- one digest for all ---
test_case "a deploy through a third member" w 2 deploy -f "$file"
test_case "is bound to a digest" [ "$(digest)" = "$registry/team/app@$one" ]
test_case "all replicas run it" bits_are "1 1"
two=$(push 1 2)
test_case "the tag is moved" [ "$two" != "$one" ]
before=$(ids)
test_case "the same file again" w 3 deploy -f "$file"
test_case "restarts nothing" [ "$(ids)" = "$before" ]
test_case "a further replica" w 1 scale app.web=3
test_case "runs the same bits as the others" bits_are "1 1 1"
registry_down
test_case "the same file again, with the registry down" w 1 deploy -f "$(app 1 3)"
test_case "is still bound to the digest" [ "$(digest)" = "$registry/team/app@$one" ]
registry_up
test_case "a plan with --pull shows the other bits" grep -q "app:1 now is ${two:0:19}" <(w 2 plan --pull -f "$(app 1 3)")
test_case "a deploy with --pull takes them" w 2 deploy --pull -f "$(app 1 3)"
test_case "on all replicas" bits_are "2 2 2"

# --- another key, a lock ---
test_case "the cluster key is changed" w 2 key rotate
push 3 3 >/dev/null
test_case "the login is good with it" w 3 deploy -f "$(app 3 3)"
test_case "for all replicas" bits_are "3 3 3"
unlock=$(w 1 lock on -q)
daemon_kill 3
daemon_start 3
locked() { [ "$(w 3 status --json | jq -r '.[0].lock')" = locked ]; }
test_case "a member starts again and is locked" wait_for 20 "it is locked" locked
test_case "it cannot log in and says what to do" says 'wherry unlock' w 3 image pull "$registry/team/app:1"
test_case "it keeps no login for others either" says 'wherry unlock' login 3 "$password"
test_case "unlocked" eval 'w 3 unlock <<<"$unlock"'
test_case "it can" w 3 image pull "$registry/team/app:1"
test_case "still on no disk" nobody_has_it_in_plain

# --- a restore, and the end ---
test_case "a backup" w 1 backup "$LAB_RUN/one.backup"
host_up 4
test_case "a restore says which login is lost" grep -q "registry login $registry" <(w 4 restore "$LAB_RUN/one.backup")
due() { [ "$(w 4 registry ls --json | jq -r '.[0].login')" = due ]; }
test_case "and the new cluster that it is due" wait_for 20 "it is due" due
test_case "once made it is good" eval 'login 4 "$password" && w 4 image pull "$registry/team/app:1"'
test_case "a login ends" w 2 registry logout "$registry"
test_case "for all members" says 'registry login|denied|authentication|unauthorized' w 3 image pull "$registry/team/app:3"
test_case "twice it does not" says 'nobody is logged in' w 1 registry logout "$registry"
push 4 4 >/dev/null
test_case "a new image is refused with what to do" says 'wherry registry login' w 1 deploy -f "$(app 4 3)"
test_case "what is deployed runs on" bits_are "3 3 3"
test_case "all of it is forgotten" w 1 registry rm "$registry"
test_case "nothing is left" [ "$(w 3 registry ls --json | jq length)" = 0 ]
kill "$registry_pid"
finish
