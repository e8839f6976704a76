/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of real containers share: a runtime, an image of busybox, and questions. */
#ifndef WHERRY_TESTS_CONTAINER_FIXTURE_H
#define WHERRY_TESTS_CONTAINER_FIXTURE_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/image.h"
#include "runtime/log.h"
#include "runtime/runtime.h"
#include "runtime/shim/protocol.h"
#include "runtime/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define FIXTURE static __attribute__((unused))

static char root[64]; /* of all files of this program */
static char cgroup_parent[64];
static char program_dir[256];
static struct runtime *rt;
static struct err err;

#define assert_ok(expr)                                                                            \
    do {                                                                                           \
        int ok_rv_ = (expr);                                                                       \
        if (ok_rv_ < 0)                                                                            \
            fail_msg("%s: %s: %s", #expr, err_name(ok_rv_), err.msg);                              \
    } while (0)

FIXTURE void pause_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

FIXTURE struct runtime *open_runtime(const char *oci)
{
    cleanup_free char *data = str_printf("%s/data", root);
    cleanup_free char *run = str_printf("%s/run", root);
    struct runtime_config config = {.data_dir = data,
                                    .run_dir = run,
                                    .cgroup_parent = cgroup_parent,
                                    .program_dir = program_dir,
                                    .oci_runtime = oci};
    struct runtime *opened = NULL;
    assert_ok(runtime_open(&config, &opened, &err));
    return opened;
}

FIXTURE void run_command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
FIXTURE void run_command(const char *fmt, ...)
{
    struct buf command = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&command, fmt, args);
    va_end(args);
    if (system(command.data) != 0)
        fail_msg("failed: %s", command.data);
    buf_release(&command);
}

/* Load an image of busybox and two accounts, from a docker archive made on the spot. */
FIXTURE void load_image(void)
{
    cleanup_free char *dir = str_printf("%s/image", root);
    run_command("mkdir -p %s && cd %s && mkdir -p fs/bin fs/tmp fs/etc fs/root && "
                "cp /bin/busybox fs/bin/ && fs/bin/busybox --install -s fs/bin && "
                "for f in fs/bin/*; do [ -L $f ] && ln -sf busybox $f; done; "
                "echo root:x:0:0::/root:/bin/sh >fs/etc/passwd && "
                "echo web:x:1000:1000::/home/web:/bin/sh >>fs/etc/passwd && "
                "echo web:x:1000: >fs/etc/group && tar -C fs -cf layer.tar .",
                dir, dir);
    cleanup_free char *layer = str_printf("%s/layer.tar", dir);
    cleanup_buf struct buf tar = BUF_INIT;
    assert_ok(file_read(layer, 64 << 20, &tar, &err));
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX + 1];
    digest_of(tar.data, tar.len, digest);
    hex_encode(digest, sizeof(digest), hex);
    run_command("cd %s && echo '{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},"
                "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\"]}}' >config.json && "
                "echo '[{\"Config\":\"config.json\",\"RepoTags\":[\"busybox:latest\"],"
                "\"Layers\":[\"layer.tar\"]}]' >manifest.json && "
                "tar -cf image.tar manifest.json config.json layer.tar",
                dir, hex);
    cleanup_free char *path = str_printf("%s/image.tar", dir);
    char **names = NULL;
    assert_ok(image_load(rt, path, NULL, &names, NULL, NULL, &err));
    assert_string_equal(names[0], "docker.io/library/busybox:latest");
    image_strings_free(names);
}

/* A container of busybox that runs a shell script. */
FIXTURE void create(const char *id, const char *script, const struct container_spec *more)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct container_spec spec = more ? *more : (struct container_spec){0};
    spec.id = id;
    spec.image = "busybox";
    spec.command = argv;
    assert_ok(container_create(rt, &spec, &err));
}

FIXTURE struct container_state state_of(const char *id)
{
    struct container_state state;
    assert_ok(container_state(rt, id, &state, &err));
    return state;
}

FIXTURE struct container_state wait_end(const char *id)
{
    for (int i = 0; i < 1000; i++) {
        struct container_state state = state_of(id);
        if (state.status != CONTAINER_RUNNING)
            return state;
        pause_ms(10);
    }
    fail_msg("container %s does not end", id);
    return (struct container_state){0};
}

/* All of its log, without times and tags. */
FIXTURE char *log_text(const char *id)
{
    struct log_cursor cursor = {0};
    struct buf text = BUF_INIT, raw = BUF_INIT;
    bool more = true;
    while (more)
        assert_ok(log_read_cri(rt, id, &cursor, 65536, &raw, &more, &err));
    buf_append(&raw, "", 0);
    for (char *rest = raw.data, *line; (line = strsep(&rest, "\n")) && *line;) {
        char *tag = strchr(strchr(line, ' ') + 1, ' ') + 1;
        buf_puts(&text, tag + 2);
        if (tag[0] == 'F')
            buf_putc(&text, '\n');
    }
    buf_release(&raw);
    return buf_take(&text);
}

FIXTURE void wait_log(const char *id, const char *want)
{
    for (int i = 0; i < 500; i++) {
        cleanup_free char *text = log_text(id);
        if (strstr(text, want))
            return;
        pause_ms(10);
    }
    cleanup_free char *text = log_text(id);
    fail_msg("'%s' never came in the log of %s: %s", want, id, text);
}

FIXTURE pid_t parent_of(pid_t pid)
{
    cleanup_free char *path = str_printf("/proc/%d/stat", (int)pid);
    cleanup_buf struct buf text = BUF_INIT;
    int parent = 0;
    if (file_read(path, 4096, &text, &err) < 0 ||
        sscanf(strrchr(text.data, ')'), ") %*c %d", &parent) != 1)
        return 0;
    return parent;
}

/* A process of the OCI runtime that is about to end may still be in between. */
FIXTURE pid_t shim_of(pid_t pid)
{
    for (int i = 0; i < 500; i++) {
        pid_t parent = parent_of(pid);
        cleanup_free char *comm = str_printf("/proc/%d/comm", (int)parent);
        cleanup_buf struct buf name = BUF_INIT;
        if (file_read(comm, 64, &name, &err) == 0 && strcmp(name.data, "wherry-shim\n") == 0)
            return parent;
        pause_ms(10);
    }
    fail_msg("process %d has no shim", (int)pid);
    return 0;
}

FIXTURE bool alive(pid_t pid)
{
    cleanup_free char *path = str_printf("/proc/%d/stat", (int)pid);
    cleanup_buf struct buf text = BUF_INIT;
    if (file_read(path, 4096, &text, NULL) < 0)
        return false;
    return strrchr(text.data, ')')[2] != 'Z';
}

FIXTURE int set_up(void **unused)
{
    (void)unused;
    if (geteuid() != 0 || access("/bin/busybox", X_OK) < 0)
        return 0;
    snprintf(root, sizeof(root), "/tmp/wherry-test-%d", (int)getpid());
    snprintf(cgroup_parent, sizeof(cgroup_parent), "/wherry-test-%d", (int)getpid());
    rt = open_runtime(NULL);
    load_image();
    print_message("%s, cgroups %s\n", runtime_oci_version(rt), runtime_cgroup_mode(rt));
    return 0;
}

FIXTURE int tear_down(void **unused)
{
    (void)unused;
    /* What a failed test left. */
    char **ids = NULL;
    assert_ok(container_list(rt, &ids, &err));
    for (char **id = ids; *id; id++)
        container_remove(rt, *id, &err);
    image_strings_free(ids);
    runtime_close(rt);
    file_remove_tree(root, &err);
    return 0;
}

/* BUILD/tests/unit/runtime/NAME_test: the programs are in BUILD/bin. */
FIXTURE void find_programs(void)
{
    char self[256] = "";
    check(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    char *end = strstr(self, "/tests/unit/");
    check(end);
    snprintf(program_dir, sizeof(program_dir), "%.*s/bin", (int)(end - self), self);
}

#endif
