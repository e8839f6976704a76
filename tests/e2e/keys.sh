#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The cluster key: who has it, what is on the disks, another one, and a cluster of an older version.
. "$(dirname "$0")/lib.sh"
begin keys 3

identity() { echo "$LAB_DATA/$1/identity"; }
generation() { cut -d' ' -f1 "$(identity "$1")/cluster.key" | tail -1; }
same_keys() { cmp -s "$(identity 1)/cluster.key" "$(identity 2)/cluster.key" && cmp -s "$(identity 1)/cluster.key" "$(identity 3)/cluster.key"; }
all_have() { for n in 1 2 3; do [ "$(generation $n)" = "$1" ] || return 1; done; same_keys; }
private() { stat -c %a "$(identity "$1")/cluster.key" | grep -q '^600$'; }
# In plain are: each machine's own key, and nothing else.
no_plain_keys() { [ "$(grep -rl 'PRIVATE KEY' "$LAB_DATA" | grep -vc '/identity/node.key$')" = 0 ]; }
# The key itself is in its own file only: not in the log, not in a snapshot or backup.
key_only_in_its_file() {
    local hex
    hex=$(tail -1 "$(identity 1)/cluster.key" | cut -d' ' -f2)
    [ ${#hex} = 64 ] && [ "$(grep -rlaF "$hex" "$LAB_DATA" "$LAB_RUN" | grep -vc '/identity/cluster.key$')" = 0 ] &&
        ! grep -rqP "$(sed 's/../\\x&/g' <<<"$hex")" "$LAB_DATA" "$LAB_RUN"
}
joins() { # joins N VIA
    local token
    token=$(w "$2" token -q) && w "$1" join "$PREFIX.$2" --token "$token"
}

test_case "every member has the cluster key" all_have 1
test_case "only root may read it" private 2
test_case "the CA's key is on no disk in plain" no_plain_keys
test_case "a backup is made" w 2 backup "$LAB_RUN/one.backup"
test_case "the key is in its own file only" key_only_in_its_file

test_case "any member may change it" w 2 key rotate
test_case "all take the new one into use" wait_for 30 "generation 2" all_have 2
test_case "it is in its own file only" key_only_in_its_file
test_case "machines join with it" host_up 4
test_case "through another member" joins 4 3
test_case "the new member has the key" wait_for 30 "the key" cmp "$(identity 1)/cluster.key" "$(identity 4)/cluster.key"

# One that is away gets the new one by itself.
test_case "a member goes" daemon_stop 4
test_case "the key is changed without it" w 1 key rotate
test_case "it comes back" daemon_start 4
test_case "and gets the new key" wait_for 30 "the key" cmp "$(identity 1)/cluster.key" "$(identity 4)/cluster.key"

test_case "a damaged file is said" daemon_stop 4
echo "wherry key 1" >"$(identity 4)/cluster.key"
echo "nonsense" >>"$(identity 4)/cluster.key"
by_hand() { timeout 20 nsenter --net="/run/netns/$LAB-4" "$WHERRY" node --name n4 --data "$LAB_DATA/4" --run "$LAB_RUN/4" --address "$PREFIX.4"; }
test_case "and the daemon does not start" says 'cluster.key is damaged' by_hand
test_case "without the file it starts" rm "$(identity 4)/cluster.key"
daemon_start 4
test_case "and gets the key from the others" wait_for 30 "the key" cmp "$(identity 1)/cluster.key" "$(identity 4)/cluster.key"

test_case "who removes a member is told to change the keys" grep -q 'wherry key rotate' <(w 1 node rm n4 --force --yes)

# A cluster of the first release has the CA's key in a file of every member.
has_ca_key() { [ -e "$(identity "$1")/ca.key" ]; }
for n in 5 6; do host_up "$n" --pretend-level 1; done
test_case "an older cluster is founded" w 5 init
test_case "another joins it" joins 6 5
test_case "both have the CA's key on disk" eval "has_ca_key 5 && has_ca_key 6"
for n in 5 6; do
    daemon_stop "$n"
    daemon_start "$n" --label release=now
done
moved() { for n in 5 6; do not has_ca_key "$n" && [ "$(generation "$n")" = 1 ] || return 1; done; }
test_case "when all are of this release, it is moved into the state" wait_for 40 "the move" moved
host_up 7
test_case "and machines join" joins 7 6
test_case "with the cluster key" wait_for 30 "the key" cmp "$(identity 5)/cluster.key" "$(identity 7)/cluster.key"
finish
