/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup_file - a backup on this machine (cluster/backup.h): checked and shown without a daemon.
 */
#ifndef WHERRY_CLI_BACKUP_FILE_H
#define WHERRY_CLI_BACKUP_FILE_H

#include "cluster/backup.h"

/* Read and check all of @path ("-": standard input), piece by piece. ERR_CORRUPT, ERR_UNSUPPORTED.
 * @ret_header is the caller's to release. */
int backup_file_check(const char *path, struct backup_header *ret_header, struct err *err);

/* Print what is in a backup, for people. */
void backup_file_print(const struct backup_header *header);

#endif
