#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The package, as it is unpacked on another machine: what is in it, what it needs, and that it runs
# from there, with its command a link.
. "$(dirname "$0")/lib.sh"

root=$(mktemp -d)
version=$(sed -n 's/.*WHERRY_VERSION "\(.*\)"/\1/p' "$top/node/node.h")
deb=$top/build/wherry_${version}_$(dpkg --print-architecture).deb
test_made() { make -C "$top" -s deb >"$root/log" 2>&1 || { tail -5 "$root/log"; return 1; }; }
name=package
test_case "it is made" test_made
dpkg-deb -x "$deb" "$root/x"
WHERRY=$root/x/usr/lib/wherry/wherry
begin package 1
load busybox 1

field() { dpkg-deb -f "$deb" "$1"; }
test_case "its version" [ "$(field Version)" = "$version" ]
needs() { field Depends | grep -q 'libraft2.*crun | runc'; }
test_case "what it needs" needs
linked() { # each library that the programs are linked with is of a package that it names
    local library package all
    all=$(field Depends)
    ldd "$root/x/usr/lib/wherry/wherry" | awk '$3 ~ /^\// {print $3}' >/dev/null
    for library in $(objdump -p "$root/x/usr/lib/wherry/wherry" | awk '$1 == "NEEDED" {print $2}'); do
        package=$(dpkg -S "*/$library" 2>/dev/null | head -1 | cut -d: -f1)
        [[ $all == *"$package"* ]] || { echo "$library is of $package"; return 1; }
    done
}
test_case "all of it" linked
test_case "the command is a link to the programs' folder" [ "$(readlink "$root/x/usr/bin/wherry")" = ../lib/wherry/wherry ]
test_case "a member from there" [ "$(readlink "/proc/$(cat "$LAB_RUN/1.pid")/exe")" = "$(realpath "$WHERRY")" ]
file=$(compose app <<'YAML'
name: app
services: {web: {image: "demo/busybox:1", command: [sleep, "100000"], stop_grace_period: 0s}}
YAML
)
by_link() { in_host 1 "$root/x/usr/bin/wherry" -H "unix://$LAB_RUN/1/wherry.sock" "$@"; }
test_case "it deploys" by_link deploy -f "$file"
test_case "and says which it is" [ "$(by_link version)" = "wherry $version" ]
scripts() { for f in postinst prerm; do dpkg-deb --ctrl-tarfile "$deb" | tar -xO ./$f | sh -n || return 1; done; }
test_case "its scripts are shell" scripts
unit() { sed "s,/usr/lib/wherry/wherry,$WHERRY," "$root/x/usr/lib/systemd/system/wherry.service" >"$root/wherry.service" && systemd-analyze verify "$root/wherry.service"; }
if command -v systemd-analyze >/dev/null; then test_case "its unit is one" unit; fi
completes() { # bash completes a command by what the package has
    bash -c '. "$1"; COMP_WORDS=(wherry dep); COMP_CWORD=1; COMP_LINE="wherry dep"; COMP_POINT=10
        f=$(complete -p wherry | sed "s/.*-F \([^ ]*\).*/\1/"); $f wherry dep wherry; echo "${COMPREPLY[*]}"' _ \
        "$root/x/usr/share/bash-completion/completions/wherry" | grep -qw deploy
}
test_case "its completion completes" completes
w 1 rm app >/dev/null
rm -rf "$root"
finish
