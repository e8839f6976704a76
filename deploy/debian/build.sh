#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A package of a folder that "make install" filled: build.sh FOLDER VERSION ARCHITECTURE OUT.deb
set -e
here=$(cd "$(dirname "$0")" && pwd)
root=$(realpath "$1") version=$2 arch=$3 out=$4
doc=$root/usr/share/doc/wherry
mkdir -p "$root/DEBIAN"
# What the programs are linked with. dpkg-shlibdeps wants a source package around it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/debian"
printf 'Source: wherry\n\nPackage: wherry\nArchitecture: any\n' >"$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O "$root/usr/lib/wherry/wherry" "$root/usr/lib/wherry/wherry-image" 2>/dev/null |
    sed -n 's/^shlibs:Depends=//p')
[ -n "$libraries" ] || { echo "build.sh: dpkg-shlibdeps (package dpkg-dev) says nothing" >&2; exit 1; }
cat >"$root/DEBIAN/control" <<CONTROL
Package: wherry
Version: $version
Architecture: $arch
Maintainer: The Wherry developers <wherry@localhost>
Section: admin
Priority: optional
Depends: $libraries, crun | runc, ca-certificates, tzdata, adduser
Recommends: iptables
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Description: container orchestrator for a handful of machines
 One small daemon on each machine runs Compose files on several of them: with a
 replicated state, a routed network, rollouts that go back by themselves, and
 nothing else to install but an OCI runtime.
CONTROL
echo /etc/default/wherry >"$root/DEBIAN/conffiles"
install -m 755 "$here/postinst" "$here/prerm" "$root/DEBIAN/"
mv "$doc/LICENSE" "$doc/copyright"
find "$root" -type d -exec chmod 755 {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$out" >/dev/null
echo "$out"
