/* SPDX-License-Identifier: Apache-2.0 */
/* A layer of a strange image: whatever its bytes say, files come below the root and nowhere else.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/fetch/layer.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    UNPACKED_MAX = 1 << 20,
};

static const char digest[] =
    "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/* A folder of this process with the root and a file beside it that must stay as it is. */
static char *dir;

static void clean_up(void)
{
    file_remove_tree(dir, NULL);
    free(dir);
}

static void set_up(void)
{
    cleanup_free char *beside = NULL;
    dir = str_copy("/tmp/wherry-fuzz-layer.XXXXXX");
    check(mkdtemp(dir));
    beside = str_printf("%s/beside", dir);
    check(file_write_fast(beside, "here", 4, 0600, NULL) == 0);
    atexit(clean_up);
}

static void on_path(void *arg, const char *path)
{
    (void)arg;
    check(path && *path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    struct stat st;
    if (!dir)
        set_up();
    cleanup_free char *root = str_printf("%s/root", dir);
    cleanup_free char *beside = str_printf("%s/beside", dir);
    cleanup_close int blob = memfd_create("layer", MFD_CLOEXEC);
    check(blob >= 0 && fd_write_all(blob, data, size) == 0 && lseek(blob, 0, SEEK_SET) == 0);
    check(mkdir(root, 0755) == 0);
    cleanup_close int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check(fd >= 0);
    struct layer_job job = {.blob_fd = blob,
                            .root_fd = fd,
                            .digest = digest,
                            .size = (int64_t)size,
                            .diff_id = digest,
                            .max_bytes = UNPACKED_MAX,
                            .on_opaque = on_path,
                            .on_implied = on_path};
    check(layer_unpack(&job, &err) < 0); /* no bytes have that digest */
    check(lstat(beside, &st) == 0 && st.st_size == 4 && st.st_nlink == 1 &&
          (st.st_mode & 07777) == 0600);
    check(file_remove_tree(root, NULL) == 0);
    return 0;
}
