# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of registries share: a network namespace with registries and names of their own.
#
#   . tests/e2e/registries/common.sh      with $here set to the script and "$@" its arguments
#
# IMAGEDRIVER, PROGRAM-DIR and IMAGES-DIR are the arguments of the script, all optional.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
cd "$top" || exit 2
driver=$(realpath "${1:-build/release/tests/e2e/imagedriver}")
programs=$(realpath "${2:-build/release/bin}")
images=${3:-build/images}
servers_dir=$top/tests/e2e/registries
[ "$(id -u)" = 0 ] || { echo "run it as root: it makes namespaces"; exit 2; }
for program in "$driver" "$programs/wherry-image"; do
    [ -x "$program" ] || { echo "$program is missing: make $program"; exit 2; }
done
if [ -z "$WHERRY_REGISTRY_TEST" ]; then
    deploy/demo/images.sh "$images" busybox redis >/dev/null || exit 2
    images=$(realpath "$images")
    WHERRY_REGISTRY_TEST=1 exec unshare -n -m "$here" "$driver" "$programs" "$images"
fi
ip link set lo up

dir=$(mktemp -d /var/tmp/wherry-registry.XXXXXX)
data=$dir/data
passed=0 failed=0 servers=()
cleanup() {
    kill "${servers[@]}" 2>/dev/null
    wait 2>/dev/null
    umount /etc/hosts 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
{
    echo "127.0.0.1 localhost"
    echo "127.0.0.1 registry.test tokens.test auth.test stub.test registry-1.docker.io"
} >"$dir/hosts"
mount --bind "$dir/hosts" /etc/hosts || exit 2

ok() { echo "ok   $1"; passed=$((passed + 1)); }
fail() { echo "FAIL $1${2:+: $2}"; failed=$((failed + 1)); }
is() { # is NAME GOT WANTED
    if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "got '$2', wanted '$3'"; fi
}
# Nothing may hang.
drive() { ACCESS=$dir/access timeout 60 "$driver" "$data" "$programs" "$@" 2>&1; }
succeeds() { # succeeds NAME VERB ARG...
    local name=$1 out
    shift
    if out=$(drive "$@"); then ok "$name"; else fail "$name" "$out"; fi
}
refuses() { # refuses NAME PATTERN VERB ARG...
    local name=$1 pattern=$2 out
    shift 2
    if out=$(drive "$@"); then
        fail "$name" "it worked"
    elif [[ $out == *$pattern* ]]; then
        ok "$name"
    else
        fail "$name" "it said: $out"
    fi
}
# forget: this machine has no image any more
forget() {
    local name
    for name in $(drive ls | cut -d' ' -f1); do drive rm "$name" >/dev/null; done
}
# access REGISTRY KEY VALUE: how the driver reaches a registry; without value it is forgotten
access() {
    mkdir -p "$dir/access/$1"
    if [ $# = 3 ]; then printf '%s\n' "$3" >"$dir/access/$1/$2"; else rm -f "$dir/access/$1/$2"; fi
}
credentials() { # credentials REGISTRY [USERNAME PASSWORD]
    access "$1" username ${2:+"$2"}
    access "$1" password ${3:+"$3"}
}

# --- a CA and a certificate for all the names ---
make_certificates() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=test CA" -keyout "$dir/ca.key" \
        -out "$dir/ca.pem" -addext "basicConstraints=critical,CA:TRUE" 2>/dev/null
    openssl req -newkey rsa:2048 -nodes -subj "/CN=registry.test" -keyout "$dir/tls.key" \
        -out "$dir/tls.csr" 2>/dev/null
    openssl x509 -req -in "$dir/tls.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial \
        -days 2 -out "$dir/tls.pem" -extfile <(echo "subjectAltName=DNS:registry.test,\
DNS:tokens.test,DNS:auth.test,DNS:stub.test,DNS:registry-1.docker.io,IP:127.0.0.1") 2>/dev/null
}

# registry ADDR [CONFIG-LINE...]: docker-registry on the store that all of them share
tls_lines() { echo "  tls: {certificate: $dir/tls.pem, key: $dir/tls.key}"; }
registry() {
    local addr=$1
    local port=${addr##*:}
    shift
    {
        printf '%s\n' 'version: 0.1' "storage: {filesystem: {rootdirectory: '$dir/store'}}" \
            'log: {level: error}' 'http:' "  addr: '$addr'" "$@"
    } >"$dir/$port.yml"
    docker-registry serve "$dir/$port.yml" >"$dir/$port.log" 2>&1 &
    servers+=($!)
}
htpasswd_lines() {
    # The password of user u is "pass" (bcrypt).
    echo 'u:$2y$05$abcdefghijklmnopqrstuuZFBUbfXoM8LFiPx8LYlO/sXZB/Cwk3K' >"$dir/htpasswd"
    echo "auth: {htpasswd: {realm: test, path: '$dir/htpasswd'}}"
}
token_lines() {
    echo "auth: {token: {realm: 'https://auth.test:5445/token', service: tokens.test, \
issuer: test-issuer, rootcertbundle: '$dir/tls.pem'}}"
}
token_server() { # token_server PORT
    python3 "$servers_dir/token_server.py" "$1" "$dir/tls.pem" "$dir/tls.key" "$dir/tls.pem" \
        "$dir/tls.key" "$dir/tokens.log" &
    servers+=($!)
}
# stub PORT ARCHIVE [tls]: a registry that misbehaves
stub() {
    local layout=$dir/layout.$1
    mkdir -p "$layout"
    tar -xf "$2" -C "$layout"
    if [ "$3" = tls ]; then set -- "$1" "$2" "$dir/tls.pem" "$dir/tls.key"; else set -- "$1" "$2"; fi
    ARCHITECTURE=$(dpkg --print-architecture) \
        python3 "$servers_dir/stub.py" "$1" "$layout" "$dir/$1.log" "${@:3}" 2>"$dir/$1.err" &
    servers+=($!)
}
until_up() { # until_up PORT...
    local port
    for port; do
        for _ in $(seq 150); do
            (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue 2
            sleep 0.1
        done
        echo "nothing answers on port $port"
        exit 2
    done
}
digest_of() { # digest_of ARCHIVE: of its manifest
    tar -xOf "$1" index.json | jq -r '.manifests[0].digest'
}

finish() {
    echo "$passed passed, $failed failed, 0 skipped"
    [ -z "$WHERRY_COUNTS" ] || echo "$passed $failed 0" >>"$WHERRY_COUNTS"
    [ "$failed" = 0 ]
    exit
}
