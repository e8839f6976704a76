#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ports that processes of a machine hold: refused before something breaks, named, and never taken.
. "$(dirname "$0")/lib.sh"
begin ports 2
load web 1 2

app() { # app PORT...
    {
        echo 'name: app'
        echo 'services: {web: {image: "demo/web:1", stop_grace_period: 0s, deploy: {replicas: 2}, ports: ['"$(printf '"%s",' "$@")"']}}'
    } | compose app
}
declare -A address
for n in 1 2; do address[$n]=$(w 1 node inspect n$n | jq -r '.[0].address // .address' | cut -d: -f1); done
get() { in_host "$1" curl -fs -m 5 "http://${address[$2]}:$3/" >/dev/null; }
# A server of the machine itself, which answers differently. It is found by its name.
serve() { # serve HOST PORT ADDRESS
    in_host "$1" python3 -c "
import os, socket
open('$LAB_RUN/server', 'w').write(str(os.getpid()))
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('$3', $2)); s.listen(16)
while True:
    c, _ = s.accept(); c.recv(4096); c.sendall(b'HTTP/1.0 200 OK\r\n\r\nown\n'); c.close()
" >/dev/null 2>&1 &
    wait_for 20 "the server" in_host "$1" bash -c "exec 3<>/dev/tcp/127.0.0.1/$2"
}
unserve() { kill "$(cat "$LAB_RUN/server")"; }
own() { [ "$(in_host "$1" curl -fs -m 5 "http://${address[$2]}:$3/")" = own ]; }
not_own() { get "$1" "$2" "$3" && ! own "$1" "$2" "$3"; }

serve 2 8081 0.0.0.0
test_case "a port that a member's process holds" says "port 8081/tcp is held by python3 .* on n2" w 1 deploy -f "$(app 8081:80)"
nothing() { [ "$(w 1 ls --json | jq length)" = 0 ]; }
test_case "nothing was deployed" nothing
test_case "asked from the other" says "is held by python3 .* on n2" w 2 deploy -f "$(app 8081:80)"
unserve
serve 1 8081 127.0.0.1
test_case "a port of localhost" says "is held by python3 .* on n1" w 1 deploy -f "$(app 8081:80)"
unserve
test_case "a port of the daemon" says "is held by wherry" w 1 deploy -f "$(app 7400:80)"
test_case "free ports" w 1 deploy -f "$(app 8081:80)"
test_case "answer" wait_for 10 "both" get 1 2 8081

serve 1 8082 0.0.0.0
test_case "one more that is held" says "port 8082/tcp" w 1 deploy -f "$(app 8081:80 8082:80)"
unserve
test_case "the same again is no reason to ask" w 1 deploy -f "$(app 8081:80)"

serve 1 8081 0.0.0.0
test_case "a machine's own server gets its port" wait_for 20 "own" own 2 1 8081
test_case "on its machine alone" not_own 1 2 8081
held() { w 2 network status 2>&1 | grep -q 'n1: port 8081/tcp is held by python3'; }
test_case "and that is told" held
test_case "also in the log" grep -q 'port 8081/tcp is held by python3' "$LAB_RUN/1.log"
unserve
test_case "published again when it is gone" wait_for 20 "published" not_own 2 1 8081
finish
