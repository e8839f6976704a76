#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Callers from another machine: contexts, roles, stacks, tokens that are taken back, a member out of
# contact; and who may use a member's own socket.
. "$(dirname "$0")/lib.sh"

begin trust 3
load busybox 1 2 3
stack() { # stack NAME REPLICAS
    compose "$1" <<YAML
name: $1
services:
  web:
    image: demo/busybox:1
    command: ["sh", "-c", "while :; do echo i am $1; sleep 0.2; done"]
    stop_grace_period: 1s
    deploy: {replicas: $2}
YAML
}
app=$(stack app 3)
other=$(stack other 1)
bind=$(compose bind <<'YAML'
name: app
services:
  spy:
    image: demo/busybox:1
    command: ["sleep", "1000"]
    volumes: ["/etc:/host:ro"]
YAML
)
w 1 deploy -f "$app" >/dev/null
w 1 deploy -f "$other" >/dev/null

# A machine of its own, with nothing but the program and a home.
host_net 9
home=$LAB_RUN/home
mkdir -p "$home"
c() { # c COMMAND...: as a user of that machine
    in_host 9 env -u WHERRY_HOST -u WHERRY_TOKEN -u XDG_CONFIG_HOME HOME="$home" "$WHERRY" "$@"
}
login() { # login CONTEXT HOST TOKEN
    c login "$PREFIX.$2" --name "$1" --token "$3"
}
# Another secret of the same length.
other_secret() { local last=${1: -1}; echo "${1%?}$([ "$last" = 0 ] && echo 1 || echo 0)"; }

admin=$(w 1 token create -q root)
viewer=$(w 2 token create -q --role viewer eyes)
deployer=$(w 3 token create -q --role deployer --stack app --ttl 1h ci)
brief=$(w 1 token create -q --ttl 3s brief)

# --- login ------------------------------------------------------------------------------------------
test_case "without a token nobody gets in" says 'token' c -H "$PREFIX.1" ls
test_case "nor with a wrong one" says 'not .*good for calls' login bad 1 "$(other_secret "$admin")"
test_case "nor with a join token" says 'joining' login bad 1 "$(w 1 token -q)"
no_context() { local kept; kept=$(c context ls -q) && [ -z "$kept" ]; }
test_case "a failed login leaves no context" no_context
test_case "login with the member's address" login root 2 "$admin"
test_case "the token is not on the screen" not grep -q "$admin" <(c context ls; c context show; c context ls --json)
test_case "the file is the user's own" [ "$(stat -c %a "$home/.config/wherry/contexts" "$home/.config/wherry" | xargs)" = "600 700" ]
test_case "all members are in it" [ "$(c context ls --json | jq '.[0].addresses | length')" = 3 ]
test_case "commands call it from then on" [ "$(c ps app.web --json | jq length)" = 3 ]
test_case "a token from standard input" c login "$PREFIX.1" --name eyes <<<"$viewer"
test_case "and one for a stack" login ci 3 "$deployer"
test_case "the last one is the current one" [ "$(c context ls --json | jq -r '.[] | select(.current) | .name')" = ci ]
test_case "another is chosen" c context use root
test_case "an unknown one is not" says 'no context' c --context nope ls
test_case "an option goes before the context" says 'token' c -H "$PREFIX.1" ls
test_case "the token of one cluster is no good at who has another CA" says 'CA|certificate|cluster' \
    c -H "$PREFIX.1" --token "wherry1-c-$(printf '%064d' 0)-${admin##*-}" ls

host_up 4
test_case "a member more" w 4 join "$PREFIX.1" --token - <<<"$(w 1 token -q)"
test_case "the context hears of it" wait_for 30 "four" eval 'c ls >/dev/null; [ "$(c context show --json | jq ".[0].addresses | length")" = 4 ]'

# One member's links to the others are cut, not those to callers: it cannot hear of what is taken back.
cut_off() { for n in 1 2 3; do in_host "$1" ip route add blackhole "$PREFIX.$n/32"; done; }
heal() { for n in 1 2 3; do in_host "$1" ip route del blackhole "$PREFIX.$n/32"; done; }
down() { [ "$(w 1 node ls --json | jq -r '.[] | select(.name == "'"$1"'") | .status')" = down ]; }
wait_for 30 "four members" members_up 1 4
cut_off 4
test_case "a member is out of contact" wait_for 30 "down" down n4

# --- roles and stacks -------------------------------------------------------------------------------
as() { local context=$1; shift; c --context "$context" "$@"; }
test_case "a viewer sees all" [ "$(as eyes ls -q | sort | xargs)" = "app.web other.web" ]
test_case "and changes nothing" says 'role deployer' as eyes scale app.web=2
test_case "nor makes tokens" says 'role admin' as eyes token create
test_case "a scope shows its stack only" [ "$(as ci ls -q | xargs)" = app.web ]
test_case "its tasks only" [ "$(as ci ps -a --json | jq -r '.[].service' | sort -u)" = app.web ]
test_case "its share of the count" [ "$(as ci status --json | jq '.[0].services')" = 1 ]
test_case "the other stack is not there" says "no stack|no service|not exist" as ci ls other
test_case "nor its logs" says "no stack|no service|not exist" as ci logs other.web
test_case "nor can it be removed" says 'does not exist' as ci rm other
test_case "nor deployed to" says 'other stacks' as ci deploy -f "$other"
test_case "a deployer deploys" as ci deploy -f "$(stack app 2)"
test_case "and scales" as ci scale app.web=3
test_case "but mounts no folder of a machine" says 'only an admin' as ci deploy -f "$bind"
test_case "and removes no member" says 'role admin' as ci node rm n3
test_case "logs come from every member" [ "$(as ci logs app.web -n 1 | grep -c 'i am app')" = 3 ]
test_case "an admin lists the tokens" [ "$(as root token ls --json | jq -r '.[] | select(.name == "ci") | .role, .stacks[0]' | xargs)" = "deployer app" ]
test_case "and who made them" [ "$(as root token ls --json | jq -r '.[] | select(.name == "eyes") | .created_by')" = n2 ]
test_case "secrets are nowhere in the list" not grep -q "${deployer##*-}" <(as root token ls --json)
test_case "names are taken once" says 'token named ci' as root token create ci
test_case "a token ends by itself" wait_for 30 "end" says 'expired|not .*good' c -H "$PREFIX.2" --token "$brief" ls

# --- taken back -------------------------------------------------------------------------------------
follow() { as "$1" logs -f app.web >"$LAB_RUN/follow.out" 2>&1; echo "$?" >"$LAB_RUN/follow.end"; }
rm -f "$LAB_RUN/follow.end"
follow ci &
reads() { grep -q 'i am app' "$LAB_RUN/follow.out"; }
test_case "logs are followed" wait_for 30 "lines" reads
test_case "the token is taken back on another member" w 2 token rm ci
test_case "who followed is cut off" wait_for 30 "end" test -s "$LAB_RUN/follow.end"
test_case "and told why" grep -qE 'taken back|good for calls' "$LAB_RUN/follow.out"
for n in 1 2 3; do
    test_case "member $n knows the token no more" says 'not .*good for calls' c -H "$PREFIX.$n" --token "$deployer" ls
done
fresh=$(w 1 token rotate -q eyes)
test_case "another secret: the old one is gone" says 'not .*good for calls' as eyes ls
test_case "the new one has the old rights" says 'role deployer' c -H "$PREFIX.3" --token "$fresh" scale app.web=1

# --- several members --------------------------------------------------------------------------------
c context use root
f=$(follower 2 3 1)
login root "$f" "$admin" >/dev/null
daemon_kill "$f"
test_case "a member that is gone is passed over" [ "$(c ls -q | sort | xargs)" = "app.web other.web" ]
daemon_start "$f"
wait_for 30 "members" members_up 1 3
# --- out of contact ---------------------------------------------------------------------------------
test_case "out of contact for 30 s a member serves nobody from elsewhere" wait_for 90 "refusal" \
    says 'own socket' c -H "$PREFIX.4" --token "$admin" ls --stale
test_case "but its own socket" w 4 ls --stale
sed -i "/^address $PREFIX.4:/d; 0,/^address /s//address $PREFIX.4:7401\naddress /" "$home/.config/wherry/contexts"
test_case "a context goes on through another" [ "$(c ls -q | sort | xargs)" = "app.web other.web" ]
heal 4
test_case "back in touch it serves again" wait_for 60 "service" c -H "$PREFIX.4" --token "$admin" ls

# --- the socket -------------------------------------------------------------------------------------
socket=$LAB_RUN/1/wherry.sock
if getent group wherry >/dev/null; then mode=660; else mode=600; fi
test_case "the socket's mode" [ "$(stat -c %a "$socket")" = $mode ]
chmod 666 "$socket"
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$WHERRY" -H "unix://$socket" ls; }
test_case "somebody else is refused whatever its mode" says 'root and the group' nobody
test_case "logout" c logout
test_case "it is forgotten" says 'token|no daemon' c ls
finish
