/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime_bench - what the runtime core takes for what its peers do too (tests/bench/runtime.sh).
 *
 *     runtime_bench ROOT PROGRAM-DIR OCI ROUNDS MANY ARCHIVE NOISE-ARCHIVE [NOISE-REF]
 *         containers one by one (with and without a network), MANY of them at once, an archive and
 *         a pull; a line "KEY VALUE" for each sample
 *     runtime_bench first COMMAND...    milliseconds until the command's first line of output
 *     runtime_bench time COMMAND...     milliseconds until it ends; its failure is ours
 *
 * It takes the network namespace it is started in for its own. Times are in milliseconds, memory in
 * KiB.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/attach.h"
#include "runtime/container.h"
#include "runtime/image.h"
#include "runtime/network.h"
#include "runtime/runtime.h"
#include "runtime/shim/message.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    MANY_MAX = 1000,
    WORKERS = 4,
};

static struct runtime *rt;
static const char *root;
static char *group;

#define must(expr)                                                                                 \
    do {                                                                                           \
        struct err err = {0};                                                                      \
        if ((expr) < 0) {                                                                          \
            fprintf(stderr, "%s: %s\n", #expr, err.msg);                                           \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static double since_ms(int64_t start_ns)
{
    return (double)(clock_mono_ns() - start_ns) / 1e6;
}

static void sample(const char *oci, const char *key, double value)
{
    printf("%s%s%s %.3f\n", oci, *oci ? "_" : "", key, value);
    fflush(stdout);
}

static long field(const char *path, const char *name)
{
    cleanup_buf struct buf text = BUF_INIT;
    if (file_read(path, 1 << 20, &text, NULL) < 0)
        return 0;
    const char *line = *name ? strstr(text.data, name) : text.data;
    return line ? strtol(line + strlen(name), NULL, 10) : 0;
}

/* Processor time of this process and of all in the control groups of its runtime: unlike the time
 * that passed it hardly depends on what else the machine does. 0 without cgroup v1. */
static double cpu_ms(void)
{
    struct timespec own;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    cleanup_free char *path = str_printf("/sys/fs/cgroup/cpuacct%s/cpuacct.usage", group);
    return (double)own.tv_sec * 1e3 + (double)own.tv_nsec / 1e6 + (double)field(path, "") / 1e6;
}

/* --- containers ----------------------------------------------------------------------------------
 */

static char *netns_path(int i)
{
    return str_printf("%s/run/netns/b%d", root, i);
}

static void create(int i, bool netns)
{
    static const char script[] =
        "trap 'exit 0' TERM; echo up; while :; do sleep 1000 & wait $!; done";
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    cleanup_free char *path = netns_path(i);
    cleanup_free char *id = str_printf("b%d", i);
    struct container_spec spec = {.id = id,
                                  .image = "busybox",
                                  .command = argv,
                                  .hostname = id,
                                  .memory_bytes = 64 << 20,
                                  .pids_max = 64,
                                  .netns = netns ? path : NULL};
    must(container_create(rt, &spec, &err));
}

/* The whole network of this machine: containers 0 to @n - 1 are in it. */
static void connect_all(int n)
{
    static struct network_endpoint ends[MANY_MAX];
    static char ids[MANY_MAX][16], paths[MANY_MAX][256];
    struct network_prefix net;
    check(netprefix_parse("10.192.0.0/16", &net));
    struct network_state state = {.node_id = 1,
                                  .vxlan_port = 4789,
                                  .vxlan_id = 7400,
                                  .pool = net,
                                  .networks = &net,
                                  .networks_n = 1,
                                  .endpoints = ends,
                                  .endpoints_n = (size_t)n};
    inet_aton("127.0.0.1", &state.underlay);
    for (int i = 0; i < n; i++) {
        snprintf(ids[i], sizeof(ids[i]), "b%d", i);
        snprintf(paths[i], sizeof(paths[i]), "%s/run/netns/b%d", root, i);
        ends[i] = (struct network_endpoint){.id = ids[i], .netns = paths[i], .addresses_n = 1};
        ends[i].addresses[0].network = net;
        ends[i].addresses[0].address = netip_plus(&net.address, 10 + (uint32_t)i);
    }
    must(network_apply(&state, &err));
}

static void make_netns(int i)
{
    cleanup_free char *path = netns_path(i);
    must(network_netns_create(path, &err));
}

static void drop(int i, bool netns)
{
    cleanup_free char *id = str_printf("b%d", i), *path = netns_path(i);
    must(container_remove(rt, id, &err));
    if (netns)
        must(network_netns_remove(path, &err));
}

/* Wait for the first output of container @i, as one who attaches gets it. */
static void first_line(int i)
{
    cleanup_free char *id = str_printf("b%d", i);
    cleanup_close int fd = -1;
    must(container_attach(rt, id, SHIM_FROM_KEPT, &fd, &err));
    unsigned char packet[SHIM_MESSAGE_MAX + 1];
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        struct shim_message message = {0};
        poll(&p, 1, 20000);
        int n = attach_receive(fd, packet, &message);
        check(n > 0 && message.kind != SHIM_EXITED);
        if (message.kind == SHIM_OUTPUT)
            return;
    }
}

/* Stop it, and wait for the note of its end, as the daemon does. */
static void stop(int i)
{
    cleanup_free char *id = str_printf("b%d", i);
    cleanup_close int fd = inotify_init1(IN_CLOEXEC);
    check(inotify_add_watch(fd, container_exits_dir(rt),
                            IN_MOVED_TO | IN_CREATE | IN_CLOSE_WRITE | IN_ATTRIB | IN_MODIFY) >= 0);
    must(container_signal(rt, id, 0, &err));
    struct container_state state = {.status = CONTAINER_RUNNING};
    while (state.status == CONTAINER_RUNNING) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        must(container_state(rt, id, &state, &err));
        if (state.status == CONTAINER_RUNNING && poll(&p, 1, 1000) > 0) {
            char events[4096];
            check(read(fd, events, sizeof(events)) > 0);
        }
    }
    check(state.exit_code == 0);
}

static void one(const char *oci, bool network)
{
    int64_t at = clock_mono_ns();
    double cpu = cpu_ms();
    create(0, true);
    double created = since_ms(at);
    make_netns(0);
    if (network)
        connect_all(1);
    double connected = since_ms(at);
    must(container_start(rt, "b0", 1, &err));
    double started = since_ms(at);
    first_line(0);
    sample(oci, network ? "start_net" : "start_none", since_ms(at));
    if (network) {
        sample(oci, "start_cpu", cpu_ms() - cpu);
        sample(oci, "part_create", created);
        sample(oci, "part_network", connected - created);
        sample(oci, "part_start", started - connected);
        cleanup_buf struct buf out = BUF_INIT;
        const char *argv[] = {"/bin/true", NULL};
        int code;
        at = clock_mono_ns();
        must(container_exec(rt, "b0", argv, 20000, &out, &code, &err));
        sample(oci, "exec", since_ms(at));
        at = clock_mono_ns();
        stop(0);
        sample(oci, "stop", since_ms(at));
    }
    at = clock_mono_ns();
    drop(0, true);
    if (network)
        connect_all(0);
    if (network)
        sample(oci, "remove", since_ms(at));
}

/* --- many ----------------------------------------------------------------------------------------
 */

static int next_one, many;

static void *worker(void *arg)
{
    void (*work)(int) = *(void (**)(int))arg;
    for (int i; (i = __atomic_fetch_add(&next_one, 1, __ATOMIC_RELAXED)) < many;)
        work(i);
    return NULL;
}

static void in_parallel(void (*work)(int))
{
    pthread_t threads[WORKERS];
    next_one = 0;
    for (int i = 0; i < WORKERS; i++)
        check(pthread_create(&threads[i], NULL, worker, &work) == 0);
    for (int i = 0; i < WORKERS; i++)
        check(pthread_join(threads[i], NULL) == 0);
}

static void make_one(int i)
{
    create(i, true);
    make_netns(i);
}

static void start_one(int i)
{
    cleanup_free char *id = str_printf("b%d", i);
    must(container_start(rt, id, 1, &err));
}

static void drop_one(int i)
{
    drop(i, true);
}

static long pss_of(long pid)
{
    cleanup_free char *path = str_printf("/proc/%ld/smaps_rollup", pid);
    return field(path, "\nPss:");
}

/* KiB of all processes in @path/cgroup.procs, and how many they are. */
static long pss_in(const char *path, int *ret_n)
{
    cleanup_free char *procs = str_printf("%s/cgroup.procs", path);
    FILE *file = fopen(procs, "r");
    long pid, sum = 0;
    *ret_n = 0;
    while (file && fscanf(file, "%ld", &pid) == 1) {
        sum += pss_of(pid);
        ++*ret_n;
    }
    if (file)
        fclose(file);
    return sum;
}

static void measure_memory(const char *oci, long available_before)
{
    cleanup_free char *shims = str_printf("/sys/fs/cgroup/memory%s/shim", group);
    int n;
    long pss = pss_in(shims, &n);
    if (n > 0)
        sample(oci, "shim_pss", (double)pss / n);
    for (int i = 0; i < many; i += many / 5 + 1) {
        cleanup_free char *usage =
            str_printf("/sys/fs/cgroup/memory%s/container/b%d/memory.usage_in_bytes", group, i);
        cleanup_free char *kernel = str_printf(
            "/sys/fs/cgroup/memory%s/container/b%d/memory.kmem.usage_in_bytes", group, i);
        sample(oci, "container_usage", (double)field(usage, "") / 1024);
        if (file_exists(kernel))
            sample(oci, "container_kernel", (double)field(kernel, "") / 1024);
    }
    cleanup_free char *kmem =
        str_printf("/sys/fs/cgroup/memory%s/shim/memory.usage_in_bytes", group);
    sample(oci, "shim_usage", (double)field(kmem, "") / 1024 / many);
    long available = field("/proc/meminfo", "MemAvailable:");
    sample(oci, "all_told", (double)(available_before - available) / many);
    sample(oci, "self_rss", (double)field("/proc/self/status", "VmRSS:"));
    sample(oci, "self_pss", (double)pss_of(getpid()));
}

static void start_many(const char *oci)
{
    long available = field("/proc/meminfo", "MemAvailable:");
    int64_t at = clock_mono_ns();
    in_parallel(make_one);
    connect_all(many);
    double connected = since_ms(at);
    in_parallel(start_one);
    double started = since_ms(at);
    sample(oci, "many", started);
    sample(oci, "many_network", connected);
    sample(oci, "many_rate", many * 1000.0 / started);
    in_parallel(first_line);
    measure_memory(oci, available);
    at = clock_mono_ns();
    in_parallel(drop_one);
    connect_all(0);
    sample(oci, "many_remove", since_ms(at));
}

/* --- images --------------------------------------------------------------------------------------
 */

static void drop_images(char **names)
{
    for (char **name = names; *name; name++)
        must(image_remove(rt, *name, NULL, &err));
    image_strings_free(names);
}

static void images(const char *archive, const char *ref)
{
    char **names = NULL;
    int64_t at = clock_mono_ns();
    must(image_load(rt, archive, "noise", &names, NULL, NULL, &err));
    sample("", "load", since_ms(at));
    drop_images(names);
    if (!ref)
        return;
    at = clock_mono_ns();
    must(image_pull(rt, ref, NULL, NULL, NULL, &err));
    sample("", "pull", since_ms(at));
    must(image_remove(rt, ref, NULL, &err));
}

/* --- other programs ------------------------------------------------------------------------------
 */

static int run_command(char **argv, bool first)
{
    int pipes[2];
    check(pipe2(pipes, O_CLOEXEC) == 0);
    int64_t at = clock_mono_ns();
    pid_t pid = fork();
    if (pid == 0) {
        if (first)
            dup2(pipes[1], STDOUT_FILENO);
        else
            dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
        execvp(argv[0], argv);
        _exit(127);
    }
    close(pipes[1]);
    int status = 0;
    if (first) {
        char c = 0;
        while (c != '\n' && read(pipes[0], &c, 1) == 1)
            ;
        double ms = since_ms(at);
        if (c != '\n')
            return 1;
        printf("%.3f\n", ms);
        return 0;
    }
    check(waitpid(pid, &status, 0) == pid);
    printf("%.3f\n", since_ms(at));
    return status != 0;
}

int main(int argc, char **argv)
{
    if (argc > 2 && (strcmp(argv[1], "first") == 0 || strcmp(argv[1], "time") == 0))
        return run_command(argv + 2, argv[1][0] == 'f');
    if (argc < 8) {
        fprintf(stderr, "see the comment in tests/bench/runtime_bench.c\n");
        return 2;
    }
    const char *oci = argv[3];
    int rounds = atoi(argv[4]);
    many = atoi(argv[5]);
    check(many <= MANY_MAX);
    root = argv[1];
    group = str_printf("/%s", strrchr(root, '/') + 1);
    cleanup_free char *data = str_printf("%s/data", root), *run = str_printf("%s/run", root);
    struct runtime_config config = {.data_dir = data,
                                    .run_dir = run,
                                    .cgroup_parent = group,
                                    .program_dir = argv[2],
                                    .oci_runtime = oci};
    must(runtime_open(&config, &rt, &err));
    char **names = NULL;
    must(image_load(rt, argv[6], "busybox", &names, NULL, NULL, &err));
    image_strings_free(names);
    /* The first of each finds cold caches. */
    for (int i = 0; i < rounds; i++) {
        one(oci, false);
        one(oci, true);
    }
    if (many > 0)
        start_many(oci);
    for (int i = 0; i < rounds && argc > 8; i++)
        images(argv[7], argv[8]);
    must(network_clear(&err));
    runtime_close(rt);
    free(group);
    return 0;
}
