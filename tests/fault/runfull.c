/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runfull - a container's life on a disk of which no block is free: what cannot be done is refused
 * with the reason and leaves nothing, what runs runs on, what is to go goes.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/image.h"
#include "runtime/log.h"
#include "runtime/network.h"
#include "tests/fault/rundriver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *filler;

/* Not a byte is left: large pieces first, then single blocks. */
static void fill(void)
{
    static const char piece[1 << 16];
    cleanup_close int fd = open(filler, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    check(fd >= 0);
    for (size_t size = sizeof(piece); size >= 512;) {
        if (write(fd, piece, size) < 0) {
            check(errno == ENOSPC);
            size /= 2;
        }
    }
    fsync(fd);
}

static void room(void)
{
    unlink(filler);
    cleanup_free char *dir = str_printf("%s/data", root);
    cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    syncfs(fd);
}

/* True when @rv is fine or has the true reason. */
static bool works(int rv, const char *what)
{
    if (rv < 0 && !strstr(err.msg, "o space left") && !strstr(err.msg, "disk is full"))
        find("%s on a full disk fails with another reason: %s", what, err.msg);
    return rv == 0;
}

static void ok(int rv, const char *what)
{
    if (rv < 0)
        find("%s: %s", what, err.msg);
}

static long counter(struct runtime *rt, const char *id)
{
    cleanup_buf struct buf out = BUF_INIT;
    buf_append(&out, "", 0);
    const char *argv[] = {"/bin/cat", "/dev/shm/n", NULL};
    int code;
    if (container_exec(rt, id, argv, 20000, &out, &code, &err) < 0) {
        find("no command runs in a container on a full disk: %s", err.msg);
        return -1;
    }
    return strtol(out.data, NULL, 10);
}

/* True when the log has @text within 20 s. */
static bool logged(struct runtime *rt, const char *id, const char *text)
{
    for (int i = 0; i < 200; i++) {
        struct log_cursor cursor = {0};
        cleanup_buf struct buf raw = BUF_INIT;
        buf_append(&raw, "", 0);
        bool more = true;
        while (more && log_read_cri(rt, id, &cursor, 1 << 20, &raw, &more, &err) == 0)
            ;
        if (raw.len && strstr(raw.data, text))
            return true;
        pause_us(100000);
    }
    return false;
}

static void create_and_start(struct runtime *rt)
{
    static const char script[] = "trap 'exit 3' TERM; while :; do sleep 1 & wait $!; done";
    fill();
    bool created = works(create(rt, "full", script), "create");
    struct container_state state;
    if (!created && container_state(rt, "full", &state, NULL) != ERR_NOTFOUND)
        find("a container that could not be made is there");
    room();
    if (!created)
        ok(create(rt, "full", script), "create with room again");
    fill();
    bool started = works(container_start(rt, "full", 1, &err), "start");
    room();
    if (!started) {
        ok(container_state(rt, "full", &state, &err), "its state");
        if (state.status == CONTAINER_RUNNING)
            find("a container that could not be started runs");
        ok(container_start(rt, "full", state.run + 1, &err), "start with room again");
    }
    printf("     (create %s, start %s)\n", created ? "worked" : "was refused",
           started ? "worked" : "was refused");
    fill();
    ok(exec_true(rt, "full"), "exec");
    ok(container_signal(rt, "full", 0, &err), "stop");
    state = wait_end(rt, "full");
    if (state.status != CONTAINER_EXITED || state.exit_code != 3)
        find("ended with status %d, exit code %d", (int)state.status, state.exit_code);
    ok(container_remove(rt, "full", &err), "remove");
    room();
}

static void write_log(struct runtime *rt)
{
    ok(create(rt, "chatter",
              "n=0; while :; do n=$((n+1)); echo $n >/dev/shm/n; echo line "
              "$n some more text to fill it; [ -e /dev/shm/say ] && echo saying $n; usleep 2000; "
              "done"),
       "create");
    ok(container_start(rt, "chatter", 1, &err), "start");
    if (!logged(rt, "chatter", "line 2 "))
        find("nothing is logged: %s", err.msg);
    fill();
    long first = counter(rt, "chatter");
    pause_us(1500000);
    if (counter(rt, "chatter") <= first)
        find("a full disk holds a container up that writes");
    room();
    cleanup_buf struct buf out = BUF_INIT;
    const char *argv[] = {"/bin/touch", "/dev/shm/say", NULL};
    int code;
    ok(container_exec(rt, "chatter", argv, 20000, &out, &code, &err), "exec");
    if (!logged(rt, "chatter", "saying "))
        find("with room again nothing is logged");
}

/* The runtime is opened anew on a full disk. */
static struct runtime *reopen(struct runtime *rt)
{
    fill();
    runtime_close(rt);
    rt = open_runtime();
    struct container_state state = {0};
    ok(container_state(rt, "chatter", &state, &err), "its state");
    if (state.status != CONTAINER_RUNNING)
        find("it does not run any more");
    ok(container_remove(rt, "chatter", &err), "remove while it runs");
    if (container_state(rt, "chatter", &state, NULL) != ERR_NOTFOUND)
        find("what was removed is there");
    room();
    return rt;
}

void full_disk(const char *folder)
{
    filler = str_printf("%s/filler", folder);
    struct runtime *rt = open_runtime();
    static const char *const ids[] = {"full", "chatter"};
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        cleanup_free char *netns = netns_path(ids[i]);
        ok(network_netns_create(netns, &err), "network namespace");
    }
    create_and_start(rt);
    write_log(rt);
    rt = reopen(rt);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        cleanup_free char *netns = netns_path(ids[i]);
        ok(network_netns_remove(netns, &err), "network namespace");
    }
    fill();
    ok(image_remove(rt, "busybox", NULL, &err), "remove the image");
    room();
    free(filler);
    runtime_close(rt);
    look("a life on a full disk", true);
}
