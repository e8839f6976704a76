/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_transfer - bring an archive to a member or from it, and follow what it does. Progress goes
 * to stderr, the images' names to stdout.
 */
#ifndef WHERRY_CLI_IMAGE_TRANSFER_H
#define WHERRY_CLI_IMAGE_TRANSFER_H

#include <stdbool.h>

struct cli;
struct err;
struct job_progress;

/* Send the file @path ("-": standard input) in pieces. The caller frees *@ret_upload, its id. */
int image_upload(struct cli *cli, const char *path, char **ret_upload, struct err *err);

/* Show the progress of @job of member @node ("" or NULL: the called one) until it is done, then
 * print the names of its images, or return its error. @upload is the id of what it loads, NULL for
 * others.
 */
int image_follow_job(struct cli *cli, const char *job, const char *node, const char *upload,
                     struct err *err);

/* As image_follow_job(), but what it came to is not printed: *@ret is released by the caller. */
int image_await_job(struct cli *cli, const char *job, const char *node, struct job_progress *ret,
                    struct err *err);

/* Save @names of member @node (NULL-terminated; @node "" or NULL: the called one) as an archive to
 * the file @path, which must not be there unless @force; "-": to standard output. */
int image_download(struct cli *cli, char **names, int names_n, const char *node, const char *path,
                   bool force, struct err *err);

#endif
