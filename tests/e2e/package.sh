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
manual() { # the page has a section for each command of the help
    local command
    gzip -dc "$root/x/usr/share/man/man1/wherry.1.gz" >"$root/wherry.1" || return 1
    for command in $("$WHERRY" help | awk '/^Commands:/ {on = 1; next} !NF {on = 0} on {print $1}'); do
        grep -qx "\.SS wherry ${command//-/\\\\-}" "$root/wherry.1" || { echo "none for $command"; return 1; }
    done
    grep -qx '\.SS wherry volume snapshot restore' "$root/wherry.1"
}
test_case "its manual page has every command" manual
complete_as() { # complete_as WORD...: what bash offers for the last one, by what the package has
    in_host 1 env PATH="$root/x/usr/bin:$PATH" WHERRY_HOST="unix://$LAB_RUN/1/wherry.sock" bash -c '. "$1"; shift
        COMP_WORDS=(wherry "$@"); COMP_CWORD=$#; _wherry; echo "${COMPREPLY[*]}"' _ \
        "$root/x/usr/share/bash-completion/completions/wherry" "$@"
}
test_case "a command is completed" [ "$(complete_as dep)" = deploy ]
test_case "an option" [ "$(complete_as deploy --pro)" = --profile ]
test_case "a command of a command's" [ "$(complete_as volume snap)" = snapshot ]
test_case "and of that" [ "$(complete_as volume snapshot re)" = restore ]
test_case "a service's name" [ "$(complete_as scale app.)" = app.web ]
test_case "a task's" [ "$(complete_as exec app.)" = app.web.1 ]
test_case "a stack's" [ "$(complete_as rm app | tr ' ' '\n' | sort | tr '\n' ' ')" = "app app.web " ]
test_case "a member's" [ "$(complete_as node drain n)" = n1 ]
test_case "a network's" [ "$(complete_as network inspect app)" = app_default ]
w 1 rm app >/dev/null
rm -rf "$root"
finish
