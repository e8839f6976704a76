# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of disks share: hosts whose data folders are file systems of their own, each an ext4
# in a file.
#
#   . "$(dirname "$0")/lib.sh"     e2e/lib.sh too
#   begin_disks NAME HOSTS MIB     as begin, each host with a disk of MIB mebibytes

. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"

disk_mount() { mkdir -p "$LAB_DATA/$1" && mount -o loop "$DISKS/$1.ext4" "$LAB_DATA/$1"; }

disk_make() { # disk_make N MIB
    truncate -s "$2M" "$DISKS/$1.ext4" && mkfs.ext4 -q -F -m 0 "$DISKS/$1.ext4" && disk_mount "$1"
}

disks_gone() {
    local n
    for n in "$DISKS"/*.ext4; do
        n=$(basename "$n" .ext4)
        daemon_kill "$n" 2>/dev/null
        host_reap "$n"
        host_unmount "$n"
        umount -l "$LAB_DATA/$n" 2>/dev/null
    done
    rm -rf "${DISKS:?}"
}

begin_disks() {
    local n disks
    begin "$1" 0
    trap disks_finish EXIT
    disks=$(mktemp -d /var/tmp/wherry-disks.XXXXXX) || exit 1
    DISKS=$disks
    for n in $(seq "$2"); do
        disk_make "$n" "$3" || { echo "FAIL $name: no disk"; exit 1; }
        host_up "$n"
    done
    # shellcheck disable=SC2046
    cluster_form $(seq "$2") || { echo "FAIL $name: no cluster"; exit 1; }
}

disks_finish() {
    trap - EXIT
    [ $failed -eq 0 ] || for log in "$LAB_RUN"/*.log; do
        echo "--- $log"
        tail -15 "$log"
    done
    disks_gone
    [ -n "${KEEP:-}" ] || lab_down
    echo "$passed passed, $failed failed, 0 skipped"
    [ -z "${WHERRY_COUNTS:-}" ] || echo "$passed $failed 0" >>"$WHERRY_COUNTS"
    [ $failed -eq 0 ]
    exit
}
