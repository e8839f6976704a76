/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pieces.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 1 << 20,
};

int pieces_temporary(int *ret_fd, struct err *err)
{
    const char *dir = getenv("TMPDIR");
    dir = dir && *dir ? dir : "/tmp";
    *ret_fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return *ret_fd < 0 ? err_errno(err, errno, "make a temporary file in %s (TMPDIR)", dir) : 0;
}

int pieces_send(struct cli *cli, const char *node, const char *container, int fd, char **ret_upload,
                struct err *err)
{
    cleanup_free unsigned char *data = mem_alloc(1, PIECE_BYTES);
    cleanup_free char *id = NULL;
    int64_t offset = 0;
    for (;;) {
        size_t len = 0;
        while (len < PIECE_BYTES) {
            ssize_t n = read(fd, data + len, PIECE_BYTES - len);
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return err_errno(err, errno, "read the archive");
            if (n == 0)
                break;
            len += (size_t)n;
        }
        if (len == 0 && id)
            break;
        struct container_upload_request request = {.node = TEXT(node),
                                                   .container = TEXT(container),
                                                   .upload = id,
                                                   .offset = offset,
                                                   .data = {data, len}};
        struct upload_reply reply;
        int rv = cli_call(cli, "container.upload", &request, &reply, err);
        if (rv < 0)
            return rv;
        free(id);
        id = str_copy(reply.id);
        offset = reply.offset;
        record_release(&upload_reply_type, &reply);
    }
    *ret_upload = steal(&id);
    return 0;
}

int pieces_fetch(struct cli *cli, const char *node, const char *container, const char *upload,
                 int fd, struct err *err)
{
    struct container_read_request request = {
        .node = TEXT(node), .container = TEXT(container), .upload = TEXT(upload)};
    struct container_read_reply reply;
    for (;;) {
        int rv = cli_call(cli, "container.read", &request, &reply, err);
        if (rv < 0)
            return rv;
        size_t len = reply.data.len;
        int failed = fd_write_all(fd, reply.data.data, len);
        record_release(&container_read_reply_type, &reply);
        if (failed < 0)
            return err_errno(err, -failed, "write the archive");
        if (len == 0)
            break;
        request.offset += (int64_t)len;
    }
    request.done = true;
    if (cli_call(cli, "container.read", &request, &reply, NULL) == 0)
        record_release(&container_read_reply_type, &reply);
    return 0;
}
