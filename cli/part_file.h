/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part_file - a file that is there when it is whole, or not at all.
 */
#ifndef WHERRY_CLI_PART_FILE_H
#define WHERRY_CLI_PART_FILE_H

#include <stdbool.h>

struct err;

struct part_file {
    int fd; /* to write, and read, it */
    bool force;
    char *path;
    char *part; /* its name until then */
};

/* Begin @path, under another name. ERR_EXISTS when it is there already, unless @force. After 0,
 * part_file_end() is to be called. */
int part_file_begin(struct part_file *f, const char *path, bool force, struct err *err);

/* With @rv 0 give it its name, durably, with another one of that name only replaced by force; else
 * delete it and leave *err as it is. Returns @rv, or what failed here. */
int part_file_end(struct part_file *f, int rv, struct err *err);

#endif
