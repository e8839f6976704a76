/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/shim_answer.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "runtime/oci.h"
#include "runtime/shim/protocol.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

enum {
    ANSWER_MAX = 1024,
    EXTRA_MS = 10000, /* the shim itself gives up after SHIM_START_MAX_MS */
};

int shim_answer_read(int fd, const char *oci_log, struct err *err)
{
    cleanup_buf struct buf answer = BUF_INIT;
    int64_t deadline = clock_boot_ms() + SHIM_START_MAX_MS + EXTRA_MS;
    for (;;) {
        int64_t left = deadline - clock_boot_ms();
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (left <= 0)
            return err_set(err, ERR_TIMEOUT, "its shim does not answer");
        if (poll(&poll_fd, 1, (int)left) <= 0)
            continue;
        ssize_t n = read(fd, buf_reserve(&answer, 256), 256);
        if (n == 0)
            break;
        if (n > 0 && answer.len < ANSWER_MAX)
            answer.len += (size_t)n;
    }
    buf_append(&answer, "", 0);
    answer.data[strcspn(answer.data, "\n")] = '\0';
    if (answer.data[0] == 'S')
        return 0;
    if (answer.data[0] != 'F')
        return err_set(err, ERR_FAILED, "its shim was killed while it started");
    if (answer.len > 2 && answer.data[1] == ' ' && answer.data[2])
        return err_set(err, ERR_FAILED, "%s", answer.data + 2);
    return oci_log_error(oci_log, "the OCI runtime failed; the container's log may say why", err);
}
