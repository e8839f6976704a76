#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A volume's content in an archive and back, and on another member.
. "$(dirname "$0")/lib.sh"
begin vmove 3
load busybox 1 2 3
dir=$LAB_RUN/out
mkdir -p "$dir"

file=$(compose app <<'YAML'
name: app
services:
  keeper:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    volumes: ["data:/data"]
  reader:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    volumes: ["data:/data:ro"]
volumes: {data: }
YAML
)
in_keeper() { w 1 exec app.keeper sh -c "$1"; }
fill() {
    in_keeper 'mkdir -p /data/a/b && echo one >/data/a/one && echo two >"/data/a/b/with space" && chown 1000:1001 /data/a/one && chmod 640 /data/a/one &&
        ln -s one /data/a/link && ln /data/a/one /data/a/hard && mkfifo /data/pipe && chmod 1777 /data && dd if=/dev/urandom of=/data/large bs=1M count=20 2>/dev/null && sync'
}
sums() { w 1 exec "${1:-app.keeper}" sh -c 'cd /data && find . -type f | sort | xargs -d "\n" md5sum 2>/dev/null || find /data -type f -exec md5sum {} +; find . | sort | xargs -n1 stat -c "%n %a %u:%g %F" 2>/dev/null'; }
home() { w 1 ps app.keeper --json | jq -r '[.[] | select(.state == "running")][0].node'; }

test_case "deploy" w 1 deploy -f "$file"
test_case "content" fill
sums >"$dir/before"
same() { sums >"$dir/now"; diff "$dir/before" "$dir/now"; }
from=$(home)
to=n3
[ "$from" = n3 ] && to=n2

# --- backup ---
test_case "backup" w 1 volume backup --node "$from" app_data "$dir/data.tar"
test_case "its files are in it" bash -c "tar tf $dir/data.tar | grep -q 'a/b/with space'"
test_case "with owners" bash -c "tar tvf $dir/data.tar --numeric-owner | grep -q '1000/1001.*a/one'"
test_case "not over a file" says "exists: give another name" w 1 volume backup --node "$from" app_data "$dir/data.tar"
test_case "to a pipe" bash -c "WHERRY_HOST=unix://$LAB_RUN/1/wherry.sock $WHERRY volume backup --node $from app_data - | tar t | grep -q large"
test_case "a volume that is none" says "no volume 'nothing'" w 1 volume backup --node "$from" nothing "$dir/x.tar"
test_case "leaves no file" [ -z "$(ls "$dir" | grep x.tar)" ]
test_case "a member that is none" says "no node 'n9'" w 1 volume backup --node n9 app_data "$dir/x.tar"

# --- restore ---
test_case "not while a container has it" says "is used by container" w 1 volume restore --force --node "$from" app_data "$dir/data.tar"
test_case "into a new volume" w 1 volume restore --node n2 copy "$dir/data.tar"
run_in() { w 2 container run --rm -v copy:/data demo/busybox:1 sh -c "$1"; }
printf '%s\n' one '640 1000:1001' one 2 1777 >"$dir/wanted"
restored() { run_in 'cat /data/a/one; stat -c "%a %u:%g" /data/a/one; readlink /data/a/link; stat -c %h /data/a/one; stat -c %a /data' | diff "$dir/wanted" -; }
test_case "content, owner, mode" restored
test_case "not over what is there" says "is not empty" w 1 volume restore --node n2 copy "$dir/data.tar"
test_case "but by force" w 1 volume restore --node n2 --force copy "$dir/data.tar"
head -c 100000 "$dir/data.tar" >"$dir/cut.tar"
test_case "an archive that was cut" not w 1 volume restore --node n2 cut "$dir/cut.tar"
test_case "leaves nothing" [ -z "$(ls -A "$(w 2 volume inspect cut | jq -r '.[0].path')")" ]
echo nonsense >"$dir/no.tar"
test_case "what is no archive" not w 1 volume restore --node n2 cut "$dir/no.tar"
(cd "$dir" && mkdir -p evil && ln -s /etc evil/out && tar cf evil.tar evil/out && rm evil/out && mkdir evil/out && echo x >evil/out/wherry-was-here && tar rf evil.tar evil/out/wherry-was-here)
w 1 volume restore --node n2 evil "$dir/evil.tar" >/dev/null 2>&1
test_case "an archive that leads outside does not" [ ! -e /etc/wherry-was-here ]

# --- move ---
test_case "move" w 1 volume move app_data "$to"
test_case "its services run there" wait_for 30 "the service" eval '[ "$(home)" = "$to" ]'
test_case "with the content" same
test_case "both of them" [ "$(w 1 ps app.reader --json | jq -r '[.[] | select(.state == "running")][0].node')" = "$to" ]
test_case "it is where it says" w 1 volume inspect --node "$to" app_data
test_case "there already" says "is on $to already" w 1 volume move app_data "$to"
test_case "the old content is deleted by hand" w 1 volume rm --node "$from" app_data
test_case "to a member that is none" not w 1 volume move app_data n9
test_case "after which its services run as before" wait_for 60 "the service" eval '[ "$(home)" = "$to" ]'
test_case "with their content" same

# --- its home is lost ---
host_kill "${to#n}"
waits() { w 1 why app.keeper 2>&1 | grep -q "$to"; }
test_case "without its home they wait" wait_for 30 "waiting" waits
test_case "they are stopped" w 1 stop -d app
node_rm() { w 1 node rm "$to" --yes; }
test_case "the member is lost for good" wait_for 30 "removal" node_rm
test_case "a backup gives it another home" w 1 volume restore --node n1 app_data "$dir/data.tar"
test_case "it is known there" [ "$(w 1 volume inspect --node n1 app_data | jq '.[0].home')" = true ]
test_case "they start" w 1 start app
test_case "there" wait_for 60 "the service" eval '[ "$(home)" = n1 ]'
test_case "with what was saved" same
finish
