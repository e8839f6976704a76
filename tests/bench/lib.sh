# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the benchmarks share: samples, and the table that is made of them.
#
#   . "$(dirname "$0")/lib.sh"
#   samples_begin NAME         samples go to build/bench/NAME.samples
#   sample KEY VALUE           one measurement
#   sample_each KEY            one for each line of standard input
#   table [PEER-SAMPLES]       medians, N, and ratios to the baselines in the same samples

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
rounds=${BENCH_ROUNDS:-5}
seconds=${BENCH_SECONDS:-60}
replicas=30

samples_begin() {
    mkdir -p "$top/build/bench"
    samples=$top/build/bench/$1.samples
    : >"$samples"
}

sample() { echo "$1 $2" >>"$samples"; }

sample_each() { sed "s/^/$1 /" >>"$samples"; }

now() { date +%s%N; }

since_ms() { echo $((($(now) - $1) / 1000000)); }

say() { echo "$(date +%T) $*" >&2; }

# field_of PID Rss|Pss: KiB
memory_of() { awk -v f="$2:" '$1 == f {print $2}' "/proc/$1/smaps_rollup" 2>/dev/null; }

# memory_sum Rss|Pss PID...: of all of them
memory_sum() {
    local what=$1 p sum=0
    shift
    for p; do sum=$((sum + $(memory_of "$p" "$what" || true) + 0)); done
    echo $sum
}

written_by() { awk '$1 == "write_bytes:" {print $2}' "/proc/$1/io"; }

# Time a process has had, in milliseconds.
cpu_of() { sed 's/.*) //' "/proc/$1/stat" | awk -v hz="$(getconf CLK_TCK)" '{print ($12 + $13) * 1000 / hz}'; }

# watch_idle KEY PID...: what they write and compute in a minute without work, summed up
watch_idle() {
    local key=$1 p written=0 cpu=0
    declare -A w0 c0
    shift
    for p; do w0[$p]=$(written_by "$p") c0[$p]=$(cpu_of "$p"); done
    sleep "$seconds"
    for p; do
        written=$((written + $(written_by "$p") - w0[$p]))
        cpu=$((cpu + $(cpu_of "$p") - c0[$p]))
    done
    sample "$key"_written $((written * 60 / seconds))
    sample "$key"_cpu $((cpu * 60 / seconds))
}

# Rows: key, what it is, unit, goal, key of the baseline and its name. Where a Swarm was measured
# too, its samples have the same keys.
rows() {
    cat <<'ROWS'
idle_rss|resident, idle member of three|KiB|< 10 MB|floor_rss|the libraries alone
idle_pss|proportional (PSS), the same|KiB|||
busy_rss|resident, with 10 containers each|KiB|< 10 MB|floor_rss|the libraries alone
busy_pss|proportional (PSS), the same|KiB|||
after_rss|resident, at the end of all this|KiB||floor_rss|the libraries alone
shim_rss|resident, a container's shim|KiB|||
shim_pss|proportional (PSS), a shim|KiB|< 0.5 MB||
size_wherry|wherry, stripped|KiB|||
size_shim|wherry-shim|KiB|||
size_image|wherry-image, stripped|KiB|||
idle_written|written by three idle members a minute|B|0||
busy_written|the same, 30 containers running|B|0||
idle_cpu|processor time of three idle members a minute|ms|||
busy_cpu|the same, 30 containers running|ms|||
deploy|30 replicas deployed until all run|ms||crun|30 x crun run
command|the same until the command is back|ms||crun|30 x crun run
update|30 updated by tens|ms||crun|30 x crun run
remove|30 removed until all are gone|ms|||
host|a host lost until its tasks run elsewhere|ms|< 4 s||
host_leader|the same, it led|ms|< 4 s||
leader|leader killed until the next write|ms|< 1 s||
write|one small write, one after the other|ms||sync|4 KiB synced to disk
stall_deploy|longest stall of a loop, deploying 30|ms|< 20 ms||
stall_update|the same, updating 30|ms|< 20 ms||
stall_host|the same, a host lost (the others)|ms|< 20 ms||
stall_leader|the same, the leader killed and started again|ms|< 20 ms||
stall_load|the same, 1,000 services and an image load|ms|< 20 ms||
services|1,000 services until they are accepted|ms|||
ROWS
}

table() { # table [PEER-SAMPLES]
    rows | awk -F'|' -v samples="$samples" -v peer="${1:-}" '
        function sort_values(v, n, i, k, t) {
            for (i = 2; i <= n; i++)
                for (k = i; k > 1 && v[k - 1] > v[k]; k--) { t = v[k]; v[k] = v[k - 1]; v[k - 1] = t }
        }
        function read(file, median, min, max, count, line, part, key, v, i, all) {
            while ((getline line <file) > 0) {
                split(line, part, " ")
                all[part[1], ++count[part[1]]] = part[2] + 0
            }
            for (key in count) {
                split("", v)
                for (i = 1; i <= count[key]; i++) v[i] = all[key, i]
                i = count[key]
                sort_values(v, i)
                median[key] = i % 2 ? v[(i + 1) / 2] : (v[i / 2] + v[i / 2 + 1]) / 2
                min[key] = v[1]
                max[key] = v[i]
            }
        }
        function show(x) { return x >= 100 || x == int(x) ? sprintf("%.0f", x) : sprintf("%.2f", x) }
        BEGIN {
            read(samples, median, min, max, n)
            if (peer != "") read(peer, pmedian, pmin, pmax, pn)
            printf "| %-47s | %9s | %-17s | %4s | %-8s | %-28s |", "what", "median", "min - max", "N", "goal", "baseline"
            printf peer == "" ? "\n" : " %9s | %4s | %7s |\n", "Swarm", "N", "ratio"
            printf "| --- | --: | --- | --: | --- | --- |"
            printf peer == "" ? "\n" : " --: | --: | --: |\n"
        }
        n[$1] {
            baseline = n[$5] ? sprintf("%.2f x %s (%s)", median[$1] / median[$5], $6, show(median[$5])) : ""
            printf "| %-47s | %9s | %-17s | %4d | %-8s | %-28s |", $2 ", " $3, show(median[$1]),
                show(min[$1]) " - " show(max[$1]), n[$1], $4, baseline
            if (peer != "" && pn[$1])
                printf " %9s | %4d | %7s |", show(pmedian[$1]), pn[$1],
                    median[$1] ? sprintf("%.1f", pmedian[$1] / median[$1]) : "-"
            else if (peer != "")
                printf " %9s | %4s | %7s |", "", "", ""
            printf "\n"
        }'
}
