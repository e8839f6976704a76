#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files of containers, through another member: cp by Docker's rules, nothing beside the container is
# reached, diff, commit (the image looked at by skopeo), a checkpoint that cannot be made.
. "$(dirname "$0")/lib.sh"

begin container-files 2
load busybox 1 2

file=$(compose box <<'YAML'
name: box
services:
  box:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    volumes: ["data:/data"]
    deploy: {placement: {constraints: ["node.hostname == n2"]}}
  over:
    image: demo/busybox:1
    command: ["sh", "-c", "echo left >/left; echo kept >/kept/file"]
    volumes: ["kept:/kept"]
    deploy: {mode: replicated-job, restart_policy: {condition: none}, placement: {constraints: ["node.hostname == n1"]}}
volumes:
  data:
  kept:
YAML
)
w 1 deploy -d -f "$file" >/dev/null
wait_for 20 "box" running_is 1 box.box 1
id=t$(tasks 1 box.box | jq -r '.[0].id')
c() { w 1 container "$@"; }
cp_() { c cp "$@"; }
inside() { nsenter -t "$(pids_in 2 "$id" | head -1)" -m -p -u "$@"; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"; finish' EXIT

# --- in ----------------------------------------------------------------------------------------------
mkdir -p "$tmp/src/sub"
echo one >"$tmp/src/one"
ln "$tmp/src/one" "$tmp/src/sub/same"
ln -s ../one "$tmp/src/sub/link"
chmod 640 "$tmp/src/one"
truncate -s 100M "$tmp/src/holes"
printf x | dd of="$tmp/src/holes" bs=1 seek=50000000 conv=notrunc 2>/dev/null
setfattr -n user.note -v hello "$tmp/src/one" 2>/dev/null && has_xattrs=1
long=$(printf 'n%.0s' $(seq 120))
echo long >"$tmp/src/$long"

test_case "a folder into one that is there" cp_ "$tmp/src" box.box:/root
test_case "goes into it" [ "$(inside cat /root/src/one)" = one ]
test_case "with its mode, root's" [ "$(inside stat -c '%a %u:%g' /root/src/one)" = "640 0:0" ]
test_case "hard links stay" [ "$(inside stat -c %i /root/src/one)" = "$(inside stat -c %i /root/src/sub/same)" ]
test_case "so do symbolic ones" [ "$(inside readlink /root/src/sub/link)" = ../one ]
test_case "long names too" [ "$(inside cat "/root/src/$long")" = long ]
test_case "holes stay holes" [ "$(inside stat -c '%s' /root/src/holes)" = $((100 << 20)) -a "$(inside du -k /root/src/holes | cut -f1)" -lt 1000 ]
test_case "with what is between them" [ "$(inside dd if=/root/src/holes bs=1 skip=50000000 count=1 2>/dev/null)" = x ]
test_case "its content only" cp_ "$tmp/src/." box.box:/tmp
test_case "goes there" [ "$(inside cat /tmp/one)" = one ]
test_case "a folder under a new name" cp_ "$tmp/src" box.box:/root/other
test_case "is called that" [ "$(inside cat /root/other/one)" = one ]
test_case "a file under a new name" cp_ "$tmp/src/one" box.box:/root/uno
test_case "is called that too" [ "$(inside cat /root/uno)" = one ]
test_case "a file is replaced" cp_ "$tmp/src/$long" box.box:/root/uno
test_case "by the new one" [ "$(inside cat /root/uno)" = long ]
test_case "a folder does not replace a file" says "no folder in the container" cp_ "$tmp/src" box.box:/root/uno
test_case "a file does not replace a folder" says "is a folder there" sh -c "mkdir -p '$tmp/x'; echo f >'$tmp/x/src'; $WHERRY -H 'unix://$LAB_RUN/1/wherry.sock' container cp '$tmp/x/.' box.box:/root"
test_case "a folder that is not there is said" says "not in the container" cp_ "$tmp/src/one" box.box:/nowhere/
test_case "an archive from standard input" sh -c "tar -C '$tmp' -czf - src | $WHERRY -H 'unix://$LAB_RUN/1/wherry.sock' container cp - box.box:/data"
test_case "into a volume" [ "$(inside cat /data/src/one)" = one ]

# --- out ---------------------------------------------------------------------------------------------
test_case "a folder out" cp_ box.box:/root/src "$tmp/out"
test_case "is the same" diff -r --no-dereference "$tmp/src" "$tmp/out"
test_case "its holes are" [ "$(du -k "$tmp/out/holes" | cut -f1)" -lt 1000 ]
test_case "its links are" [ "$tmp/out/one" -ef "$tmp/out/sub/same" ]
[ -z "${has_xattrs:-}" ] || test_case "its xattrs are" [ "$(getfattr --only-values -n user.note "$tmp/out/one")" = hello ]
test_case "a file into a folder" sh -c "mkdir '$tmp/in'; $WHERRY -H 'unix://$LAB_RUN/1/wherry.sock' container cp box.box:/root/uno '$tmp/in'"
test_case "under its name" grep -q long "$tmp/in/uno"
test_case "an archive to standard output" sh -c "$WHERRY -H 'unix://$LAB_RUN/1/wherry.sock' container cp box.box:/root/src - | tar -tf - | grep -q '^src/sub/same$'"
test_case "what is not there" says "no /nothing in the container" cp_ box.box:/nothing "$tmp"
test_case "a volume as the container sees it" cp_ box.box:/data/src/one "$tmp/of-volume"

# --- nothing beside the container ---------------------------------------------------------------------
echo secret >"$tmp/host-secret"
inside ln -s "$tmp" /root/trap
inside ln -s /../../../../../../.. /root/up
test_case "a link out of the container leads nowhere" says "not in the container|No such file|no /root/trap" cp_ box.box:/root/trap/host-secret "$tmp/stolen"
test_case "not upwards either" says "no /root/up" cp_ "box.box:/root/up$tmp/host-secret" "$tmp/stolen"
test_case "nor when writing" says "not in the container|No such" cp_ "$tmp/src/one" box.box:/root/trap/written
test_case "nothing came, nothing went" [ ! -e "$tmp/stolen" -a ! -e "$tmp/written" ]
python3 - "$tmp" <<'PY' 2>/dev/null || true
import tarfile, io, sys
t = tarfile.open(sys.argv[1] + "/evil.tar", "w")
def add(name, data=b"x", **kw):
    i = tarfile.TarInfo(name); i.size = len(data)
    for k, v in kw.items(): setattr(i, k, v)
    t.addfile(i, io.BytesIO(data))
add("link", b"", type=tarfile.SYMTYPE, linkname=sys.argv[1])
add("link/planted")
t.close()
PY
if [ -e "$tmp/evil.tar" ]; then
    sh -c "$WHERRY -H 'unix://$LAB_RUN/1/wherry.sock' container cp - box.box:/root <'$tmp/evil.tar'" >/dev/null 2>&1
    test_case "an archive that goes through a link of its own plants nothing here" [ ! -e "$tmp/planted" ]
fi
test_case "no mounts of it stay" not grep -q "$LAB_RUN/2/\(copy\|empty\)" /proc/self/mounts

# --- diff and commit -----------------------------------------------------------------------------------
inside rm /bin/vi
inside sh -c 'echo changed >>/etc/passwd; rm -rf /root/other /root/src; mkdir -p /srv/new; echo f >/srv/new/file'
changes() { c diff box.box | tr '\n' ';'; }
has_change() { c diff box.box | grep -qxF "$1"; }
test_case "diff: added" has_change "A /srv/new/file"
test_case "changed" has_change "C /etc/passwd"
test_case "deleted" has_change "D /bin/vi"
test_case "nothing of volumes" not has_change "A /data/src/one"
test_case "commit" c commit --env GREETING=hello --cmd 'sh -c "echo $GREETING"' --label made=here -m test box.box boxed:1
test_case "it is listed on its member" grep -q boxed:1 <(w 2 image ls)
w 2 image save -o "$tmp/boxed.tar" boxed:1 >/dev/null 2>&1 || w 2 image save boxed:1 >"$tmp/boxed.tar" 2>/dev/null
if command -v skopeo >/dev/null; then
    config() { skopeo inspect --config "oci-archive:$tmp/boxed.tar" 2>/dev/null || skopeo inspect --config "docker-archive:$tmp/boxed.tar"; }
    test_case "skopeo reads its config" [ "$(config | jq -r '.config.Labels.made + " " + (.config.Cmd | join("|")) + " " + (.config.Env | map(select(startswith("GREETING")))[0])')" = 'here sh|-c|echo $GREETING GREETING=hello' ]
    test_case "and copies it, digests checked" skopeo copy -q "oci-archive:$tmp/boxed.tar" "dir:$tmp/dir"
    layer=$(jq -r '.layers[-1].digest' "$tmp/dir/manifest.json" | cut -d: -f2)
    test_case "what was deleted is a whiteout" grep -qE '(^|/)bin/\.wh\.vi$' <(tar -tf "$tmp/dir/$layer")
    test_case "what was added is there" grep -qE '(^|/)srv/new/file$' <(tar -tf "$tmp/dir/$layer")
fi
again=$(compose again <<'YAML'
name: again
services:
  box:
    image: boxed:1
    command: ["sh", "-c", "cat /srv/new/file; test -e /bin/vi || echo no vi; echo $$GREETING; sleep 100000"]
    stop_grace_period: 1s
    deploy: {placement: {constraints: ["node.hostname == n2"]}}
YAML
)
w 2 deploy -d -f "$again" >/dev/null
ran() { [ "$(c logs again.box | tr '\n' ' ')" = "f no vi hello " ]; }
test_case "a service runs of it" wait_for 20 "its words" ran

# --- checkpoint ----------------------------------------------------------------------------------------
test_case "a checkpoint that cannot be made says why" says "cannot checkpoint here" c checkpoint box.box one
test_case "and the container runs on" [ "$(c ls --node n2 --json "$id" | jq -r '.[0].state')" = running ]
test_case "nothing of it is left" [ ! -e "$LAB_DATA/2/containers/$id/checkpoints/one" ]

# --- one that does not run -----------------------------------------------------------------------------
over=t$(tasks 1 box.over | jq -r '.[0].id')
stopped() { [ "$(c ls --json "$over" | jq -r '.[0].state')" = exited ]; }
wait_for 20 "its end" stopped
test_case "out of one that has ended" cp_ "$over:/left" "$tmp/left"
test_case "what it left" grep -q left "$tmp/left"
test_case "into one that has ended" cp_ "$tmp/src/one" "$over:/etc/one"
test_case "and out again" cp_ "$over:/etc/one" "$tmp/again"
test_case "the same" cmp "$tmp/src/one" "$tmp/again"
test_case "a volume of it" cp_ "$over:/kept/file" "$tmp/kept"
test_case "has what it wrote" grep -q kept "$tmp/kept"
