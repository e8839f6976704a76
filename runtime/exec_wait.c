/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/image.h"
#include "runtime/internal.h"
#include "runtime/oci.h"
#include "runtime/process.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    EXEC_OUTPUT_MAX = 4096,
};

/* The program inside outlives the OCI runtime that waits for it: end all of its session. */
static void kill_session(struct runtime *rt, const char *id, const char *pid_file)
{
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_free char *group = container_group(rt, id);
    if (file_read(pid_file, 64, &text, NULL) < 0)
        return;
    pid_t pid = (pid_t)atoi(text.data);
    pid_t session = pid > 0 ? getsid(pid) : -1;
    if (session > 0)
        cgroup_kill(rt, group, session);
}

int container_exec(struct runtime *rt, const char *id, const char *const *argv, int64_t timeout_ms,
                   struct buf *output, int *ret_exit_code, struct err *err)
{
    struct container_state state;
    int rv = container_state(rt, id, &state, err);
    if (rv < 0)
        return rv;
    if (!argv[0])
        return err_set(err, ERR_INVALID, "exec in container %s: no command", id);
    if (state.status != CONTAINER_RUNNING || state.pid == 0)
        return err_set(err, ERR_NOTFOUND, "container %s does not run", id);
    /* Several may run at once. */
    static unsigned counter;
    unsigned serial = __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);
    cleanup_free char *dir = container_state_dir(rt, id);
    cleanup_free char *pid_file = str_printf("%s/exec-%d-%u", dir, (int)getpid(), serial);
    char **oci = oci_exec_argv(rt, id, pid_file, argv);
    rv = process_run((const char *const *)oci, oci_of(rt, id)->hide, timeout_ms, EXEC_OUTPUT_MAX,
                     output, ret_exit_code, err);
    image_strings_free(oci);
    if (rv == ERR_TIMEOUT) {
        kill_session(rt, id, pid_file);
        err_set(err, ERR_TIMEOUT, "'%s' in container %s did not end within %lld ms", argv[0], id,
                (long long)timeout_ms);
    }
    unlink(pid_file);
    return rv;
}
