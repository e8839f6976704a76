#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a deployer, an image or a process in a container might try: to get into containers that have more
# than it may have, to have the OCI runtime follow links, to block who copies files.
. "$(dirname "$0")/lib.sh"

# What is done with the files of containers waits as long as a file says so.
tmp=$(mktemp -d) || exit 1
export tmp
mkdir "$tmp/bin"
cp "$(dirname "$WHERRY")"/wherry* "$tmp/bin"
mv "$tmp/bin/wherry-image" "$tmp/bin/image"
cat >"$tmp/bin/wherry-image" <<END
#!/bin/sh
if [ -e "$tmp/slow-\$1" ]; then
    touch "$tmp/at-\$1-\$\$"
    while [ -e "$tmp/slow-\$1" ]; do sleep 0.2; done
    rm -f "$tmp/at-\$1-\$\$"
fi
exec "$tmp/bin/image" "\$@"
END
chmod 755 "$tmp/bin/wherry-image" "$tmp"
WHERRY=$tmp/bin/wherry
begin hostile 2
trap 'rm -f "$tmp"/slow-*; finish' EXIT
load busybox 1 2
host_net 9

file=$(compose box <<'YAML'
name: box
services:
  box:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 0s
    deploy: {placement: {constraints: ["node.hostname == n2"]}}
  strong:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    cap_add: [SYS_ADMIN]
    stop_grace_period: 0s
    deploy: {placement: {constraints: ["node.hostname == n2"]}}
YAML
)
w 1 deploy -d -f "$file" >/dev/null
wait_for 20 "box" running_is 1 box.box 1
wait_for 20 "strong" running_is 1 box.strong 1
inside() { w 2 exec box.box.1 "$@"; }
from_elsewhere() { # from_elsewhere TOKEN ARGUMENTS...
    in_host 9 env WHERRY_HOST="$PREFIX.1" WHERRY_TOKEN="$1" timeout 20 "$WHERRY" "${@:2}"
}
deployer=$(w 1 token create -q --role deployer d)
d() { from_elsewhere "$deployer" "$@"; }
echo planted >"$tmp/file"

# --- the files of a container are as good as a command in it ------------------------------------------
test_case "a deployer puts a file into a container such as he may have" d container cp "$tmp/file" box.box:/root/file
test_case "and takes it out" d container cp box.box:/root/file "$tmp/out"
test_case "he runs nothing in one that has more" says 'only an admin may go into' d exec box.strong.1 true
test_case "so he puts no file into it" says 'only an admin may go into' d container cp "$tmp/file" box.strong:/root/file
test_case "it has none" not w 2 exec box.strong.1 test -e /root/file
test_case "nor takes one out" says 'only an admin may go into' d container cp box.strong:/etc/passwd "$tmp/stolen"
test_case "nor makes an image of it" says 'only an admin may go into' d container commit box.strong stolen:1
test_case "nor a checkpoint" says 'only an admin may go into' d container checkpoint box.strong one
test_case "nor looks what is in it" says 'only an admin may go into' d container diff box.strong
test_case "an admin does" w 1 container cp "$tmp/file" box.strong:/root/file

# --- mounts where the OCI runtime has its own ---------------------------------------------------------
over() { # over TARGET [IMAGE]
    compose over <<YAML
name: over
services:
  one:
    image: ${2:-demo/busybox:1}
    command: ["sleep", "100000"]
    volumes: ["data:$1"]
    stop_grace_period: 0s
    deploy: {placement: {constraints: ["node.hostname == n2"]}}
volumes: {data: }
YAML
}
for target in /proc /proc/sys /dev //dev/ /sys/fs/cgroup; do
    test_case "a deployer mounts nothing at $target" says 'only an admin may deploy this' d deploy -d -f "$(over $target)"
done
inside ln -s /dev /looks-harmless
d container commit box.box evil:1 >/dev/null
test_case "a link of the image is taken" d deploy -d -f "$(over /looks-harmless evil:1)"
refused() { w 1 ps over --json | jq -e 'any(.[]; .message | test("links of the image lead"))' >/dev/null; }
test_case "but not followed to /dev" wait_for 20 "refused" refused
w 1 rm over >/dev/null

# --- files that block, change or never end -------------------------------------------------------------
inside sh -c 'mkdir /t; mkfifo /t/fifo; truncate -s 8000000000000 /t/holes; mknod /t/device b 8 0; ln -s /t /t/round
    touch "/t/new
line"; i=0; d=/t; while [ $i -lt 60 ]; do d=$d/deep; i=$((i+1)); done; mkdir -p $d' 2>/dev/null
w 2 exec box.box.1 sh -c 'while :; do mv /t/fifo /t/other; echo x >/t/fifo; rm /t/fifo; mv /t/other /t/fifo; done' >/dev/null 2>&1 &
swapper=$!
test_case "pipes, devices, holes, rings and names with line ends are copied out" sh -c 'mkdir "$tmp/t"; for i in 1 2 3; do timeout 20 "$0" -H "unix://$1/1/wherry.sock" container cp box.box:/t - | tar -tf - >"$tmp/list" || exit 1; done' "$WHERRY" "$LAB_RUN"
test_case "the member answers meanwhile" w 2 ps
kill "$swapper" 2>/dev/null
wait "$swapper" 2>/dev/null
test_case "a name with a line end stays one line of a list" [ "$(w 1 container diff box.box | grep -c 'new?line$')" = 1 ]

# --- who asks much holds up himself --------------------------------------------------------------------
under_way() { # under_way MODE N
    [ "$(find "$tmp" -maxdepth 1 -name "at-$1-*" | wc -l)" -ge "$2" ]
}
asking=()
slow() { # slow MODE N: so many copies are under way, and stay there
    local i
    touch "$tmp/slow-$1"
    for i in $(seq "$2"); do
        timeout 60 "$WHERRY" -H "unix://$LAB_RUN/2/wherry.sock" container cp box.box:/etc/passwd "$tmp/copy$i" >/dev/null 2>&1 &
        asking+=($!)
    done
    wait_for 20 "$2 at work" under_way "$1" "$2"
}
let_go() {
    rm -f "$tmp"/slow-*
    wait "${asking[@]}"
    asking=()
}
small=$(compose small <<'YAML'
name: small
services:
  one:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 0s
    deploy: {placement: {constraints: ["node.hostname == n2"]}}
YAML
)
slow tar-look 4
w 1 deploy -d -f "$small" >/dev/null
test_case "while four look at files containers start" wait_for 20 "small" running_is 1 small.one 1
test_case "they still look" under_way tar-look 4
let_go
slow tar-out 2
test_case "while two copy images are loaded" timeout 30 "$WHERRY" -H "unix://$LAB_RUN/2/wherry.sock" image load "$images/redis.tar"
test_case "they still copy" under_way tar-out 2
let_go
test_case "and then have it" [ -s "$tmp/copy1" -a -s "$tmp/copy2" ]
rm -rf "$tmp"
finish
