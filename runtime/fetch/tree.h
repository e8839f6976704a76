/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree - make files below one folder and nowhere else, whatever their names and links say.
 *
 * Every name is taken apart first: ".." is refused, a leading "/" means the root. Its parent is
 * then found with openat2(RESOLVE_IN_ROOT), so links inside the root, absolute ones too, lead
 * inside it or nowhere, and the last component is only ever used with calls that do not follow
 * links.
 */
#ifndef WHERRY_RUNTIME_FETCH_TREE_H
#define WHERRY_RUNTIME_FETCH_TREE_H

#include <stdbool.h>

struct err;

enum {
    TREE_PATH_MAX = 4096,
    TREE_NAME_MAX = 255,
    TREE_DEPTH_MAX = 256,
};

/* Where files are made. */
struct tree {
    int root_fd;
    bool crosses; /* into what is mounted below the root, too */
    /* A folder was made that the archive did not name. May be NULL. */
    void (*on_implied)(void *arg, const char *path);
    /* A folder took the place of a whiteout. May be NULL. */
    void (*on_opaque)(void *arg, const char *path);
    void *arg;
};

/* Write the clean form of @name ("a/b", "." for the root) to @ret. ERR_CORRUPT with the reason. */
int tree_clean(const char *name, char ret[TREE_PATH_MAX], struct err *err);

/* Open (O_PATH) the folder that holds @path, a clean name other than ".", making what is missing,
 * and give the last component, which points into @path. */
int tree_parent(const struct tree *tree, const char *path, int *ret_fd, const char **ret_base,
                struct err *err);

/* Open @path, a clean name, as a folder for reading. */
int tree_open_folder(const struct tree *tree, const char *path, int *ret_fd, struct err *err);

/* Make room for a new @base in @parent_fd: delete what is there, a folder with all that is in it. A
 * folder stays when the new one is a folder too (@folder). *@ret_exists says that it stayed, and
 * *@ret_whiteout that a whiteout was there. */
int tree_replace(int parent_fd, const char *base, bool folder, bool *ret_exists, bool *ret_whiteout,
                 struct err *err);

/* True when @base in @parent_fd is a whiteout, a character device 0/0. */
bool tree_is_whiteout(int parent_fd, const char *base);

#endif
