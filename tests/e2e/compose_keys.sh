#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every key of the Compose specification is honoured or refused by name, never unknown, and
# docs/compose.md says which. Keys of ours that it names are known, too. Needs no daemon.
. "$(dirname "$0")/lib.sh"
name=compose-keys
KEEP=1 # there is no lab
tmp=$(mktemp -d)
LAB_RUN=$tmp
trap 'rm -rf "$tmp"' EXIT

write() { # write PATH KEY: a file that has it there
    python3 - "$1" "$2" <<'PY'
import json, sys
path, key = sys.argv[1], sys.argv[2]
file = {"name": "x", "services": {"a": {"image": "i"}}}
at = file
for part in [] if path == "." else path.split("."):
    at = at.setdefault(part, {})
at.setdefault(key, {})
print(json.dumps(file))
PY
}
unknown=() undocumented=()
while read -r path key; do
    case $path in '#'*) continue ;; esac
    write "$path" "$key" >"$tmp/c.yaml"
    "$WHERRY" -H unix:///nowhere plan -f "$tmp/c.yaml" >"$tmp/out" 2>&1
    grep -q "unknown key '$key'" "$tmp/out" && unknown+=("$path.$key")
    grep -q "\`\([a-z_.]*\.\)\?$key\(\.[a-z_]*\)\?\(:[^\`]*\)\?\`" "$top/docs/compose.md" || undocumented+=("$path.$key")
done <"$top/tests/fixtures/compose_keys"
test_case "no key of the specification is unknown" [ "${unknown[*]}" = "" ]
[ "${unknown[*]}" = "" ] || echo "${unknown[*]}"
test_case "each stands in docs/compose.md" [ "${undocumented[*]}" = "" ]
[ "${undocumented[*]}" = "" ] || echo "${undocumented[*]}"

# The tables of what a service says under x-wherry.
ours=() bad=()
for key in $(sed -n '/^### x-wherry/,/^## /p' "$top/docs/compose.md" | grep -o '^| `[a-z`, -]*`' | grep -o '[a-z-]*'); do
    ours+=("$key")
    write services.a.x-wherry "$key" >"$tmp/c.yaml"
    "$WHERRY" -H unix:///nowhere plan -f "$tmp/c.yaml" >"$tmp/out" 2>&1
    grep -q "unknown key '$key'" "$tmp/out" && bad+=("$key")
done
test_case "x-wherry: its keys are listed" [ ${#ours[@]} -ge 12 ]
test_case "x-wherry: what is listed is known" [ "${bad[*]}" = "" ]
write services.a.x-wherry nonsense >"$tmp/c.yaml"
test_case "what is not is refused" says "unknown key 'nonsense'" "$WHERRY" -H unix:///nowhere plan -f "$tmp/c.yaml"
finish
