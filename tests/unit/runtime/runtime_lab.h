/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime_lab - a runtime of its own for a test program, with an image of busybox, on the real shim
 * and the real OCI runtimes. Needs root and busybox (lab_can_run).
 *
 * The image's users are root and web (1000), its groups root, web and media (44).
 */
#ifndef WHERRY_TESTS_RUNTIME_LAB_H
#define WHERRY_TESTS_RUNTIME_LAB_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/image.h"
#include "runtime/runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char lab_root[64]; /* of all files of this program */
static char lab_group[64];
static char lab_programs[256];
static struct runtime *lab_rt;
static struct err err;

#define assert_ok(expr)                                                                            \
    do {                                                                                           \
        int ok_rv_ = (expr);                                                                       \
        if (ok_rv_ < 0)                                                                            \
            fail_msg("%s: %s: %s", #expr, err_name(ok_rv_), err.msg);                              \
    } while (0)

static inline bool lab_can_run(void)
{
    /* BUILD/tests/unit/runtime/NAME: the programs are in BUILD/bin. */
    char self[256] = "";
    check(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    char *end = strstr(self, "/tests/unit/");
    check(end);
    snprintf(lab_programs, sizeof(lab_programs), "%.*s/bin", (int)(end - self), self);
    if (geteuid() == 0 && access("/bin/busybox", X_OK) == 0)
        return true;
    print_message("skipped: needs root and busybox\n");
    return false;
}

static inline void lab_command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline void lab_command(const char *fmt, ...)
{
    cleanup_buf struct buf command = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&command, fmt, args);
    va_end(args);
    if (system(command.data) != 0)
        fail_msg("failed: %s", command.data);
}

/* Fill @config with the lab's paths, which live as long as the program. */
static inline struct runtime_config lab_config(void)
{
    static char data[96], run[96];
    snprintf(lab_root, sizeof(lab_root), "/tmp/wherry-options-%d", (int)getpid());
    snprintf(lab_group, sizeof(lab_group), "/wherry-options-%d", (int)getpid());
    snprintf(data, sizeof(data), "%s/data", lab_root);
    snprintf(run, sizeof(run), "%s/run", lab_root);
    return (struct runtime_config){
        .data_dir = data, .run_dir = run, .cgroup_parent = lab_group, .program_dir = lab_programs};
}

static inline void lab_load_image(void)
{
    cleanup_free char *dir = str_printf("%s/image", lab_root);
    lab_command("mkdir -p %s && cd %s && mkdir -p fs/bin fs/tmp fs/etc fs/root fs/home/web && "
                "cp /bin/busybox fs/bin/ && fs/bin/busybox --install -s fs/bin && "
                "for f in fs/bin/*; do [ -L $f ] && ln -sf busybox $f; done; "
                "echo root:x:0:0::/root:/bin/sh >fs/etc/passwd && "
                "echo web:x:1000:1000::/home/web:/bin/sh >>fs/etc/passwd && "
                "printf 'root:x:0:\\nweb:x:1000:\\nmedia:x:44:\\n' >fs/etc/group && "
                "chown 1000:1000 fs/home/web && cp /bin/busybox fs/bin/suid && "
                "chmod 4755 fs/bin/suid && tar -C fs -cf layer.tar .",
                dir, dir);
    cleanup_free char *layer = str_printf("%s/layer.tar", dir);
    cleanup_buf struct buf tar = BUF_INIT;
    assert_ok(file_read(layer, 64 << 20, &tar, &err));
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX + 1];
    digest_of(tar.data, tar.len, digest);
    hex_encode(digest, sizeof(digest), hex);
    lab_command("cd %s && echo '{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},"
                "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\"]}}' >config.json && "
                "echo '[{\"Config\":\"config.json\",\"RepoTags\":[\"busybox:latest\"],"
                "\"Layers\":[\"layer.tar\"]}]' >manifest.json && "
                "tar -cf image.tar manifest.json config.json layer.tar",
                dir, hex);
    cleanup_free char *path = str_printf("%s/image.tar", dir);
    char **names = NULL;
    assert_ok(image_load(lab_rt, path, NULL, &names, NULL, NULL, &err));
    image_strings_free(names);
}

/* What the latest run wrote, without times and tags. The caller frees it. */
static inline char *lab_output(const char *id, int64_t run)
{
    cleanup_free char *path =
        str_printf("%s/data/containers/%s/log/%lld.log", lab_root, id, (long long)run);
    cleanup_buf struct buf raw = BUF_INIT;
    struct buf text = BUF_INIT;
    buf_append(&raw, "", 0);
    file_read(path, 1 << 20, &raw, NULL);
    for (char *rest = raw.data, *line; (line = strsep(&rest, "\n")) && *line;) {
        char *tag = strchr(strchr(line, ' ') + 1, ' ') + 1;
        buf_puts(&text, tag + 2);
        if (tag[0] == 'F')
            buf_putc(&text, '\n');
    }
    return buf_take(&text);
}

static inline struct container_state lab_wait_end(const char *id)
{
    struct container_state state = {0};
    for (int i = 0; i < 2000; i++) {
        assert_ok(container_state(lab_rt, id, &state, &err));
        if (state.status != CONTAINER_RUNNING)
            return state;
        struct timespec pause = {.tv_nsec = 10000000};
        nanosleep(&pause, NULL);
    }
    fail_msg("container %s does not end", id);
    return state;
}

/* Make container @id of @spec with a shell script, run it to its end. Its output. */
static inline char *lab_run(const char *id, struct container_spec spec, const char *script)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    spec.id = id;
    spec.image = "busybox";
    spec.command = argv;
    assert_ok(container_create(lab_rt, &spec, &err));
    assert_ok(container_start(lab_rt, id, 1, &err));
    lab_wait_end(id);
    return lab_output(id, 1);
}

/* End the runtime with all that a failed test may have left. */
static inline void lab_release(void)
{
    char **ids = NULL;
    if (container_list(lab_rt, &ids, &err) == 0) {
        for (char **id = ids; *id; id++)
            container_remove(lab_rt, *id, &err);
        image_strings_free(ids);
    }
    runtime_close(lab_rt);
    lab_rt = NULL;
    lab_command("for n in %s/run/netns/*; do umount -l $n 2>/dev/null; done; true", lab_root);
    file_remove_tree(lab_root, &err);
}

#endif
