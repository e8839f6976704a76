/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/image_transfer.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 1 << 20,
    SHOWN_EACH_MS = 200,
    FOLLOW_MS = 5000,
    TRIES = 10, /* of one piece, while the connection is lost */
    RETRY_MS = 500,
};

/* --- upload ------------------------------------------------------------------------------------
 */

/* Fill the buffer as far as the file goes. Returns the bytes, or -errno. */
static ssize_t read_piece(int fd, unsigned char *data)
{
    size_t len = 0;
    while (len < PIECE_BYTES) {
        ssize_t n = read(fd, data + len, PIECE_BYTES - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static void show_transfer(struct progress *progress, const char *what, int64_t sent, int64_t size,
                          int64_t *shown_ms)
{
    char done[UNITS_TEXT];
    char all[UNITS_TEXT];
    int64_t now = clock_boot_ms();
    bool last = size > 0 && sent == size;
    if (!progress->terminal || (!last && now - *shown_ms < SHOWN_EACH_MS))
        return;
    *shown_ms = now;
    cleanup_free char *line =
        size > 0 ? str_printf("%s %s of %s", what, units_size(sent, done), units_size(size, all))
                 : str_printf("%s %s", what, units_size(sent, done));
    progress_show(progress, &line, 1);
}

static int send_all(struct cli *cli, int fd, int64_t size, char **ret_upload, struct err *err)
{
    cleanup_free unsigned char *data = mem_alloc(1, PIECE_BYTES);
    cleanup_free char *id = NULL;
    struct progress progress;
    int64_t offset = 0;
    int64_t shown_ms = 0;
    int rv = 0;
    progress_init(&progress, stderr);
    while (rv == 0) {
        ssize_t n = read_piece(fd, data);
        if (n < 0)
            rv = err_errno(err, (int)-n, "read");
        if (n < 0 || (n == 0 && id))
            break;
        struct upload_request request = {
            .id = id, .offset = offset, .data = {.data = data, .len = (size_t)n}};
        struct upload_reply reply;
        rv = cli_call(cli, "image.upload", &request, &reply, err);
        if (rv < 0)
            break;
        free(id);
        id = str_copy(reply.id);
        offset = reply.offset;
        record_release(&upload_reply_type, &reply);
        show_transfer(&progress, "sending", offset, size, &shown_ms);
    }
    progress_clear(&progress);
    progress_end(&progress);
    if (rv == 0)
        *ret_upload = steal(&id);
    return rv;
}

int image_upload(struct cli *cli, const char *path, char **ret_upload, struct err *err)
{
    struct stat st;
    bool standard = strcmp(path, "-") == 0;
    cleanup_close int fd =
        standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, errno, "%.150s", path);
    if (S_ISDIR(st.st_mode))
        return err_set(err, ERR_INVALID,
                       "%.100s is a folder: give an archive, as 'tar -C DIR -cf FILE .' makes of "
                       "an OCI layout",
                       path);
    if (standard && isatty(fd))
        return err_set(err, ERR_INVALID, "standard input is a terminal: redirect an archive to it");
    int rv = send_all(cli, fd, S_ISREG(st.st_mode) ? st.st_size : 0, ret_upload, err);
    return rv < 0 ? err_wrap(err, "send %.100s", path) : 0;
}

/* --- jobs --------------------------------------------------------------------------------------
 */

/* The member speaks of its copy of the archive, which is nothing to the user: go on behind it. */
static const char *without_upload(const char *message, const char *upload)
{
    const char *id = upload && *upload ? strstr(message, upload) : NULL;
    const char *colon = id ? strstr(id, ": ") : NULL;
    return colon ? colon + 2 : message;
}

static char *text_for_user(char *text, const char *upload)
{
    static char loading[] = "loading";
    return upload && *upload && strstr(text, upload) ? loading : text;
}

/* Show what the job says until it is done: *@ret is the end, which the caller releases. */
static int follow(struct cli *cli, const char *job, const char *node, const char *upload,
                  struct job_progress *ret, struct err *err)
{
    struct progress progress;
    cleanup_free char *seen = NULL;
    bool done = false;
    int rv = 0;
    progress_init(&progress, stderr);
    while (rv == 0 && !done) {
        struct job_request request = {.job = (char *)(uintptr_t)job,
                                      .node = (char *)(uintptr_t)node,
                                      .seen = seen,
                                      .wait_ms = FOLLOW_MS};
        struct job_progress p;
        rv = cli_call(cli, "image.progress", &request, &p, err);
        if (rv < 0)
            break;
        done = p.done;
        if (done)
            progress_clear(&progress);
        else if (*str_or_empty(p.text) && progress.terminal)
            progress_show(&progress, (char *[]){text_for_user(p.text, upload)}, 1);
        if (done && p.code != 0)
            rv = err_set(err, err_from_wire(p.code), "%s",
                         without_upload(str_or_empty(p.message), upload));
        free(seen);
        seen = str_copy(p.text);
        if (done && rv == 0)
            *ret = p;
        else
            record_release(&job_progress_type, &p);
    }
    progress_end(&progress);
    return rv;
}

int image_await_job(struct cli *cli, const char *job, const char *node, struct job_progress *ret,
                    struct err *err)
{
    return follow(cli, job, node, NULL, ret, err);
}

int image_follow_job(struct cli *cli, const char *job, const char *node, const char *upload,
                     struct err *err)
{
    struct job_progress p;
    int rv = follow(cli, job, node, upload, &p, err);
    if (rv < 0)
        return rv;
    for (size_t i = 0; i < p.names_n; i++)
        puts(p.names[i]);
    record_release(&job_progress_type, &p);
    return 0;
}

/* --- download ----------------------------------------------------------------------------------
 */

/* The member that has the archive ready may be asked again for the same piece. */
static int fetch_piece(struct cli *cli, const struct image_save_request *request,
                       struct image_save_reply *ret, struct err *err)
{
    int rv = cli_call(cli, "image.save", request, ret, err);
    for (int i = 1; i < TRIES && *str_or_empty(request->id) && rv < 0 && cli_may_retry(rv); i++) {
        usleep(RETRY_MS * 1000);
        rv = cli_call(cli, "image.save", request, ret, err);
    }
    return rv;
}

static int fetch_all(struct cli *cli, struct image_save_request *request, int fd,
                     struct progress *progress, struct err *err)
{
    int64_t size = 1;
    int64_t shown_ms = 0;
    int rv = 0;
    while (rv == 0 && request->offset < size) {
        struct image_save_reply piece;
        if ((rv = fetch_piece(cli, request, &piece, err)) < 0)
            break;
        free(request->id);
        request->id = str_copy(piece.id);
        size = piece.size;
        int written = fd_write_all(fd, piece.data.data, piece.data.len);
        if (written < 0)
            rv = err_errno(err, -written, "write the archive");
        else if (piece.data.len == 0 && request->offset < size)
            rv = err_set(err, ERR_CORRUPT, "the member sent an empty piece");
        request->offset += (int64_t)piece.data.len;
        record_release(&image_save_reply_type, &piece);
        show_transfer(progress, "saving", request->offset, size, &shown_ms);
    }
    return rv;
}

static int download(struct cli *cli, char **names, int names_n, const char *node, int fd,
                    struct err *err)
{
    struct progress progress;
    struct image_save_request request = {
        .names = names, .names_n = (size_t)names_n, .node = (char *)(uintptr_t)node};
    progress_init(&progress, stderr);
    int rv = fetch_all(cli, &request, fd, &progress, err);
    progress_clear(&progress);
    progress_end(&progress);
    if (*str_or_empty(request.id)) {
        struct image_save_reply ended;
        struct err ignored;
        request.done = true;
        if (cli_call(cli, "image.save", &request, &ended, &ignored) == 0)
            record_release(&image_save_reply_type, &ended);
    }
    free(request.id);
    return rv;
}

int image_download(struct cli *cli, char **names, int names_n, const char *node, const char *path,
                   bool force, struct err *err)
{
    if (strcmp(path, "-") == 0) {
        if (isatty(STDOUT_FILENO))
            return err_set(err, ERR_INVALID,
                           "standard output is a terminal: give a file with -o, or redirect it");
        return download(cli, names, names_n, node, STDOUT_FILENO, err);
    }
    if (!force && file_exists(path))
        return err_set(err, ERR_EXISTS, "%.150s exists: give another name, or --force", path);
    cleanup_free char *part = str_printf("%s.part", path);
    cleanup_close int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(err, errno, "%.150s", part);
    int rv = download(cli, names, names_n, node, fd, err);
    if (rv == 0 && fsync(fd) < 0)
        rv = err_errno(err, errno, "sync %.150s", part);
    if (rv == 0 && rename(part, path) < 0)
        rv = err_errno(err, errno, "rename %.100s to %.100s", part, path);
    if (rv == 0)
        rv = file_sync_parent(path, err);
    if (rv < 0)
        unlink(part);
    return rv;
}
