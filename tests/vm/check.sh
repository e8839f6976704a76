#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The runtime where cgroups are version 2 and a power cut is a power cut: in a virtual machine (QEMU
# without hardware help, Debian's cloud kernel). Three boots on one data disk: tests and a stack, then
# the machine is killed; what it finds when its power is back; what it finds after a reboot.
#
#   tests/vm/check.sh [BUILD-DIR]          (root; default: build/release)
cd "$(dirname "$0")/../.." || exit 2
build=${1:-build/release}
if [ "$(dpkg --print-architecture)" != amd64 ]; then
    echo "tests/vm: only written for amd64 yet"
    echo "0 passed, 0 failed, 1 skipped"
    [ -z "${WHERRY_COUNTS:-}" ] || echo "0 0 1" >>"$WHERRY_COUNTS"
    exit 0
fi
vm=build/vm
log=$vm/console.log
deploy/demo/images.sh build/images busybox >/dev/null || exit 1
tests/vm/image.sh "$vm" "$build" build/images/busybox.tar || exit 1
rm -f "$vm/data.img" "$log" "$log".*
truncate -s 1G "$vm/data.img"
mke2fs -q -F -t ext4 -O quota,project -E quotatype=prjquota "$vm/data.img"

pid=
trap '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null' EXIT
trap 'exit 1' INT TERM

boot() { # boot STAGE: in the background
    qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 -nodefaults \
        -no-user-config -display none -no-reboot -serial "file:$log.$1" -kernel "$vm/vmlinuz" \
        -initrd "$vm/initrd.gz" \
        -append "console=ttyS0 quiet mitigations=off panic=-1 stage=$1" \
        -drive "file=$vm/root.img,if=virtio,format=raw,readonly=on" \
        -drive "file=$vm/data.img,if=virtio,format=raw,cache=writeback" </dev/null &
    pid=$!
}
await() { # await SECONDS STAGE WORD: it is on the console, or the machine ended
    local end=$((SECONDS + $1))
    while [ $SECONDS -lt $end ] && kill -0 "$pid" 2>/dev/null; do
        ! grep -q "^$3" "$log.$2" 2>/dev/null || return 0
        sleep 0.5
    done
    grep -q "^$3" "$log.$2"
}
end() { # its power is cut
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    pid=
}

boot first
await 600 first READY || echo "FAIL vm: the first boot did not come to its end" >>"$log.first"
end
boot cut
await 300 cut DONE || echo "FAIL vm: the boot after a power cut did not come to its end" >>"$log.cut"
end
boot reboot
await 300 reboot DONE || echo "FAIL vm: the boot after a reboot did not come to its end" >>"$log.reboot"
end

cat "$log".first "$log".cut "$log".reboot | tr -d '\r' >"$log"
cat "$log"
passed=$(grep -c '^ok ' "$log")
failed=$(grep -c '^FAIL ' "$log")
echo "$passed passed, $failed failed, 0 skipped"
[ -z "${WHERRY_COUNTS:-}" ] || echo "$passed $failed 0" >>"$WHERRY_COUNTS"
[ "$failed" = 0 ]
