#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Registries that hang, lie, break off, tamper and flood: each is a clear error in bounded time and
# memory, or does not matter; and downloads that are killed go on where they were.
# usage: tests/fault/registry.sh [IMAGEDRIVER [PROGRAM-DIR [IMAGES-DIR]]]
here=$(realpath "$0")
. "$(dirname "$0")/../e2e/registries/common.sh"

stub 5450 "$images/redis.tar"
until_up 5450
stub=127.0.0.1:5450
digest=$(digest_of "$images/redis.tar")
tar -xOf "$images/redis.tar" "blobs/sha256/${digest#*:}" >"$dir/manifest"
layer=$(jq -r '.layers | max_by(.size).digest' "$dir/manifest")
size=$(jq -r '.layers | max_by(.size).size' "$dir/manifest")
export STALL_S=2
part() { stat -c %s "$data/images/ingest/pull/${layer#*:}.part" 2>/dev/null || echo 0; }
nothing() { rm -f "$data"/images/ingest/pull/*; }
gets() { grep -c "GET /v2/$1/app/blobs/$layer" "$dir/5450.log"; }

# --- what is got over ---
for sin in good cut reset nohead nodigest onceboth norange slow; do
    succeeds "pull from a registry that is $sin" pull $stub/$sin/app:1
    is "the same bits from $sin" "$(drive ls | cut -d' ' -f2 | sort -u)" "$digest"
    [ $sin = nodigest ] || [ $sin = onceboth ] || forget
done
is "cut lines were resumed" "$(grep "GET /v2/cut/app/blobs/$layer" "$dir/5450.log" | grep -c 'bytes=')" \
    "$(($(gets cut) - 1))"
head -c 100000 /dev/zero >"$data/images/ingest/pull/${layer#*:}.part"
succeeds "a part from elsewhere is found out" pull $stub/good/app:1
forget
head -c 100000 <(tar -xOf "$images/redis.tar" "blobs/sha256/${layer#*:}") >"$data/images/ingest/pull/${layer#*:}.part"
succeeds "a registry that knows no ranges is asked for all" pull $stub/norange/app:1
forget
head -c 100000 <(tar -xOf "$images/redis.tar" "blobs/sha256/${layer#*:}") >"$data/images/ingest/pull/${layer#*:}.part"
succeeds "one that starts elsewhere is not believed" pull $stub/wrongrange/app:1
forget
is "a HEAD without a digest is followed by a GET" "$(drive resolve $stub/nodigest/app:1) \
$(drive resolve $stub/nohead/app:1) $(drive resolve $stub/lyingdigest/app:1)" "$digest $digest $digest"

# --- what is an error ---
nothing
refuses "silence is a stall" "stalls" pull $stub/stall/app:1
is "what came is kept" "$(($(part) > 0))" 1
nothing
refuses "no answer at all is a stall" "stalls" pull $stub/hang/app:1
refuses "a line that is always cut" "" pull $stub/cutting/app:1
nothing
refuses "too little" "sends only" pull $stub/short/app:1
refuses "too much" "more than the blob's size" pull $stub/long/app:1
nothing
refuses "a wrong blob" "does not have its digest" pull $stub/tamper/app:1
succeeds "of which nothing is kept" pull $stub/good/app:1
forget
refuses "a wrong manifest" "does not have the digest" pull "$stub/othermanifest/app@$digest"
refuses "a flood of headers" "bytes of headers" pull $stub/headers/app:1
refuses "a flood for a manifest" "larger than 4194304 bytes" pull $stub/huge/app:1
refuses "a flood for an error" "HTTP status 500" pull $stub/errorflood/app:1
refuses "garbage" "registry $stub" pull $stub/garbage/app:1
refuses "a redirect in circles" "redirects more than 5 times" pull $stub/redirloop/app:1
refuses "a redirect to a file" "another protocol" pull $stub/tofile/app:1
refuses "a redirect to nowhere" "or nowhere" pull $stub/tonowhere/app:1
refuses "a challenge that is cut off" "does not follow RFC 9110" pull $stub/bad401/app:1
refuses "no challenge" "neither Basic nor Bearer" pull $stub/no401/app:1
refuses "an endless challenge" "registry $stub" pull $stub/long401/app:1
credentials $stub u pass
: >"$dir/5450.log"
refuses "a registry that never takes them" "does not take the credentials" pull $stub/loop401/app:1
is "is asked twice" "$(grep -c loop401 "$dir/5450.log")" 2
credentials $stub
refuses "a refusal in its own words, made printable" "not ?[31mfor you" pull $stub/denied/app:1
refuses "one that is busy for long" "status 429" pull $stub/later/app:1
refuses "a teapot" "I am a teapot" pull $stub/teapot/app:1

# --- killed in the middle ---
nothing
(STALL_S=30 drive pull $stub/stall/app:1 >/dev/null) 2>/dev/null &
pull=$!
for _ in $(seq 100); do
    [ "$(part)" -ge 1000 ] && break
    sleep 0.1
done
helper=$(pgrep -f "^$programs/wherry-image pull $data" | head -1)
kill -9 "$(pgrep -f "^$driver $data .* pull $stub/stall/app:1" | head -1)"
wait $pull 2>/dev/null
for _ in $(seq 50); do
    kill -0 "$helper" 2>/dev/null || break
    sleep 0.1
done
is "no download outlives a killed daemon" "$(pgrep -fc "^$programs/wherry-image pull $data")" 0
is "what it had is kept" "$(part)" 1000
: >"$dir/5450.log"
succeeds "and gone on with" pull $stub/good/app:1
is "from where it was" "$(grep "GET /v2/good/app/blobs/$layer" "$dir/5450.log")" \
    "GET /v2/good/app/blobs/$layer - bytes=1000-"
is "so far it is the whole" "$(stat -c %s "$data/images/blobs/sha256/${layer#*:}")" "$size"
finish
