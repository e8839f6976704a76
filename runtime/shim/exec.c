/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec - a command in a running container, with a shim of its own (protocol.h).
 *
 *     shim_exec_main → [OCI runtime ends] → RUNNING → [command ends] → output read and fetched →
 * gone │ END, or nobody connected for SHIM_ALONE_MS └→ SIGHUP → SHIM_HANGUP_MS → SIGKILL → …
 *
 * It does not need the daemon: one that was killed and comes back finds it by its folder, goes on
 * at the byte its client has got to, and nothing is lost or doubled.
 */
#include "runtime/shim/shim.h"

#include "runtime/shim/protocol.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

_Noreturn static void leave(struct shim *shim)
{
    DIR *dir = opendir(".");
    for (struct dirent *e; dir && (e = readdir(dir));)
        unlink(e->d_name);
    rmdir(shim->argv[SHIM_EXEC_DIR]);
    _exit(0);
}

/* The command is not reaped yet, so its numbers are its own. What left its group is the
 * container's.
 */
static void signal_command(const struct shim *shim, int number)
{
    pid_t group = getpgid(shim->pid);
    if (group > 1 && group != getpgrp())
        kill(-group, number);
    kill(shim->pid, number);
}

static void end_command(struct shim *shim, int64_t now)
{
    if (shim->kill_ms == 0) {
        signal_command(shim, SIGHUP);
        shim->kill_ms = now + SHIM_HANGUP_MS;
    } else if (now >= shim->kill_ms) {
        signal_command(shim, SIGKILL);
    }
}

/* After the end: what is in the pipes now is its output; nobody waits for what others may write. */
static void read_rest(struct shim *shim)
{
    for (int i = 0; i < 2; i++) {
        struct shim_stream *stream = &shim->streams[i];
        while (stream->fd >= 0 && shim_ring_room(&shim->ring) > 0) {
            if (shim_stream_read(shim, stream) == 0)
                shim_stream_end(shim, stream);
        }
    }
    shim_clients_pump(shim);
}

void shim_exec_tick(struct shim *shim)
{
    if (shim->oci || shim->pid == 0)
        return;
    int64_t now = shim_boot_ms();
    if (shim_clients_any(shim))
        shim->alone_ms = 0;
    else if (shim->alone_ms == 0)
        shim->alone_ms = now;
    bool alone = shim->alone_ms && now - shim->alone_ms >= SHIM_ALONE_MS;
    if (!shim->ended) {
        if (shim->end_wanted || alone)
            end_command(shim, now);
        return;
    }
    read_rest(shim);
    if (shim->end_wanted || (shim->alone_ms && now - shim->alone_ms >= SHIM_LINGER_MS))
        leave(shim);
}

int shim_exec_main(struct shim *shim, char **argv)
{
    shim->exec = true;
    shim->argv = argv;
    shim->oci_argv = &argv[SHIM_EXEC_OCI];
    shim->hide = argv[SHIM_EXEC_HIDE];
    shim->join = argv[SHIM_EXEC_JOIN];
    shim->status_fd = SHIM_FD_STATUS;
    fcntl(SHIM_FD_STATUS, F_SETFD, FD_CLOEXEC);
    shim->state_fd = open(argv[SHIM_EXEC_DIR], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (shim->state_fd < 0)
        shim_give_up(shim, argv[SHIM_EXEC_DIR], errno);
    shim_begin(shim, argv[SHIM_EXEC_FLAGS], SHIM_EXEC_RING_BYTES);
    shim_loop(shim);
}
