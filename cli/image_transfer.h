/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_transfer - bring an archive to a member and follow what it does with it. Progress goes to
 * stderr, the images' names to stdout.
 */
#ifndef WHERRY_CLI_IMAGE_TRANSFER_H
#define WHERRY_CLI_IMAGE_TRANSFER_H

struct cli;
struct err;

/* Send the file @path ("-": standard input) in pieces. The caller frees *@ret_upload, its id. */
int image_upload(struct cli *cli, const char *path, char **ret_upload, struct err *err);

/* Show the progress of @job until it is done, then print the names of its images, or return its
 * error. @upload is the id of what it loads, NULL for a pull. */
int image_follow_job(struct cli *cli, const char *job, const char *upload, struct err *err);

#endif
