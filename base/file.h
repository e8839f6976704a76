/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file - whole files and folders, durably.
 *
 * Blocking; any thread. Nothing is called written before it would survive a power cut: a file is
 * written beside its name, fsynced, renamed over it, and its folder fsynced.
 */
#ifndef WHERRY_BASE_FILE_H
#define WHERRY_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;

/* Append the content of @path to @out; ERR_TOOBIG past @max bytes. */
int file_read(const char *path, size_t max, struct buf *out, struct err *err);

/* Replace @path by @len bytes, atomically and durably, with @mode. */
int file_write(const char *path, const void *data, size_t len, mode_t mode, struct err *err);

/* As file_write without the fsyncs: for run folders that a reboot empties anyway. */
int file_write_fast(const char *path, const void *data, size_t len, mode_t mode, struct err *err);

/* fsync the folder @path. */
int file_sync_dir(const char *path, struct err *err);

/* fsync the folder that @path is in: a folder just made is there after a power cut only then. */
int file_sync_parent(const char *path, struct err *err);

/* Make folder @path and its missing parents. The last gets @mode, parents 0755. */
int file_mkdirs(const char *path, mode_t mode, struct err *err);

/* Remove @path with all below it, without following links or crossing mounts. A missing path is
 * fine. */
int file_remove_tree(const char *path, struct err *err);

/* As file_remove_tree for @name in the folder @dirfd. */
int file_remove_at(int dirfd, const char *name, struct err *err);

/* True when @path exists (links are not followed). */
bool file_exists(const char *path);

/* When @name in the folder @dirfd was made, wall clock; 0: the file system does not say. A link is
 * not followed. */
int64_t file_born_ms(int dirfd, const char *name);

/* Write @text to an existing kernel file (cgroup, sysctl) with one write(2). */
int file_write_kernel(const char *path, const char *text, struct err *err);

/* Write all @len bytes to @fd, whatever it takes. Returns 0 or -errno. */
int fd_write_all(int fd, const void *data, size_t len);

/* Take an exclusive lock on @path (made if missing), held while the descriptor lives.
 * ERR_BUSY when another process holds it. */
int file_lock(const char *path, int *ret_fd, struct err *err);

#endif
