#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Make what a virtual machine boots, from Debian packages: its kernel is never installed here.
#
#   image.sh OUT-DIR BUILD-DIR IMAGE.tar
#
# OUT-DIR gets vmlinuz, initrd.gz (busybox and the modules a container host needs) and root.img, a
# read-only ext4 with this machine's tools and the programs and tests of BUILD-DIR at /wherry.
set -euo pipefail

[ $# = 3 ] || { sed -n '3,10s/^# \{0,1\}//p' "$0"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(realpath "$1") build=$(realpath "$2") image=$(realpath "$3")
work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT

fetch_kernel() {
    local package
    [ ! -e "$out/vmlinuz" ] || return 0
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ {print $2; exit}')
    [ -n "$package" ] || { echo "image.sh: there is no package linux-image-cloud-amd64" >&2; exit 1; }
    (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$package")
    mkdir "$out/kernel.new"
    dpkg-deb -x "$work"/linux-image-*.deb "$out/kernel.new"
    rm -rf "$out/kernel"
    mv "$out/kernel.new" "$out/kernel"
    cp "$out"/kernel/boot/vmlinuz-* "$out/vmlinuz"
}

modules="virtio_pci virtio_blk overlay loop veth bridge vxlan nf_tables nft_ct nft_nat nft_chain_nat
    nft_masq nft_numgen nft_redir nft_reject_inet nft_fib_inet nft_hash nft_limit nf_conntrack
    nf_conntrack_netlink quota_v2"

make_initrd() {
    local root=$work/initrd version module file
    [ ! "$out/initrd.gz" -nt "$here/init" ] || return 0
    version=$(basename "$out"/kernel/lib/modules/*)
    [ -e "$out/kernel/lib/modules/$version/modules.dep" ] || depmod -b "$out/kernel" "$version"
    mkdir -p "$root"/{bin,dev,proc,sys,root,data,modules}
    cp /bin/busybox "$root/bin/"
    ln -s busybox "$root/bin/sh"
    for module in $modules; do
        modprobe -d "$out/kernel" -S "$version" --show-depends "$module" 2>/dev/null |
            awk '$1 == "insmod" {print $2}' | while read -r file; do
            [ -e "$root/modules/$(basename "$file")" ] || {
                cp "$file" "$root/modules/"
                basename "$file" >>"$root/modules/order"
            }
        done
    done
    cp "$here/init" "$root/init"
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$out/initrd.gz"
}

# tools PROGRAM...: copy them and the libraries they need to where they are here.
tools() {
    local program path
    for program; do
        path=$(command -v "$program") || { echo "image.sh: no program '$program' here" >&2; exit 1; }
        mkdir -p "$root$(dirname "$path")"
        rm -f "$root$path"
        cp -L "$path" "$root$path"
        ldd "$path" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// {print $3} $1 ~ /^\// {print $1}' \
            >>"$work/libs" || true
    done
}

make_root() {
    local root=$work/root lib applet
    mkdir -p "$root"/{usr/bin,usr/sbin,usr/lib,usr/lib64,etc,proc,sys,dev,tmp,run,root,data,wherry/build}
    mkdir -p "$root"/var/{lib,tmp}
    ln -s usr/bin usr/sbin usr/lib usr/lib64 "$root/"
    cp /bin/busybox "$root/bin/"
    for applet in $(/bin/busybox --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    : >"$work/libs"
    # busybox has most of these too, but not as the tests use them.
    tools bash tar mount umount timeout sha256sum find ip nsenter unshare jq crun runc nft mkfs.ext4 \
        losetup setsid
    for program in "$build"/bin/wherry "$build"/bin/wherry-shim "$build"/bin/wherry-image \
        "$build/tests/unit/runtime/container_test"; do
        mkdir -p "$root/wherry/build/$(dirname "${program#"$build"/}")"
        cp "$program" "$root/wherry/build/${program#"$build"/}"
        ldd "$program" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// {print $3} $1 ~ /^\// {print $1}' \
            >>"$work/libs" || true
    done
    sort -u "$work/libs" | while read -r lib; do
        mkdir -p "$root$(dirname "$lib")"
        cp -L "$lib" "$root$lib"
    done
    cp "$here/guest.sh" "$root/wherry/"
    cp "$image" "$root/wherry/image.tar"
    printf '%s\n' root:x:0:0:root:/root:/bin/bash nobody:x:65534:65534::/:/bin/false >"$root/etc/passwd"
    printf '%s\n' root:x:0: nogroup:x:65534: >"$root/etc/group"
    echo vm >"$root/etc/hostname"
    : >"$root/etc/resolv.conf"
    rm -f "$out/root.img"
    truncate -s 400M "$out/root.img"
    mke2fs -q -F -t ext4 -O ^has_journal -d "$root" "$out/root.img"
}

fetch_kernel
make_initrd
make_root
