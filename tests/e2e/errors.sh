#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What goes wrong is said, with where and why.
. "$(dirname "$0")/lib.sh"

garbage() { # into every entrance
    local k
    for k in 1 2 3 4 5; do
        head -c 100000 /dev/urandom | timeout 2 socat -u - "UNIX-CONNECT:$LAB_RUN/1/wherry.sock"
        head -c 100000 /dev/urandom | timeout 2 socat -u - "TCP:$PREFIX.1:7400"
        head -c 100000 /dev/urandom | timeout 2 socat -u - "TCP:$PREFIX.1:7401"
    done 2>/dev/null
    w 1 status >/dev/null && daemon_alive 1
}

begin errors 0
host_up 1
test_case "no cluster yet: what to do" says "wherry init" w 1 ls
test_case "init" w 1 init
load busybox 1

bad_image=$(compose bad-image <<'YAML'
name: bad
services:
  web:
    image: 127.0.0.1:5999/no/such:1
YAML
)
bad_key=$(compose bad-key <<'YAML'
name: bad
services:
  web:
    imge: demo/busybox:1
YAML
)
impossible=$(compose impossible <<'YAML'
name: impossible
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "1000"]
    deploy:
      placement:
        constraints: ["node.labels.zone == moon"]
YAML
)
crashes=$(compose crashes <<'YAML'
name: crashes
services:
  web:
    image: demo/busybox:1
    command: ["/no/such/program"]
    restart: "no"
YAML
)
test_case "an unknown key has file, line and column" says 'compose.yaml:4:5: .*imge' w 1 deploy -f "$bad_key"
test_case "a missing file" says 'no/such.yaml' w 1 deploy -f /no/such.yaml
test_case "a bad image" says '127.0.0.1:5999' w 1 deploy -f "$bad_image" --timeout 30s
test_case "an impossible constraint" says 'do not meet the constraints' w 1 deploy -f "$impossible" --timeout 20s
test_case "ps says why it waits" grep -q 'constraints' <(w 1 ps impossible)
test_case "status counts it" grep -qE 'tasks .*, [1-9][0-9]* waiting' <(w 1 status)
test_case "a program that is not there" says 'no/such/program' w 1 deploy -f "$crashes" --timeout 30s
test_case "a service that is not there" says 'no.such' w 1 scale no.such=3
test_case "a command that is not there" says "deploy" w 1 deplo
test_case "no daemon: what to do" says 'wherry node' env WHERRY_HOST=unix:///no/such.sock "$WHERRY" ls
test_case "garbage on the socket does no harm" garbage
printf 'x' >"$LAB_RUN/not-an-archive.tar"
test_case "an archive that is none" says 'archive' w 1 image load "$LAB_RUN/not-an-archive.tar"
test_case "the daemon is as well as before" w 1 status
finish
