#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# IPv6 on the network of three machines and a client on their LAN, all of them network namespaces.
# The machines speak IPv4 to each other; new links of C have no IPv6 unless they are given some.
# usage: tests/e2e/network6.sh [NETDRIVER]
. "$(dirname "$0")/network/lib.sh"
declare -A lan=([A]=2001:db8:66::1 [B]=2001:db8:66::2 [C]=2001:db8:66::3 [L]=2001:db8:66::100)
hop() { printf 'fd57:6865:7272:7900::%x' "${id[$1]}"; }

make_lan
for h in A B C L; do ip -n $tag$h addr add ${lan[$h]}/64 dev u0 nodad; done
in_host C sysctl -qw net.ipv6.conf.default.disable_ipv6=1

# n2 has a range of its own, n4 leads nowhere else.
P=fd6b:1:2
n1=$P::10.192.16.0/116 n2=2001:db8:28::/64 n4=$P::10.192.48.0/116
declare -A four=([a1]=10.192.16.1 [a2]=10.192.32.2 [a4]=10.192.16.4 [b1]=10.192.16.11
    [b2]=10.192.32.12 [c1]=10.192.16.21 [i1]=10.192.48.11 [i2]=10.192.48.12)
declare -A six=([a1]=$P::ac0:1001 [a2]=2001:db8:28::2 [a4]=$P::ac0:1004 [b1]=$P::ac0:100b
    [b2]=2001:db8:28::c [c1]=$P::ac0:1015 [i1]=$P::ac0:300b [i2]=$P::ac0:300c)
declare -A home=([a1]=A [a2]=A [a4]=A [b1]=B [b2]=B [c1]=C [i1]=A [i2]=B)
udp=b1 # the backend of 9001
boxes="a1 a2 a4 b1 b2 c1 i1 i2"
state() { # the state of host $1; with $2 "four" without IPv6
    local h=$1 b net net6
    echo "node ${id[$h]}
underlay ${ip[$h]}
pool 10.192.0.0/12
vxlan 4789 7401
network 10.192.16.0/20
network 10.192.32.0/20
network 10.192.48.0/20
internal 10.192.48.0/20"
    [ "$2" = four ] || echo "network $n1
network $n2
network $n4
internal $n4
service $P::ac0:10c8 ${six[a1]} ${six[b1]}
service $P::ac0:10c9 ${six[b1]}
service $P::ac0:10ca
service $P::ac0:30c8 ${six[i2]}
publish tcp 8080 ${four[a1]}:80 ${six[a1]}:80
publish tcp 8081 ${four[b1]}:80 ${six[b1]}:80
publish udp 9001 ${six[$udp]}:80
publish tcp 8082 ${six[a1]}:80 ${six[b1]}:80
publish tcp 8084 ${four[a1]}:80"
    for p in A B C; do [ $p = "$h" ] || echo "peer ${id[$p]} ${ip[$p]} plain 0"; done
    for b in $boxes; do
        net=10.192.16.0/20 net6=$n1
        case $b in *2) net=10.192.32.0/20 net6=$n2 ;; esac
        case $b in i*) net=10.192.48.0/20 net6=$n4 ;; esac
        if [ "${home[$b]}" != "$h" ]; then
            echo "remote ${four[$b]} ${id[${home[$b]}]}"
            [ "$2" = four ] || echo "remote ${six[$b]} ${id[${home[$b]}]}"
        elif [ "$2" = four ]; then
            echo "endpoint $b $(box $b) ${four[$b]}@$net"
        else
            echo "endpoint $b $(box $b) ${four[$b]}@$net ${six[$b]}@$net6"
        fi
    done
}
snapshot() {
    in_host "$1" sh -c 'ip addr; ip route show table all; ip -6 route show table all; ip rule; ip -6 rule; nft list ruleset' |
        grep -vE '^ +valid_lft|fe80::|^multicast ff00|^anycast' | sort
}

for h in A B C; do for p in A B C L; do [ $h = $p ] || { in_host $h busybox ping -q -c 1 ${ip[$p]}; in_host $h busybox ping -6 -q -c 1 ${lan[$p]}; } >/dev/null; done; done
snapshot A >"$dir/before"
for b in $boxes; do "$driver" create "$(box $b)" || exit 1; done
is "without a network of IPv6 there is none" "$(apply_all four; in_box a1 ip -6 -o addr show dev eth0 | wc -l)" 0
if apply_all; then ok "apply on three machines"; else fail "apply on three machines"; fi
for b in $boxes; do serve $b; done
sleep 0.3
[ -n "$WHERRY_HOLD" ] && { echo "holding $tag $dir"; sleep "$WHERRY_HOLD"; exit; }

# --- containers among themselves ---
is "IPv4 beside it" "$(from a1 tcp ${four[b1]} 80)" "b1 ${four[a1]}"
is "same machine, same network" "$(from a1 tcp ${six[a4]} 80)" "a4 ${six[a1]}"
is "other machine, same network" "$(from a1 tcp ${six[b1]} 80)" "b1 ${six[a1]}"
is "a machine whose new links have no IPv6" "$(from a1 tcp ${six[c1]} 80)" "c1 ${six[a1]}"
is "from there, udp" "$(from c1 udp ${six[b1]} 80)" "b1 ${six[c1]}"
is "a range of its own" "$(from a2 tcp ${six[b2]} 80)" "b2 ${six[a2]}"
is "isolation on one machine" "$(from a1 tcp ${six[a2]} 80)" unreachable
is "isolation across machines" "$(from a1 tcp ${six[b2]} 80)" unreachable
is "isolation across machines, back" "$(from b2 tcp ${six[a1]} 80)" unreachable
is "an address nobody has" "$(from a1 tcp $P::ac0:1063 80)" unreachable
full() { in_box a1 busybox ping -6 -q -c 2 -W 2 -s 1402 ${six[b1]} >/dev/null; }
if full; then ok "a full packet across machines"; else fail "a full packet across machines"; fi

# --- a container sends from its own addresses only ---
in_box c1 ip -6 addr add $P::ac0:1016/128 dev eth0 nodad
before=$(in_box b1 awk '/^Udp6InDatagrams/ {print $2}' /proc/thread-self/net/snmp6)
in_box c1 ip -6 route replace ${six[b1]} via fe80::1 dev eth0 src $P::ac0:1016
from c1 udp ${six[b1]} 80 >/dev/null
is "a foreign source" "$(in_box b1 awk '/^Udp6InDatagrams/ {print $2}' /proc/thread-self/net/snmp6)" "$before"
in_box c1 ip -6 addr del $P::ac0:1016/128 dev eth0

# --- the outside ---
for h in A B C L; do "$driver" serve "$(host $h)" host$h 7000 & servers+=($!); done
sleep 0.2
is "a container reaches the LAN as its machine" "$(from a1 tcp ${lan[L]} 7000)" "hostL ${lan[A]}"
is "a container reaches another machine" "$(from a1 tcp ${lan[B]} 7000)" "hostB ${lan[A]}"
is "a container reaches its own machine" "$(from a1 tcp ${lan[A]} 7000)" "hostA ${six[a1]}"
is "a machine reaches its container" "$(from A tcp ${six[a1]} 80)" "a1 $(hop A)"
is "a machine reaches a remote container" "$(from A tcp ${six[b1]} 80)" "b1 $(hop A)"
in_host L ip -6 route add $P::/48 via ${lan[A]}
is "the LAN does not reach a container" "$(from L tcp ${six[a1]} 80)" timeout
is "the LAN does not reach a remote container" "$(from L tcp ${six[b1]} 80)" timeout

# --- published ports ---
is "LAN client, local task" "$(from L tcp ${lan[A]} 8080)" "a1 ${lan[L]}"
is "LAN client, remote task" "$(from L tcp ${lan[A]} 8081)" "b1 ${lan[L]}"
is "LAN client, remote task, udp" "$(from L udp ${lan[A]} 9001)" "b1 ${lan[L]}"
is "LAN client, IPv4, remote task" "$(from L tcp ${ip[A]} 8081)" "b1 ${ip[L]}"
is "LAN client, by a machine without a task" "$(from L tcp ${lan[C]} 8081)" "b1 ${lan[L]}"
is "other member, local task" "$(from C tcp ${lan[A]} 8080)" "a1 ${lan[C]}"
is "other member, remote task" "$(from C tcp ${lan[A]} 8081)" "b1 $(hop A)"
is "other member has the task itself" "$(from B tcp ${lan[A]} 8081)" "b1 $(hop A)"
is "own machine, local task" "$(from A tcp ${lan[A]} 8080)" "a1 ${lan[A]}"
is "own machine, remote task" "$(from A tcp ${lan[A]} 8081)" "b1 ${lan[A]}"
is "::1 is refused, so that clients go on to 127.0.0.1" "$(from A tcp ::1 8080)" refused
is "127.0.0.1" "$(from A tcp 127.0.0.1 8081)" "b1 ${ip[A]}"
is "container, local task" "$(from a4 tcp ${lan[A]} 8080)" "a1 ${six[a4]}"
is "container of another network, remote task" "$(from a2 tcp ${lan[A]} 8081)" "b1 $(hop A)"
is "container, itself" "$(from a1 tcp ${lan[A]} 8080)" "a1 $(hop A)"
both=$(for _ in $(seq 30); do from L tcp ${lan[C]} 8082; done | sort -u | tr '\n' ' ')
is "two backends share" "$both" "a1 ${lan[L]} b1 ${lan[L]} "
is "a port whose service has no IPv6 is the machine's" "$(from L tcp ${lan[A]} 8084)" refused

# --- service addresses ---
both=$(for _ in $(seq 30); do from c1 tcp $P::ac0:10c8 80; done | sort -u | tr '\n' ' ')
is "a service address: its backends share" "$both" "a1 ${six[c1]} b1 ${six[c1]} "
is "a service address, from the backend itself" "$(from b1 tcp $P::ac0:10c9 80)" "b1 $(hop B)"
is "a service address, from a machine, remote backend" "$(from A tcp $P::ac0:10c9 80)" "b1 $(hop A)"
is "a service address, from another network" "$(from a2 tcp $P::ac0:10c9 80)" unreachable
is "a service address without backends" "$(from a1 tcp $P::ac0:10ca 80)" refused
is "the LAN does not reach a service address" "$(from L tcp $P::ac0:10c9 80)" timeout

# --- a network that leads nowhere else ---
is "internal, across machines" "$(from i1 tcp ${six[i2]} 80)" "i2 ${six[i1]}"
is "internal, service address" "$(from i1 tcp $P::ac0:30c8 80)" "i2 ${six[i1]}"
is "internal, to the outside" "$(from i1 tcp ${lan[L]} 7000)" unreachable
is "internal, to its machine" "$(from i1 tcp ${lan[A]} 7000)" unreachable
is "internal, to a port of its machine" "$(from i1 tcp ${lan[A]} 8080)" unreachable

# --- level-triggered ---
timeout 20 ip -n ${tag}A monitor link addr route neigh rule >"$dir/monitor" 2>&1 & monitor=$!
sleep 0.3
apply A "" 3 >/dev/null
sleep 0.3
kill $monitor 2>/dev/null
wait $monitor 2>/dev/null
is "a second apply asks for nothing" "$(grep -cE "wherry0|wv|fd57|$P" "$dir/monitor")" 0
in_host A nft flush ruleset
in_host A ip -6 route flush proto 87
apply A >/dev/null
is "after a flush" "$(from L tcp ${lan[A]} 8081) $(from a1 tcp ${six[a2]} 80)" "b1 ${lan[L]} unreachable"
is "a client of UDP" "$(from L udp ${lan[A]} 9001 5555)" "b1 ${lan[L]}"
udp=a1
apply_all
is "goes on with the next backend" "$(from L udp ${lan[A]} 9001 5555)" "a1 ${lan[L]}"
six[a1]=$P::ac0:1002 # another task
apply_all
sleep 0.2
is "an address that changed" "$(from b1 tcp ${six[a1]} 80)" "a1 ${six[b1]}"
is "IPv6 is taken away again" "$(apply_all four; in_box a1 ip -6 -o addr show dev eth0 | wc -l; in_host A ip -6 route show proto 87 table all | wc -l)" "0
0"
is "and IPv4 goes on" "$(from a1 tcp ${four[b1]} 80)" "b1 ${four[a1]}"
apply_all
for b in $boxes; do "$driver" remove "$(box $b)"; done
"$driver" clear "$(host A)" || fail "clear"
snapshot A >"$dir/after"
is "clear leaves the machine as it was" "$(diff "$dir/before" "$dir/after")" ""

count
