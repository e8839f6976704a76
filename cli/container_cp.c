/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container cp: files into and out of a container, by Docker's rules. Archives travel in pieces;
 * what is local is packed (base/tar_write.h) and unpacked (cli/untar.h) here.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/tar_write.h"
#include "cli/cli.h"
#include "cli/container.h"
#include "cli/container_job.h"
#include "cli/pieces.h"
#include "cli/untar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINKS_MAX = 40,
};

struct cp_options {
    const char *node;
    bool archive;
    bool follow;
};

/* A copy under way. */
struct copy {
    struct cli *cli;
    const struct cp_options *o;
    char *container;
};

/* --- names -------------------------------------------------------------------------------------
 */

/* "CONTAINER:PATH" → the path; NULL when @word is a local one. What begins with "/" or "." is
 * local, whatever it has in it. */
static const char *path_in_container(const char *word)
{
    const char *colon = strchr(word, ':');
    if (!colon || colon == word || word[0] == '/' || word[0] == '.' ||
        memchr(word, '/', (size_t)(colon - word)))
        return NULL;
    return colon + 1;
}

static bool ends_with_slash(const char *path)
{
    size_t n = strlen(path);
    return n > 0 && path[n - 1] == '/';
}

/* "…/." means what is in the folder, without the folder. */
static bool means_content(const char *path)
{
    size_t n = strlen(path);
    return strcmp(path, ".") == 0 || (n >= 2 && strcmp(path + n - 2, "/.") == 0);
}

/* The last name of @path; "." for none. The caller frees it. */
static char *name_of(const char *path)
{
    cleanup_free char *copy = str_copy(path);
    size_t n = strlen(copy);
    while (n > 0 && (copy[n - 1] == '/' || (copy[n - 1] == '.' && (n == 1 || copy[n - 2] == '/'))))
        copy[--n] = '\0';
    char *slash = strrchr(copy, '/');
    char *name = slash ? slash + 1 : copy;
    return str_copy(*name ? name : ".");
}

/* The folder that @path is in, which ends with a slash. */
static char *folder_of(const char *path)
{
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    return n ? str_printf("%.*s", (int)n, path) : str_copy("./");
}

/* --- the container's side ----------------------------------------------------------------------
 */

static int look(const struct copy *c, const char *path, struct container_path_reply *ret,
                struct err *err)
{
    struct container_path_request request = {
        .node = TEXT(c->o->node), .container = c->container, .path = TEXT(path)};
    return cli_call(c->cli, "container.look", &request, ret, err);
}

/* Follow links at the end of @path, inside the container. *@ret_path is where they lead. */
static int look_through(const struct copy *c, const char *path, char **ret_path,
                        struct container_path_reply *ret, struct err *err)
{
    char *at = str_copy(path);
    for (int i = 0; i < LINKS_MAX; i++) {
        int rv = look(c, at, ret, err);
        if (rv < 0 || !str_equal(ret->kind, "link")) {
            *ret_path = at;
            return rv;
        }
        cleanup_free char *folder = folder_of(at);
        bool whole = ret->link && ret->link[0] == '/';
        char *next = whole ? str_copy(ret->link) : str_printf("%s%s", folder, ret->link);
        free(at);
        at = next;
        record_release(&container_path_reply_type, ret);
    }
    *ret_path = at;
    return err_set(err, ERR_INVALID, "%.150s: too many links", path);
}

/* --- in ----------------------------------------------------------------------------------------
 */

static int copy_in(const struct copy *c, int fd, char *folder, struct err *err)
{
    struct container_job_reply reply;
    cleanup_free char *id = NULL;
    int rv = pieces_send(c->cli, c->o->node, c->container, fd, &id, err);
    if (rv < 0)
        return rv;
    struct container_copy_in_request request = {.node = TEXT(c->o->node),
                                                .container = c->container,
                                                .path = folder,
                                                .upload = id,
                                                .owners = c->o->archive};
    rv = container_job_run(c->cli, "container.copy_in", &request, &reply, err);
    if (rv == 0)
        record_release(&container_job_reply_type, &reply);
    return rv;
}

/* Where in the container a local file or folder goes: into folder *@ret_folder, called *@ret_name,
 * "." when its content goes there. */
static int place_in(const struct copy *c, const char *source, bool folder, const char *path,
                    char **ret_folder, char **ret_name, struct err *err)
{
    struct container_path_reply there = {0};
    cleanup_free char *target = NULL;
    int rv = look_through(c, path, &target, &there, err);
    if (rv < 0)
        return rv;
    bool exists = *str_or_empty(there.kind);
    bool is_folder = str_equal(there.kind, "folder");
    if (exists && is_folder) {
        *ret_folder = str_copy(target);
        *ret_name = folder && means_content(source) ? str_copy(".") : name_of(source);
    } else if (exists && folder) {
        rv = err_set(err, ERR_EXISTS, "%.120s is no folder in the container: %.80s cannot go there",
                     path, source);
    } else if (exists && ends_with_slash(path)) {
        rv = err_set(err, ERR_INVALID, "%.150s is no folder in the container", path);
    } else if (!there.parent) {
        rv = err_set(err, ERR_NOTFOUND,
                     "the folder that %.150s would be in is not in the container", path);
    } else if (!folder && ends_with_slash(path)) {
        rv = err_set(err, ERR_NOTFOUND, "there is no folder %.150s in the container", path);
    } else {
        *ret_folder = folder_of(target);
        *ret_name = name_of(target);
    }
    record_release(&container_path_reply_type, &there);
    return rv;
}

static int run_in(const struct copy *c, const char *source, const char *path, struct err *err)
{
    cleanup_free char *folder = NULL;
    cleanup_free char *name = NULL;
    cleanup_close int fd = -1;
    struct stat st;
    if (strcmp(source, "-") == 0)
        return copy_in(c, STDIN_FILENO, TEXT(path), err);
    bool through = c->o->follow || ends_with_slash(source);
    if ((through ? stat(source, &st) : lstat(source, &st)) < 0)
        return err_errno(err, errno, "%.150s", source);
    int rv = place_in(c, source, S_ISDIR(st.st_mode), path, &folder, &name, err);
    if (rv < 0 || (rv = pieces_temporary(&fd, err)) < 0)
        return rv;
    struct tar_options options = {
        .fd = fd, .max_bytes = INT64_MAX / 2, .owners = c->o->archive, .follow = through};
    struct tar_writer *w = tar_writer_new(&options);
    rv = tar_write_tree(w, AT_FDCWD, source, name, err);
    if (rv == 0)
        rv = tar_writer_end(w, err);
    tar_writer_free(w);
    if (rv == 0 && lseek(fd, 0, SEEK_SET) < 0)
        rv = err_errno(err, errno, "read the archive");
    return rv == 0 ? copy_in(c, fd, folder, err) : rv;
}

/* --- out ---------------------------------------------------------------------------------------
 */

static int fetch(const struct copy *c, char *path, int fd, struct err *err)
{
    struct container_path_request request = {
        .node = TEXT(c->o->node), .container = c->container, .path = path};
    struct container_job_reply reply;
    int rv = container_job_run(c->cli, "container.copy_out", &request, &reply, err);
    if (rv < 0)
        return rv;
    rv = pieces_fetch(c->cli, c->o->node, c->container, reply.upload, fd, err);
    record_release(&container_job_reply_type, &reply);
    return rv;
}

/* Where a file or folder of the container goes here, as place_in(). */
static int place_out(const char *source, bool folder, const char *path, char **ret_folder,
                     char **ret_name, struct err *err)
{
    struct stat st;
    bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) {
        *ret_folder = str_copy(path);
        *ret_name = folder && means_content(source) ? str_copy(".") : name_of(source);
        return 0;
    }
    if (exists && folder)
        return err_set(err, ERR_EXISTS, "%.150s is no folder", path);
    if (!folder && ends_with_slash(path))
        return err_set(err, ERR_NOTFOUND, "there is no folder %.150s", path);
    *ret_folder = folder_of(path);
    *ret_name = name_of(path);
    return 0;
}

static int run_out(const struct copy *c, const char *path, const char *target, struct err *err)
{
    struct container_path_reply there = {0};
    cleanup_free char *source = NULL;
    cleanup_free char *folder = NULL;
    cleanup_free char *name = NULL;
    cleanup_close int fd = -1;
    int rv;
    if (c->o->follow || ends_with_slash(path)) {
        rv = look_through(c, path, &source, &there, err);
    } else {
        source = str_copy(path);
        rv = look(c, path, &there, err);
    }
    bool is_folder = str_equal(there.kind, "folder");
    if (rv == 0 && !*str_or_empty(there.kind))
        rv = err_set(err, ERR_NOTFOUND, "there is no %.150s in the container", path);
    record_release(&container_path_reply_type, &there);
    if (rv < 0)
        return rv;
    if (strcmp(target, "-") == 0) {
        if (isatty(STDOUT_FILENO))
            return err_set(err, ERR_INVALID,
                           "standard output is a terminal: redirect the archive to a file");
        return fetch(c, source, STDOUT_FILENO, err);
    }
    if ((rv = place_out(path, is_folder, target, &folder, &name, err)) < 0 ||
        (rv = pieces_temporary(&fd, err)) < 0 || (rv = fetch(c, source, fd, err)) < 0)
        return rv;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_errno(err, errno, "read the archive");
    return untar(fd, folder, name, c->o->archive, err);
}

/* --- the command -------------------------------------------------------------------------------
 */

static int run_cp(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    struct copy c = {.cli = cli, .o = options};
    const char *from = path_in_container(words[0]);
    const char *to = path_in_container(words[1]);
    (void)words_n;
    if (!from == !to)
        return err_set(err, ERR_INVALID,
                       from ? "copies from container to container are not supported: copy to a "
                              "folder here first"
                            : "one of the two is to be CONTAINER:PATH");
    const char *word = from ? words[0] : words[1];
    cleanup_free char *container = str_printf("%.*s", (int)strcspn(word, ":"), word);
    c.container = container;
    if (from)
        return run_out(&c, *from ? from : "/", words[1], err);
    return run_in(&c, words[0], *to ? to : "/", err);
}

const struct command command_container_cp = {
    .name = "cp",
    .usage = "[-a] [-L] [--node NAME] SOURCE CONTAINER:PATH | CONTAINER:PATH TARGET",
    .summary = "copy files into or out of a container",
    .details =
        "Copy a file or folder into a container, or out of it; it may run or not. A target that\n"
        "is a folder gets the source in it, with a source that ends in '/.' only what is in\n"
        "that. '-' is a tar archive on standard input or output. Files that are copied in belong\n"
        "to root, those that are copied out to you; with -a they keep their owners. Volumes are\n"
        "seen as the container sees them; nothing outside it is reached by "
        "links.\n\n" CONTAINER_NAMES,
    .examples = "  wherry container cp nginx.conf shop.web.2:/etc/nginx/\n"
                "  wherry container cp shop.web.2:/var/log/nginx logs\n"
                "  wherry container cp shop.web.2:/etc - | tar tv\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct cp_options, ARG_FLAG, archive, 'a', "archive", NULL,
                       "keep owners, by number"),
            ARG_OPTION(struct cp_options, ARG_FLAG, follow, 'L', "follow-link", NULL,
                       "follow the source where it is a link"),
            CONTAINER_NODE(struct cp_options),
            ARG_END,
        },
    .options_size = sizeof(struct cp_options),
    .words_min = 2,
    .words_max = 2,
    .run = run_cp,
};
