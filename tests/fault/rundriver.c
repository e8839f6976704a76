/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rundriver - lives of containers that are cut short, for tests.
 *
 *     rundriver ROOT PROGRAM-DIR cycles N      N lives, one after the other: what do they leave?
 *     rundriver ROOT PROGRAM-DIR kills SEED N  N lives, each killed at a random moment
 *     rundriver ROOT PROGRAM-DIR images SEED N ARCHIVE [REF]    the same of loads, and of pulls
 *     rundriver ROOT PROGRAM-DIR full FOLDER   a life on a full disk; FOLDER is on that disk
 *
 * The runtime's folders are ROOT/data and ROOT/run, its control groups /wherry-NAME of the last
 * part of ROOT. The image "busybox" is loaded from ROOT/image.tar. It takes the network namespace
 * for its own. "kills" has a child live as a daemon does; it or the shims are killed with SIGKILL,
 * then the runtime is opened anew, every container is looked at, used again and removed. Each
 * finding is a line on standard output; the exit status is 1 when there was one.
 */
#include "tests/fault/rundriver.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/image.h"
#include "runtime/log.h"
#include "runtime/network.h"
#include "tests/fault/leftovers.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

const char *root, *program_dir;
char *group;
struct err err;
static int findings;

void find(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    findings++;
}

void pause_us(long us)
{
    struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&t, NULL);
}

struct runtime *open_runtime(void)
{
    cleanup_free char *data = str_printf("%s/data", root);
    cleanup_free char *run = str_printf("%s/run", root);
    struct runtime_config config = {.data_dir = data,
                                    .run_dir = run,
                                    .cgroup_parent = group,
                                    .program_dir = program_dir,
                                    .oci_runtime = getenv("OCI_RUNTIME")};
    struct runtime *rt = NULL;
    if (runtime_open(&config, &rt, &err) < 0) {
        find("the runtime does not open: %s", err.msg);
        exit(1);
    }
    return rt;
}

/* --- one life ------------------------------------------------------------------------------------
 */

char *netns_path(const char *id)
{
    return str_printf("%s/run/netns/%s", root, id);
}

/* A network with this container alone in it, or with none for NULL. */
static int connect_network(const char *id)
{
    cleanup_free char *netns = id ? netns_path(id) : NULL;
    struct network_prefix net;
    check(netprefix_parse("10.192.0.0/24", &net));
    struct network_endpoint end = {.id = id, .netns = netns, .addresses_n = 1};
    struct network_state state = {
        .node_id = 1, .vxlan_port = 4789, .vxlan_id = 7400, .networks = &net, .networks_n = 1};
    check(netprefix_parse("10.192.0.0/16", &state.pool));
    inet_aton("127.0.0.1", &state.underlay);
    end.addresses[0].address = netip_plus(&net.address, 7);
    end.addresses[0].network = net;
    state.endpoints = id ? &end : NULL;
    state.endpoints_n = id ? 1 : 0;
    return network_apply(&state, &err);
}

int create(struct runtime *rt, const char *id, const char *script)
{
    cleanup_free char *netns = netns_path(id);
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct container_spec spec = {.id = id,
                                  .image = "busybox",
                                  .command = argv,
                                  .hostname = id,
                                  .memory_bytes = 64 << 20,
                                  .netns = netns};
    return container_create(rt, &spec, &err);
}

struct container_state wait_end(struct runtime *rt, const char *id)
{
    struct container_state state = {0};
    for (int i = 0; i < 4000; i++) {
        if (container_state(rt, id, &state, &err) < 0 || state.status != CONTAINER_RUNNING)
            return state;
        pause_us(5000);
    }
    find("%s does not end", id);
    return state;
}

int exec_true(struct runtime *rt, const char *id)
{
    cleanup_buf struct buf out = BUF_INIT;
    const char *argv[] = {"/bin/true", NULL};
    int code = -1;
    int rv = container_exec(rt, id, argv, 20000, &out, &code, &err);
    return rv == 0 && code != 0 ? err_set(&err, ERR_FAILED, "exit code %d: %s", code, out.data)
                                : rv;
}

static const char life_script[] =
    "trap 'sleep 0.02; exit 3' TERM; echo up; while :; do sleep 1 & wait $!; done";

/* The steps of a life; a letter each goes to whom it may concern before it is taken. */
static const char steps[] = "cnserpxd";

static int step(struct runtime *rt, const char *id, char which)
{
    cleanup_free char *netns = netns_path(id);
    switch (which) {
    case 'c':
        return create(rt, id, life_script);
    case 'n': {
        int rv = network_netns_create(netns, &err);
        return rv < 0 ? rv : connect_network(id);
    }
    case 's':
        return container_start(rt, id, 1, &err);
    case 'e':
        return exec_true(rt, id);
    case 'r':
        pause_us(20000);
        return 0;
    case 'p': {
        int rv = container_signal(rt, id, 0, &err);
        wait_end(rt, id);
        return rv;
    }
    case 'x':
        return container_remove(rt, id, &err);
    case 'd': {
        int rv = network_netns_remove(netns, &err);
        return rv < 0 ? rv : connect_network(NULL);
    }
    }
    return 0;
}

/* --- what is left --------------------------------------------------------------------------------
 */

/* Every file that may be there, when there are neither containers nor images. */
static void look_for_files(struct buf *out)
{
    static const char *const rest[] = {"data/lock",
                                       "data/images/index.db",
                                       "data/images/index.db-wal",
                                       "data/images/blobs/sha256",
                                       "data/images/layers",
                                       "data/images/ingest/pull",
                                       "data/containers",
                                       "data/volumes",
                                       "run/containers",
                                       "run/netns",
                                       "run/oci",
                                       "run/exits",
                                       "image.tar",
                                       NULL};
    char *keep[ARRAY_SIZE(rest)] = {0};
    for (size_t i = 0; rest[i]; i++)
        keep[i] = str_printf("%s/%s", root, rest[i]);
    static const char *const rooms[] = {"data/containers", "data/images", "run", NULL};
    for (size_t i = 0; rooms[i]; i++) {
        cleanup_free char *dir = str_printf("%s/%s", root, rooms[i]);
        leftovers_files(dir, (const char *const *)keep, out);
    }
    for (size_t i = 0; rest[i]; i++)
        free(keep[i]);
}

/* Report what is left but the image, of a runtime that was closed. */
void look(const char *when, bool images_too)
{
    cleanup_buf struct buf out = BUF_INIT;
    buf_append(&out, "", 0);
    /* Its two folders may be file systems themselves. */
    static const char *const dirs[] = {"data", "run"};
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        cleanup_free char *below = str_printf(" %s/%s/", root, dirs[i]);
        leftovers_mounts(below, &out);
    }
    leftovers_groups(group, &out);
    leftovers_links(&out);
    leftovers_processes(root, &out);
    cleanup_buf struct buf files = BUF_INIT;
    buf_append(&files, "", 0);
    look_for_files(&files);
    for (char *rest = files.data, *line; (line = strsep(&rest, "\n")) && *line;)
        if (images_too ||
            (!strstr(line, "/data/images/layers/") && !strstr(line, "/blobs/sha256/")))
            buf_printf(&out, "%s\n", line);
    if (out.len)
        find("%s leaves:\n%s", when, out.data);
}

static void remove_all(struct runtime *rt, const char *when)
{
    char **ids = NULL;
    if (container_list(rt, &ids, &err) < 0)
        find("%s: containers cannot be listed: %s", when, err.msg);
    for (char **id = ids; id && *id; id++) {
        cleanup_free char *netns = netns_path(*id);
        if (container_remove(rt, *id, &err) < 0)
            find("%s: %s cannot be removed: %s", when, *id, err.msg);
        if (network_netns_remove(netns, &err) < 0)
            find("%s: the namespace of %s stays: %s", when, *id, err.msg);
    }
    image_strings_free(ids);
    /* Its container may be gone already. */
    cleanup_free char *netns = netns_path("life");
    if (network_netns_remove(netns, &err) < 0 || connect_network(NULL) < 0 ||
        network_clear(&err) < 0)
        find("%s: the network stays: %s", when, err.msg);
}

/* --- cycles --------------------------------------------------------------------------------------
 */

static long resident_kb(void)
{
    cleanup_buf struct buf text = BUF_INIT;
    check(file_read("/proc/self/status", 65536, &text, NULL) == 0);
    const char *line = strstr(text.data, "VmRSS:");
    return line ? strtol(line + 6, NULL, 10) : 0;
}

static void cycles(int n)
{
    enum {
        WARM = 5,
        GROWTH_KB = 1024
    };
    struct runtime *rt = open_runtime();
    int fds = 0;
    long resident = 0;
    for (int i = 0; i < WARM + n; i++) {
        if (i == WARM) {
            fds = leftovers_fds();
            resident = resident_kb();
        }
        for (const char *s = steps; *s; s++)
            if (step(rt, "life", *s) < 0)
                find("cycle %d, step %c: %s", i, *s, err.msg);
    }
    int fds_after = leftovers_fds();
    long grown = resident_kb() - resident;
    if (fds_after != fds)
        find("%d descriptors were open, now %d", fds, fds_after);
    if (grown > GROWTH_KB)
        find("grown by %ld KiB in %d cycles", grown, n);
    printf("     (%d cycles, %d descriptors, memory %+ld KiB)\n", n, fds_after, grown);
    network_clear(&err);
    runtime_close(rt);
    look("a number of cycles", false);
}

/* --- kills ---------------------------------------------------------------------------------------
 */

enum victim {
    DAEMON,
    SHIM,
    BOTH,
    VICTIMS
};
static const char *const victim_names[] = {"the daemon", "the shim", "both"};

_Noreturn static void live(int fd)
{
    struct runtime *rt = open_runtime();
    for (const char *s = steps; *s; s++) {
        check(write(fd, s, 1) == 1);
        step(rt, "life", *s);
    }
    runtime_close(rt);
    network_clear(&err);
    _exit(0);
}

/* Kill what is in the group of shims. They are our own: the group is. */
static void kill_shims(void)
{
    cleanup_free char *path = str_printf("/sys/fs/cgroup/pids%s/shim/cgroup.procs", group);
    FILE *file = fopen(path, "r");
    long pid;
    while (file && fscanf(file, "%ld", &pid) == 1)
        if (pid > 0)
            kill((pid_t)pid, SIGKILL);
    if (file)
        fclose(file);
}

/* Reap @pid, which has a minute; it is stuck otherwise. */
static void reap(pid_t pid, const char *when)
{
    for (int i = 0; i < 6000; i++) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return;
        pause_us(10000);
    }
    find("%s: the daemon is stuck", when);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* Wait until the life at @fd takes step @which. False when it ended before. */
static bool await_step(int fd, char which)
{
    for (char c; read(fd, &c, 1) == 1;)
        if (c == which)
            return true;
    return false;
}

/* One that was found: its state holds, it can be used again. */
static void examine(struct runtime *rt, const char *id, const char *when)
{
    struct container_state state = {0};
    for (int i = 0; i < 2000; i++) {
        if (container_state(rt, id, &state, &err) < 0) {
            find("%s: no state: %s", when, err.msg);
            return;
        }
        if (state.status != CONTAINER_RUNNING || state.pid > 0)
            break;
        pause_us(5000);
    }
    if (state.status == CONTAINER_RUNNING && state.pid == 0)
        find("%s: it is started for ever", when);
    if (state.status == CONTAINER_RUNNING && exec_true(rt, id) < 0 &&
        container_state(rt, id, &state, NULL) == 0 && state.status == CONTAINER_RUNNING)
        find("%s: it runs, but: %s", when, err.msg);
    if (state.status == CONTAINER_EXITED && state.exit_code != 3 && state.exit_code != 127 &&
        state.exit_code != 137 && state.exit_code != 143)
        find("%s: exit code %d", when, state.exit_code);
    if (state.status == CONTAINER_RUNNING && container_kill(rt, id, &err) < 0)
        find("%s: it is not killed: %s", when, err.msg);
    cleanup_free char *netns = netns_path(id);
    if (network_netns_create(netns, &err) < 0 || connect_network(id) < 0)
        find("%s: no network: %s", when, err.msg);
    else if (container_start(rt, id, state.run + 1, &err) < 0)
        find("%s: it does not start again: %s", when, err.msg);
    else if (container_state(rt, id, &state, &err) < 0 || state.status != CONTAINER_RUNNING)
        find("%s: it does not run again", when);
}

static void kill_one(int round)
{
    static const char killable[] = "cnsserppxxd";
    char which = killable[(size_t)rand() % (sizeof(killable) - 1)];
    enum victim victim = strchr("serpx", which) ? (enum victim)(rand() % VICTIMS) : DAEMON;
    /* Most of them in the first milliseconds, where most happens. */
    long delay_us = rand() % (rand() % 2 ? 3000 : 40000);
    cleanup_free char *when = str_printf("round %d, %s killed %ld us after step %c", round,
                                         victim_names[victim], delay_us, which);
    int pipes[2];
    check(pipe(pipes) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(pipes[0]);
        live(pipes[1]);
    }
    close(pipes[1]);
    if (await_step(pipes[0], which)) {
        pause_us(delay_us);
        if (victim != DAEMON)
            kill_shims();
        if (victim != SHIM)
            kill(pid, SIGKILL);
    } else {
        find("%s: step %c never came", when, which);
    }
    /* Until its end: it writes there. */
    await_step(pipes[0], 0);
    reap(pid, when);
    close(pipes[0]);
    struct runtime *rt = open_runtime();
    char **ids = NULL;
    check(container_list(rt, &ids, &err) == 0);
    for (char **id = ids; *id; id++)
        examine(rt, *id, when);
    image_strings_free(ids);
    remove_all(rt, when);
    runtime_close(rt);
    look(when, false);
}

static void kills(int n)
{
    for (int i = 0; i < n && findings < 20; i++)
        kill_one(i);
}

/* --- images --------------------------------------------------------------------------------------
 */

static int fetch(struct runtime *rt, const char *archive, const char *ref, char ***ret_names)
{
    if (!ref)
        return image_load(rt, archive, NULL, ret_names, NULL, NULL, &err);
    *ret_names = mem_alloc(2, sizeof(char *));
    (*ret_names)[0] = str_copy(ref);
    return image_pull(rt, ref, NULL, NULL, NULL, &err);
}

static void check_images(struct runtime *rt, const char *when)
{
    struct image_check found = {0};
    if (image_check(rt, false, NULL, NULL, &found, &err) < 0)
        find("%s: images cannot be checked: %s", when, err.msg);
    for (size_t i = 0; i < found.n; i++)
        find("%s: %s: %s: %s", when, found.findings[i].image, found.findings[i].part,
             found.findings[i].problem);
    image_check_release(&found);
}

static void kill_fetch(int round, const char *archive, const char *ref, long took_us)
{
    long delay_us = rand() % took_us;
    cleanup_free char *when = str_printf("round %d, the daemon killed %ld us into a %s", round,
                                         delay_us, ref ? "pull" : "load");
    int pipes[2];
    check(pipe(pipes) == 0);
    pid_t pid = fork();
    char **names = NULL;
    if (pid == 0) {
        struct runtime *rt = open_runtime();
        check(write(pipes[1], "f", 1) == 1);
        fetch(rt, archive, ref, &names);
        _exit(0);
    }
    close(pipes[1]);
    if (await_step(pipes[0], 'f'))
        pause_us(delay_us);
    close(pipes[0]);
    kill(pid, SIGKILL);
    reap(pid, when);
    struct runtime *rt = open_runtime();
    check_images(rt, when);
    if (fetch(rt, archive, ref, &names) < 0)
        find("%s: not again: %s", when, err.msg);
    check_images(rt, when);
    for (char **name = names; name && *name; name++)
        if (image_remove(rt, *name, NULL, &err) < 0)
            find("%s: not removed: %s", when, err.msg);
    image_strings_free(names);
    runtime_close(rt);
    look(when, true);
}

static void kill_fetches(int n, const char *archive, const char *ref)
{
    /* How long it takes undisturbed. */
    struct runtime *rt = open_runtime();
    char **names = NULL;
    int64_t before = clock_mono_ns();
    if (image_remove(rt, "busybox", NULL, &err) < 0 && err.code != ERR_NOTFOUND)
        find("busybox: %s", err.msg);
    if (fetch(rt, archive, ref, &names) < 0)
        find("%s: %s", ref ? ref : archive, err.msg);
    long took_us = (long)((clock_mono_ns() - before) / 1000);
    for (char **name = names; name && *name; name++)
        image_remove(rt, *name, NULL, &err);
    image_strings_free(names);
    runtime_close(rt);
    look("an image that came and went", true);
    for (int i = 0; i < n && findings < 20; i++)
        kill_fetch(i, archive, ref, took_us);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "see the comment in tests/fault/rundriver.c\n");
        return 2;
    }
    root = argv[1];
    program_dir = argv[2];
    group = str_printf("/%s", strrchr(root, '/') + 1);
    if (strcmp(argv[3], "cycles") == 0 || strcmp(argv[3], "kills") == 0 ||
        strcmp(argv[3], "full") == 0) {
        struct runtime *rt = open_runtime();
        cleanup_free char *path = str_printf("%s/image.tar", root);
        char **names = NULL;
        if (image_load(rt, path, "busybox", &names, NULL, NULL, &err) < 0)
            find("%s: %s", path, err.msg);
        image_strings_free(names);
        runtime_close(rt);
    }
    if (strcmp(argv[3], "cycles") == 0) {
        cycles(atoi(argv[4]));
    } else if (strcmp(argv[3], "kills") == 0 && argc == 6) {
        srand((unsigned)atoi(argv[4]));
        kills(atoi(argv[5]));
    } else if (strcmp(argv[3], "images") == 0 && argc >= 7) {
        srand((unsigned)atoi(argv[4]));
        kill_fetches(atoi(argv[5]), argv[6], argv[7]);
    } else if (strcmp(argv[3], "full") == 0) {
        full_disk(argv[4]);
    } else {
        return 2;
    }
    free(group);
    return findings > 0;
}
