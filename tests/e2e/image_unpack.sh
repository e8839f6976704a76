#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An image of everything that is hard to unpack, and one of 128 layers: the root that a container gets
# is the one that umoci unpacks, file by file.
# usage: tests/e2e/image_unpack.sh [IMAGEDRIVER [PROGRAM-DIR]]
cd "$(dirname "$0")/../.." || exit 2
driver=$(realpath "${1:-build/release/tests/e2e/imagedriver}")
programs=$(realpath "${2:-build/release/bin}")
[ "$(id -u)" = 0 ] || { echo "run it as root: it mounts"; exit 2; }
for program in "$driver" "$programs/wherry-image"; do
    [ -x "$program" ] || { echo "$program is missing: make $program"; exit 2; }
done
[ -n "$WHERRY_UNPACK_TEST" ] || WHERRY_UNPACK_TEST=1 exec unshare -m "$0" "$driver" "$programs"
dir=$(mktemp -d /var/tmp/wherry-unpack.XXXXXX)
data=$dir/data
passed=0 failed=0
cleanup() {
    umount "$dir"/root.* 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

ok() { echo "ok   $1"; passed=$((passed + 1)); }
fail() { echo "FAIL $1${2:+: $2}"; failed=$((failed + 1)); }
is() { # is NAME GOT WANTED
    if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "got '$2', wanted '$3'"; fi
}
drive() { "$driver" "$data" "$programs" "$@" 2>&1; }

# --- making images ---
blob() { # blob FILE: file it in the layout; prints "HEX SIZE"
    local hex
    hex=$(sha256sum "$1" | cut -d' ' -f1)
    mkdir -p "$layout/blobs/sha256"
    cp "$1" "$layout/blobs/sha256/$hex"
    echo "$hex $(stat -c %s "$1")"
}
layout_of() { # layout_of NAME LAYER-TAR...: an OCI layout $dir/NAME and its archive
    local name=$1 tar hex size layers='' diffs=''
    shift
    layout=$dir/$name
    mkdir -p "$layout"
    for tar; do
        diffs+="${diffs:+,}\"sha256:$(sha256sum "$tar" | cut -d' ' -f1)\""
        gzip -1 -n <"$tar" >"$dir/packed"
        read -r hex size < <(blob "$dir/packed")
        type=application/vnd.oci.image.layer.v1.tar+gzip
        layers+="${layers:+,}{\"mediaType\":\"$type\",\"digest\":\"sha256:$hex\",\"size\":$size}"
    done
    echo "{\"created\":\"2020-01-01T00:00:00Z\",\"os\":\"linux\",\"architecture\":\"$(dpkg --print-architecture)\",\"config\":{\"Cmd\":[\"x\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[$diffs]}}" >"$dir/config"
    read -r hex size < <(blob "$dir/config")
    echo "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:$hex\",\"size\":$size},\"layers\":[$layers]}" >"$dir/manifest"
    read -r hex size < <(blob "$dir/manifest")
    echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
    echo "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:$hex\",\"size\":$size,\"annotations\":{\"org.opencontainers.image.ref.name\":\"$name\"}}]}" >"$layout/index.json"
    tar -C "$layout" -cf "$dir/$name.tar" .
}
# All that is in a tree: names, kinds, modes, owners, times, sizes, links, devices, attributes, content.
tree() { # tree ROOT
    (
        cd "$1" || exit
        find . -mindepth 1 -printf '%P|%y|%m|%U|%G|%T@|%l|' \( -type f -printf '%s\n' -o -printf '\n' \) |
            LC_ALL=C sort
        find . \( -type c -o -type b \) -exec stat -c '%n %t:%T' {} + | LC_ALL=C sort
        find . -exec getfattr -h -d -m '^(user\.|security\.capability)' -e hex {} + 2>/dev/null |
            LC_ALL=C sort
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    )
}
same_trees() { # same_trees NAME IMAGE [ROOT]: as umoci unpacks it, or as ROOT is
    local want=${3:-$dir/umoci.$2/rootfs}
    drive load "$dir/$2.tar" >"$dir/out" || { fail "$1" "$(cat "$dir/out")"; return; }
    [ -n "$3" ] || umoci unpack --image "$dir/$2:$2" "$dir/umoci.$2" >"$dir/out" 2>&1 ||
        { fail "$1" "umoci: $(cat "$dir/out")"; return; }
    drive mount "$2" "$dir/root.$2" >"$dir/out" || { fail "$1" "$(cat "$dir/out")"; return; }
    tree "$want" >"$dir/want"
    tree "$dir/root.$2" >"$dir/have"
    if out=$(diff "$dir/want" "$dir/have"); then ok "$1 ($(wc -l <"$dir/have") lines)"; else fail "$1" "$(head -20 <<<"$out")"; fi
}

# --- everything that is hard ---
a=$dir/a b=$dir/b
mkdir -p "$a"/{opq/sub,late/sub,d1/d2,keep,again/x,file} "$a/usr/bin"
echo 1 >"$a/opq/old"; echo 1 >"$a/opq/sub/old"; echo 1 >"$a/late/old"; echo 1 >"$a/late/sub/old"
echo 2 >"$a/d1/d2/gone"; echo 3 >"$a/keep/f"; echo 4 >"$a/again/x/old"; echo 5 >"$a/dir"; echo 6 >"$a/file/in"
ln "$a/keep/f" "$a/keep/a-before"; ln "$a/keep/f" "$a/z-after"
ln -s /etc/passwd "$a/keep/abs"; ln -s ../keep/f "$a/keep/rel"; ln -s loop "$a/keep/loop"
cp /bin/busybox "$a/usr/bin/suid"; chmod 6755 "$a/usr/bin/suid"
cp /bin/busybox "$a/usr/bin/cap"; setcap cap_net_raw+ep "$a/usr/bin/cap"
echo x >"$a/keep/xattr"; setfattr -n user.k -v v1 "$a/keep/xattr"
setfattr -n user.dir -v d "$a/keep"
mkfifo "$a/keep/fifo"; mknod "$a/keep/null" c 1 3; mknod "$a/keep/loop0" b 7 0
mkdir -m 2775 "$a/keep/sgid"; mkdir -m 1777 "$a/keep/sticky"; chown -h 1000:2000 "$a/keep/xattr" "$a/keep/abs"
truncate -s 40M "$a/keep/sparse"; echo data | dd of="$a/keep/sparse" bs=1 seek=20000000 conv=notrunc status=none
long=$(printf '%0250d' 0); echo long >"$a/keep/$long"
deep=$a/$(printf 'deep%.0s/%.0s' $(seq 1 60)); mkdir -p "$deep"; echo deep >"$deep/$long"
echo uni >"$a/keep/ünïcødé-☃"; echo nl >"$a/keep/$(printf 'new\nline')"; echo sp >"$a/keep/ a  b "
ln -s "$(printf '%0200d' 1)" "$a/keep/long-link"
find "$a" -exec touch -h -d '2011-02-03 04:05:06.789' {} +

mkdir -p "$b"/{opq,late,d1/d2,keep,again/x,dir,new}
echo new >"$b/opq/new"; echo new >"$b/late/new"; echo new >"$b/again/x/new"; echo in >"$b/dir/in"
echo now-a-file >"$b/file"; echo replaced >"$b/keep/f"; chown 5:6 "$b/keep/f"
: >"$b/opq/.wh..wh..opq"; : >"$b/late/.wh..wh..opq"; : >"$b/d1/d2/.wh.gone"; : >"$b/keep/.wh.a-before"
: >"$b/.wh.again"; : >"$b/.wh.never-was"
find "$b" -exec touch -h -d '2012-02-03 04:05:06' {} +
pack() { tar --numeric-owner --xattrs --xattrs-include='*' --no-recursion "$@"; }
(cd "$a" && find . -print0 | LC_ALL=C sort -z |
    pack --format=posix --pax-option=delete=atime,delete=ctime -S --null -T - -cf "$dir/a.tar")
# The whiteouts where they are hardest: "again" after what is in it, an opaque mark last in its folder.
(cd "$b" && printf '%s\0' . ./opq ./opq/.wh..wh..opq ./opq/new ./late ./late/new ./late/.wh..wh..opq ./d1 \
    ./d1/d2 ./d1/d2/.wh.gone ./keep ./keep/.wh.a-before ./keep/f ./.wh.again ./again ./again/x ./again/x/new \
    ./dir ./dir/in ./file ./new ./.wh.never-was | pack --format=posix --null -T - -cf "$dir/b.tar")
layout_of torture "$dir/a.tar" "$dir/b.tar"
same_trees "whiteouts, links, devices, attributes, names: as umoci has them" torture
is "a sparse file takes little room" "$(($(du -k "$dir/root.torture/keep/sparse" | cut -f1) < 1000))" 1
is "the names of a file are one file" "$(stat -c %i "$(drive layers torture | head -1)/keep/f")" \
    "$(stat -c %i "$(drive layers torture | head -1)/z-after")"

# The same in the GNU format, which has no attributes.
(cd "$a" && find . -print0 | LC_ALL=C sort -z |
    tar --numeric-owner --format=gnu -S --no-recursion --null -T - -cf "$dir/gnu.tar.layer")
layout_of gnu "$dir/gnu.tar.layer"
mkdir "$dir/gnu.want" && tar --numeric-owner -xpf "$dir/gnu.tar.layer" -C "$dir/gnu.want"
same_trees "the GNU format, sparse files and long names: as tar has them" gnu "$dir/gnu.want"

# POSIX ACLs, which umoci does not know: as tar puts them there.
mkdir -p "$dir/acl/d"
echo x >"$dir/acl/f"
acl=0x0200000001000600ffffffff020006003930000004000400ffffffff10000600ffffffff20000000ffffffff
if setfattr -n system.posix_acl_access -v $acl "$dir/acl/f" 2>/dev/null; then
    setfattr -n system.posix_acl_default -v $acl "$dir/acl/d"
    : >"$dir/acl/d/inside"; setfattr -x system.posix_acl_access "$dir/acl/d/inside"; chmod 644 "$dir/acl/d/inside"
    tar --acls --numeric-owner --format=posix -C "$dir/acl" -cf "$dir/acl-layer.tar" .
    layout_of acl "$dir/acl-layer.tar"
    drive load "$dir/acl.tar" >"$dir/out" || fail "an image with ACLs" "$(cat "$dir/out")"
fi
acls() { (cd "$1" && getfattr -R -h -d -m '^system.posix_acl' -e hex . 2>/dev/null); }
if [ -f "$dir/acl.tar" ]; then
    drive mount acl "$dir/root.acl" >/dev/null
    is "ACLs are kept, and nothing inherits them by the way" "$(acls "$dir/root.acl")" "$(acls "$dir/acl")"
else
    fail "this file system has ACLs"
fi

# --- many layers ---
# Each adds a file, and takes one away that is ten below.
for i in $(seq 129); do
    l=$dir/l$i
    mkdir "$l"
    echo "$i" >"$l/f$i"
    [ "$i" -le 10 ] || : >"$l/.wh.f$((i - 10))"
    touch -d @1000000000 "$l"/* "$l"/.wh* "$l" 2>/dev/null
    tar --numeric-owner --format=posix --pax-option=delete=atime,delete=ctime --sort=name -C "$l" -cf "$l.tar" .
    tars[i]=$l.tar
done
many() { layout_of "many$1" "${tars[@]:0:$1}"; }
many 127
same_trees "127 layers" many127
many 128
same_trees "128 layers" many128
is "the layers they share are there once" "$(find "$data/images/layers" -mindepth 1 -maxdepth 1 | wc -l)" \
    "$((128 + 2 + 1 + 1))"
many 129
drive load "$dir/many129.tar" >"$dir/out" && fail "129 are refused" || ok "129 are refused"
grep -q "the limit is 128" "$dir/out" && ok "with the limit" || fail "with the limit" "$(cat "$dir/out")"
is "all of it is whole" "$(drive check | tail -1 | cut -d, -f1)" "5 images"

echo "$passed passed, $failed failed, 0 skipped"
[ -n "$WHERRY_COUNTS" ] && echo "$passed $failed 0" >>"$WHERRY_COUNTS"
[ "$failed" = 0 ]
