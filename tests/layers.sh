#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The rooms and what each may include: arrows point down only.
cd "$(dirname "$0")/.." || exit 2
declare -A may=(
    [base]="base"
    [store]="store base"
    [scheduler]="scheduler store/model store/record base"
    [cluster]="cluster store base"
    [runtime]="runtime base"
    [node]="node cluster scheduler runtime store base"
    [cli]="cli cluster/wire cluster/client cluster/api cluster/backup store/model store/options store/record base"
)
# cli/main.c alone starts the daemon.
bad=0
for room in "${!may[@]}"; do
    while IFS=: read -r file line text; do
        target=${text#*\"}
        target=${target%%\"*}
        ok=0
        for prefix in ${may[$room]}; do
            case $target in "$prefix"/* | "$prefix".h) ok=1 ;; esac
        done
        [[ $file == cli/main.c && $target =~ ^node/(node|recover|uninstall|hostcheck).h$ ]] && ok=1
        [[ $target != */* ]] && ok=0
        if [ $ok = 0 ]; then
            echo "$file:$line: $room/ must not include $target"
            bad=1
        fi
    done < <(grep -rnE '^#include "' "$room" --include='*.c' --include='*.h')
done
# Third-party headers have one home each.
home() { # home HEADER-REGEX ALLOWED-FILES-REGEX
    while IFS= read -r hit; do
        echo "$hit: this library's home is elsewhere"
        bad=1
    done < <(grep -rnE "^#include <$1" base store cluster scheduler runtime node cli \
        --include='*.c' --include='*.h' | grep -vE "^($2)")
}
home 'raft' 'cluster/'
home 'nng/' 'cluster/'
home 'sqlite3' 'store/|runtime/'
home 'archive' 'runtime/fetch/'
home 'curl/' 'runtime/fetch/'
home 'msgpack' 'store/record'
home 'libfyaml' 'cli/'
home 'microhttpd' 'node/'
home 'ldns/' 'node/'
home 'seccomp.h' 'runtime/seccomp_bpf.c'
home 'uv' 'cluster/|node/'
exit $bad
