#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Registries over TLS that want credentials: passwords and tokens, mirrors, a proxy, Docker Hub's
# names; and where credentials must not go.
# usage: tests/e2e/registry_auth.sh [IMAGEDRIVER [PROGRAM-DIR [IMAGES-DIR]]]
here=$(realpath "$0")
. "$(dirname "$0")/registries/common.sh"

make_certificates
registry 127.0.0.1:5000
mapfile -t tls < <(tls_lines)
mapfile -t htpasswd < <(htpasswd_lines)
mapfile -t tokens < <(token_lines)
registry registry.test:5443 "${tls[@]}" "${htpasswd[@]}"
registry tokens.test:5444 "${tls[@]}" "${tokens[@]}"
registry registry-1.docker.io:443 "${tls[@]}"
token_server 5445
stub 5446 "$images/busybox.tar" tls
stub 5450 "$images/busybox.tar"
python3 "$servers_dir/connect_proxy.py" 5447 "$dir/proxy.log" 2>/dev/null &
servers+=($!)
until_up 5000 5443 5444 443 5445 5446 5450 5447
for name in team/app public/app; do
    skopeo copy -q --dest-tls-verify=false "oci-archive:$images/busybox.tar" \
        "docker://127.0.0.1:5000/$name:1" || fail "push with skopeo"
done
digest=$(digest_of "$images/busybox.tar")
ca=$(cat "$dir/ca.pem")
tls=registry.test:5443 tokens=tokens.test:5444 stub=stub.test:5446 plain=127.0.0.1:5450

# --- TLS and passwords ---
refuses "an unknown CA is not trusted" "cannot be trusted" login $tls
access $tls ca "$ca"
refuses "a registry that wants credentials says so" "wherry registry login" login $tls
credentials $tls u wrong
refuses "a wrong password is refused" "does not take the credentials" login $tls
refuses "by a pull as well" "does not take the credentials" pull $tls/team/app:1
credentials $tls u pass
succeeds "the right one opens" login $tls
is "what a tag stands for" "$(drive resolve $tls/team/app:1)" "$digest"
refuses "a tag that is not there" "has no image team/app:none" resolve $tls/team/app:none
succeeds "and the image comes" pull $tls/team/app:1
is "with the same bits" "$(drive ls)" "$tls/team/app:1 $digest"
refuses "on loopback it is plain HTTP" "HTTP request to an HTTPS server" login localhost:5443
access localhost:5443 ca "$ca"
refuses "unless there is a CA; another name's certificate is not taken" "cannot be trusted" \
    login localhost:5443

# --- tokens ---
access $tokens ca "$ca"
refuses "without credentials a token does not open" "does not let us in" pull $tokens/team/app:1
succeeds "but what is public comes" pull $tokens/public/app:1
credentials $tokens u wrong
refuses "a token service's words are heard" "incorrect username or password" login $tokens
credentials $tokens u pass
succeeds "the right password opens" login $tokens
is "a pull needs one token" "$(: >"$dir/tokens.log"; drive pull $tokens/team/app:1; cat "$dir/tokens.log")" \
    "GET u repository:team/app:pull"
credentials $tokens "<token>" refresh-u
is "an identity token is shown by POST" \
    "$(: >"$dir/tokens.log"; drive resolve $tokens/team/app:1 >/dev/null; cat "$dir/tokens.log")" \
    "POST u repository:team/app:pull"
credentials $tokens "<token>" gone
refuses "and one that ended is refused" "no such token" login $tokens
credentials $tokens
forget
succeeds "a token that ends is renewed in the middle of a pull" pull $plain/fewuses/app:1
is "more than once" "$(($(grep -c "GET /token" "$dir/5450.log") > 1))" 1
: >"$dir/5450.log"
refuses "tokens that never do end it" "does not let us in" pull $plain/neverenough/app:1
is "after one renewal" "$(grep -c "GET /token" "$dir/5450.log")" 1

# --- where credentials do not go ---
credentials $plain u geheim
forget
: >"$dir/5450.log"
succeeds "a redirect to another host is followed" pull $plain/away/app:1
is "with credentials to the registry" "$(grep -c '/v2/away/.* auth' "$dir/5450.log")" \
    "$(grep -c '/v2/away/' "$dir/5450.log" | awk '{print $1 - 1}')"
is "and none to the other host" "$(grep -c '/v2/good/.* -' "$dir/5450.log") \
$(grep -c '/v2/good/.* auth' "$dir/5450.log")" "$(grep -c '/v2/good/' "$dir/5450.log") 0"
forget
access $stub ca "$ca"
credentials $stub u geheim
refuses "no redirect from TLS to plain HTTP" "from HTTPS to plain HTTP" pull $stub/away/app:1
refuses "no credentials to a token service without TLS" "token service without TLS" \
    pull $stub/plaintoken/app:1
refuses "a registry that repeats credentials" "does not let us in" pull $plain/echo/app:1
is "does not have them in an error" "$(drive pull $plain/echo/app:1 | grep -c "$(printf 'u:geheim' | base64)")" 0
(STALL_S=2 drive pull $plain/stall/app:1 >"$dir/stalled" 2>&1) &
for _ in $(seq 50); do
    grep -q 'GET /v2/stall/app/blobs' "$dir/5450.log" && break
    sleep 0.1
done
is "they are in no argument and no environment" \
    "$(cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -c '^geheim\|[:=]geheim')" 0
wait $!
credentials $plain

# --- mirrors ---
forget
access docker.io ca "$ca"
access docker.io mirrors "http://127.0.0.1:1
http://127.0.0.1:5450/tamper
http://127.0.0.1:5000/"
succeeds "Docker Hub's images come from its mirrors" pull team/app:1
is "the bits are the same" "$(drive ls)" "docker.io/team/app:1 $digest"
is "a mirror's wrong blobs are not taken" "$(grep -c '/tamper/v2/team/app/blobs' "$dir/5450.log" | sed 's/[1-9].*/some/')" some
is "Docker Hub itself was not asked" "$(grep -c 'GET /v2/team' "$dir/443.log")" 0
forget
access docker.io mirrors "http://127.0.0.1:1
http://127.0.0.1:5450/busy"
succeeds "without a mirror that works, from the registry" pull team/app:1
refuses "a mirror's failure shows when all fail" "(mirror 127.0.0.1:1: Connection refused)" pull team/none:1
forget
access docker.io mirrors "ftp://127.0.0.1/"
refuses "a mirror is a URL" "is no base URL" pull team/app:1
access docker.io mirrors

# --- a proxy ---
HTTPS_PROXY=http://127.0.0.1:5447 succeeds "a proxy of the environment is used" pull $tls/team/app:1
is "for the registry" "$(sort -u "$dir/proxy.log")" "CONNECT $tls"
forget
: >"$dir/proxy.log"
HTTPS_PROXY=http://127.0.0.1:5447 NO_PROXY=.test succeeds "unless it is excepted" pull $tls/team/app:1
is "then it is not asked" "$(cat "$dir/proxy.log")" ""
finish
