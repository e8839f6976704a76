/* SPDX-License-Identifier: Apache-2.0 */
#include "node/again.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    ARGUMENTS_BYTES_MAX = 1 << 20,
};

int again_run(struct err *err)
{
    cleanup_buf struct buf line = BUF_INIT;
    if (file_read("/proc/self/cmdline", ARGUMENTS_BYTES_MAX, &line, err) < 0)
        return err->code;
    cleanup_free char **arguments = NULL;
    size_t n = 0;
    for (size_t at = 0; at < line.len; at += strlen(line.data + at) + 1) {
        arguments = mem_resize(arguments, n + 2, sizeof(*arguments));
        arguments[n++] = line.data + at;
    }
    if (n == 0)
        return err_set(err, ERR_FAILED, "/proc/self/cmdline is empty: start the daemon again");
    arguments[n] = NULL;
    log_info("node", "starting anew");
    /* The loop's thread, which this is, was given more than what it starts is to have (daemon.c).
     */
    setpriority(PRIO_PROCESS, 0, 0);
    execv("/proc/self/exe", arguments);
    return err_errno(err, errno, "start anew");
}
