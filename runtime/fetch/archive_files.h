/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_files - the files of an image archive, spread out in the ingest folder under numbers.
 *
 * Nothing of the archive's own names reaches the file system; they are kept in memory, with links
 * between them, and looked up here.
 */
#ifndef WHERRY_RUNTIME_FETCH_ARCHIVE_FILES_H
#define WHERRY_RUNTIME_FETCH_ARCHIVE_FILES_H

#include "runtime/image_name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

struct archive_file {
    char *path;
    char *link; /* the path that it is a link to, or NULL */
    char digest[IMAGE_DIGEST_SIZE];
    int64_t size;
    char name[16]; /* in the ingest folder */
    bool wanted;   /* an image needs it */
};

struct archive_files {
    int ingest_fd;
    struct archive_file *files;
    size_t n;
    size_t cap;
    size_t path_bytes;
};

/* Read the whole archive @fd. Release @files also on failure. */
int archive_files_read(struct archive_files *files, int fd, int64_t max_bytes, struct err *err);

/* Free the memory; the files stay. */
void archive_files_release(struct archive_files *files);

/* The file at @path, links followed. NULL when there is none. Borrowed until the next is added. */
struct archive_file *archive_files_find(struct archive_files *files, const char *path);

/* Append the content of @file, at most @max bytes, to @out. */
int archive_file_content(const struct archive_files *files, const struct archive_file *file,
                         size_t max, struct buf *out, struct err *err);

/* Add a file with @len bytes. Borrowed as above. */
int archive_files_add(struct archive_files *files, const char *path, const void *data, size_t len,
                      struct archive_file **ret, struct err *err);

#endif
