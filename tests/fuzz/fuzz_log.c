/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a container's log files, read from the beginning, from a tail and from any cursor
 * that a caller may make up. The first byte picks the tail; 0xff parts the files. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/internal.h"
#include "runtime/log.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct runtime rt;
static int dir_fd;

static const char *const names[] = {"1.log.2", "1.log.1", "1.log", "3.log.1", "3.log"};

static void begin(void)
{
    static char dir[] = "/tmp/wherry-fuzz-log-XXXXXX";
    struct err err;
    check(mkdtemp(dir));
    rt.data_dir = dir;
    cleanup_free char *log = str_printf("%s/containers/c/log", dir);
    check(file_mkdirs(log, 0700, &err) == 0);
    dir_fd = open(log, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check(dir_fd >= 0);
}

static void end(void)
{
    struct err err;
    if (rt.data_dir)
        file_remove_tree(rt.data_dir, &err);
}

static void write_files(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const uint8_t *part = size > 0 ? memchr(data, 0xff, size) : NULL;
        size_t len = part && i + 1 < ARRAY_SIZE(names) ? (size_t)(part - data) : size;
        unlinkat(dir_fd, names[i], 0);
        if (len > 0 || i == 0) {
            int fd = openat(dir_fd, names[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
            check(fd >= 0 && fd_write_all(fd, data, len) == 0);
            close(fd);
        }
        size_t step = part && i + 1 < ARRAY_SIZE(names) ? len + 1 : len;
        data += step;
        size -= step;
    }
}

/* It comes to an end, gives whole lines, and no more than there is. */
static void read_all(struct log_cursor cursor, size_t size)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct err err;
    bool more = true;
    for (int i = 0; more; i++) {
        check(i < 1000);
        check(log_read_cri(&rt, "c", &cursor, 1, &out, &more, &err) == 0);
    }
    check(out.len <= size && (out.len == 0 || out.data[out.len - 1] == '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!rt.data_dir) {
        begin();
        atexit(end);
    }
    if (size == 0)
        return 0;
    struct log_cursor cursor = {0};
    struct err err;
    write_files(data + 1, size - 1);
    read_all(cursor, size);
    check(log_seek_tail(&rt, "c", data[0], &cursor, &err) == 0);
    read_all(cursor, size);
    memcpy(&cursor, data, size < sizeof(cursor) ? size : sizeof(cursor));
    cursor.offset = cursor.offset < 0 ? 0 : cursor.offset; /* as the daemon does */
    cursor.run = cursor.run < 0 ? 0 : cursor.run;
    read_all(cursor, size);
    return 0;
}
