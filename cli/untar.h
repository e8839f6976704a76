/* SPDX-License-Identifier: Apache-2.0 */
/*
 * untar - unpack what a member sends of a container's files.
 *
 * Reads what base/tar_write.h writes (pax with xattrs and holes), and trusts none of it: the files
 * are a container's. Nothing is made outside the folder, whatever names and links say: ".." is
 * refused, no link is followed on the way to a name.
 */
#ifndef WHERRY_CLI_UNTAR_H
#define WHERRY_CLI_UNTAR_H

#include <stdbool.h>

struct err;

/* Unpack the archive at @fd into @folder. What its first entry is called is called @name here; "."
 * puts what is in that folder into @folder itself. @owners: keep owners, setuid and setgid bits.
 * Folders stay folders, other files are replaced; devices are left out. */
int untar(int fd, const char *folder, const char *name, bool owners, struct err *err);

#endif
