/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/context.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    WORD_MAX = 300,
    LOCK_TRIES = 100, /* of LOCK_WAIT_MS each */
    LOCK_WAIT_MS = 50,
};

/* --- one and all -------------------------------------------------------------------------------
 */

static void context_release(struct context *c)
{
    free(c->name);
    free(c->cluster);
    for (size_t i = 0; i < c->addresses_n; i++)
        free(c->addresses[i]);
    free(c->addresses);
    if (c->token)
        explicit_bzero(c->token, strlen(c->token));
    free(c->token);
    *c = (struct context){0};
}

void contexts_release(struct contexts *contexts)
{
    for (size_t i = 0; i < contexts->n; i++)
        context_release(&contexts->items[i]);
    free(contexts->items);
    free(contexts->current);
    *contexts = (struct contexts){0};
}

struct context *contexts_find(const struct contexts *contexts, const char *name)
{
    for (size_t i = 0; i < contexts->n; i++)
        if (str_equal(contexts->items[i].name, name))
            return &contexts->items[i];
    return NULL;
}

static bool is_made_of(const char *text, const char *characters)
{
    size_t len = strlen(str_or_empty(text));
    return len > 0 && len <= WORD_MAX && strspn(text, characters) == len;
}

#define HEX     "0123456789abcdef"
#define ALNUM   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define ADDRESS ALNUM ".:-_%[]"

/* What is wrong with @c, or NULL. */
static const char *mistake_in(const struct context *c)
{
    if (!node_name_is_valid(str_or_empty(c->name)) || str_equal(c->name, CONTEXT_LOCAL))
        return "no name for a context: at most 63 letters, digits, '_', '.' and '-', not "
               "'" CONTEXT_LOCAL "'";
    if (!is_made_of(c->cluster, HEX))
        return "its cluster is missing or damaged";
    if (c->addresses_n == 0 || c->addresses_n > CONTEXT_ADDRESSES_MAX)
        return "it has no address, or too many";
    for (size_t i = 0; i < c->addresses_n; i++)
        if (!is_made_of(c->addresses[i], ADDRESS))
            return "an address of it is damaged";
    if (!is_made_of(c->token, ALNUM "-"))
        return "its token is missing or damaged";
    return NULL;
}

static void context_copy(const struct context *from, struct context *to)
{
    *to = (struct context){.name = str_copy(from->name),
                           .cluster = str_copy(from->cluster),
                           .addresses = mem_alloc(from->addresses_n, sizeof(char *)),
                           .token = str_copy(from->token)};
    for (size_t i = 0; i < from->addresses_n; i++)
        to->addresses[to->addresses_n++] = str_copy(from->addresses[i]);
}

int contexts_put(struct contexts *contexts, const struct context *context, struct err *err)
{
    const char *mistake = mistake_in(context);
    struct context copy;
    if (mistake)
        return err_set(err, ERR_INVALID, "context '%.80s': %s", str_or_empty(context->name),
                       mistake);
    struct context *at = contexts_find(contexts, context->name);
    if (!at && contexts->n >= CONTEXTS_MAX)
        return err_set(err, ERR_TOOBIG,
                       "there are %d contexts already: remove some ('wherry context rm')",
                       CONTEXTS_MAX);
    context_copy(context, &copy);
    if (at) {
        context_release(at);
    } else {
        contexts->items = mem_resize(contexts->items, contexts->n + 1, sizeof(*contexts->items));
        at = &contexts->items[contexts->n++];
    }
    *at = copy;
    return 0;
}

int contexts_remove(struct contexts *contexts, const char *name, struct err *err)
{
    struct context *at = contexts_find(contexts, name);
    if (!at)
        return err_set(err, ERR_NOTFOUND,
                       "there is no context '%.80s' ('wherry context ls' lists "
                       "them)",
                       name);
    if (str_equal(contexts->current, name)) {
        free(contexts->current);
        contexts->current = NULL;
    }
    context_release(at);
    size_t after = contexts->n - (size_t)(at - contexts->items) - 1;
    memmove(at, at + 1, after * sizeof(*at));
    contexts->n--;
    return 0;
}

/* --- the text ----------------------------------------------------------------------------------
 */

struct parser {
    struct contexts out;
    struct context now; /* the one whose lines are being read; name NULL: none */
    int line;
};

static int corrupt(const struct parser *p, const char *what, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "line %d: %s", p->line, what);
}

/* The context that was being read is complete. */
static int close_context(struct parser *p, struct err *err)
{
    const char *mistake = p->now.name ? mistake_in(&p->now) : NULL;
    if (!p->now.name)
        return 0;
    if (!mistake && contexts_find(&p->out, p->now.name))
        mistake = "there are two contexts of one name";
    if (mistake)
        return corrupt(p, mistake, err);
    int rv = contexts_put(&p->out, &p->now, err);
    context_release(&p->now);
    return rv;
}

static int take_once(struct parser *p, char **member, const char *value, struct err *err)
{
    if (*member)
        return corrupt(p, "it is there twice", err);
    *member = str_copy(value);
    return 0;
}

static int take_address(struct parser *p, const char *value, struct err *err)
{
    struct context *c = &p->now;
    if (c->addresses_n >= CONTEXT_ADDRESSES_MAX)
        return corrupt(p, "too many addresses", err);
    c->addresses = mem_resize(c->addresses, c->addresses_n + 1, sizeof(char *));
    c->addresses[c->addresses_n++] = str_copy(value);
    return 0;
}

static int take_line(struct parser *p, const char *key, const char *value, struct err *err)
{
    if (strcmp(key, "context") == 0) {
        int rv = close_context(p, err);
        return rv < 0 ? rv : take_once(p, &p->now.name, value, err);
    }
    if (strcmp(key, "current") == 0 && !p->now.name)
        return take_once(p, &p->out.current, value, err);
    if (!p->now.name)
        return corrupt(p, "it stands before any context", err);
    if (strcmp(key, "cluster") == 0)
        return take_once(p, &p->now.cluster, value, err);
    if (strcmp(key, "token") == 0)
        return take_once(p, &p->now.token, value, err);
    if (strcmp(key, "address") == 0)
        return take_address(p, value, err);
    return corrupt(p, "not known to this version", err);
}

static int check_version(const char *line, struct err *err)
{
    static const char begin[] = "wherry contexts ";
    size_t len = strlen(begin);
    if (strncmp(line, begin, len) != 0)
        return err_set(err, ERR_CORRUPT, "it does not begin as a file of contexts");
    if (strcmp(line + len, "1") != 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "it has format %.20s, this version of wherry knows %d: use a newer one",
                       line + len, CONTEXTS_VERSION);
    return 0;
}

static int parse_line(struct parser *p, char *line, struct err *err)
{
    if (p->line == 1)
        return check_version(line, err);
    char *blank = strchr(line, ' ');
    if (!blank)
        return *line ? corrupt(p, "not KEY VALUE", err) : 0;
    *blank = '\0';
    const char *value = blank + 1;
    if (strlen(value) > WORD_MAX || !*value)
        return corrupt(p, "its value is empty or too long", err);
    return take_line(p, line, value, err);
}

int contexts_parse(const char *text, size_t len, struct contexts *ret, struct err *err)
{
    struct parser p = {0};
    int rv = 0;
    if (len > CONTEXTS_BYTES_MAX)
        return err_set(err, ERR_TOOBIG, "it has more than %d bytes", CONTEXTS_BYTES_MAX);
    if (len == 0)
        rv = err_set(err, ERR_CORRUPT, "it is empty");
    else if (memchr(text, '\0', len))
        rv = err_set(err, ERR_CORRUPT, "it has a zero byte");
    while (rv == 0 && len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t line = end ? (size_t)(end - text) : len;
        char *copy = mem_alloc(line + 1, 1);
        memcpy(copy, text, line);
        p.line++;
        rv = end ? parse_line(&p, copy, err) : corrupt(&p, "it is cut off", err);
        explicit_bzero(copy, line);
        free(copy);
        text += line + (end != NULL);
        len -= line + (end != NULL);
    }
    if (rv == 0)
        rv = close_context(&p, err);
    if (rv == 0 && p.out.current && !contexts_find(&p.out, p.out.current))
        rv = err_set(err, ERR_CORRUPT, "the current context '%.63s' is not in it", p.out.current);
    context_release(&p.now);
    if (rv < 0)
        contexts_release(&p.out);
    else
        *ret = p.out;
    return rv;
}

void contexts_format(const struct contexts *contexts, struct buf *out)
{
    buf_printf(out, "wherry contexts %d\n", CONTEXTS_VERSION);
    if (contexts->current)
        buf_printf(out, "current %s\n", contexts->current);
    for (size_t i = 0; i < contexts->n; i++) {
        const struct context *c = &contexts->items[i];
        buf_printf(out, "context %s\ncluster %s\n", c->name, c->cluster);
        for (size_t k = 0; k < c->addresses_n; k++)
            buf_printf(out, "address %s\n", c->addresses[k]);
        buf_printf(out, "token %s\n", c->token);
    }
}

/* --- the file ----------------------------------------------------------------------------------
 */

static int folder(char **ret, struct err *err)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    if (config && *config == '/')
        *ret = str_printf("%s/wherry", config);
    else if (home && *home == '/')
        *ret = str_printf("%s/.config/wherry", home);
    else
        return err_set(err, ERR_NOTFOUND,
                       "neither XDG_CONFIG_HOME nor HOME says where contexts are kept: set one");
    return 0;
}

int contexts_path(char **ret_path, struct err *err)
{
    cleanup_free char *dir = NULL;
    int rv = folder(&dir, err);
    if (rv == 0)
        *ret_path = str_printf("%s/contexts", dir);
    return rv;
}

/* It holds secrets, and decides whom we believe. */
static int check_owner(const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_errno(err, errno, "look at %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "%s is not a file", path);
    if (st.st_uid != geteuid())
        return err_set(err, ERR_DENIED, "%s is not your own: its owner has the number %u", path,
                       (unsigned)st.st_uid);
    if (st.st_mode & 077)
        return err_set(err, ERR_DENIED,
                       "others may use %s (mode %03o), and it holds tokens: take them back if "
                       "somebody may have read it, then 'chmod 600 %s'",
                       path, (unsigned)(st.st_mode & 0777), path);
    return 0;
}

int contexts_load(struct contexts *ret, struct err *err)
{
    cleanup_free char *path = NULL;
    cleanup_buf struct buf text = BUF_INIT;
    struct contexts contexts = {0};
    struct err no_home;
    if (contexts_path(&path, &no_home) < 0 || !file_exists(path)) {
        *ret = contexts;
        return 0;
    }
    int rv = check_owner(path, err);
    if (rv == 0)
        rv = file_read(path, CONTEXTS_BYTES_MAX, &text, err);
    if (rv < 0)
        return rv;
    rv = contexts_parse(str_or_empty(text.data), text.len, &contexts, err);
    if (text.len > 0)
        explicit_bzero(text.data, text.len);
    if (rv < 0)
        return err_wrap(err, "%s is not usable (repair it, or delete it and log in again)", path);
    *ret = contexts;
    return 0;
}

static int lock(const char *dir, int *ret_fd, struct err *err)
{
    cleanup_free char *path = str_printf("%s/contexts.lock", dir);
    struct timespec wait = {.tv_nsec = LOCK_WAIT_MS * 1000000L};
    int rv = ERR_BUSY;
    for (int i = 0; i < LOCK_TRIES && rv == ERR_BUSY; i++) {
        if (i > 0)
            nanosleep(&wait, NULL);
        rv = file_lock(path, ret_fd, err);
    }
    return rv;
}

int contexts_change(contexts_edit_cb edit, void *arg, struct err *err)
{
    cleanup_free char *dir = NULL;
    cleanup_free char *path = NULL;
    cleanup_close int fd = -1;
    cleanup_buf struct buf text = BUF_INIT;
    struct contexts contexts = {0};
    if (folder(&dir, err) < 0 || file_mkdirs(dir, 0700, err) < 0 || lock(dir, &fd, err) < 0 ||
        contexts_path(&path, err) < 0)
        return err->code;
    int rv = contexts_load(&contexts, err);
    if (rv == 0)
        rv = edit(&contexts, arg, err);
    if (rv == 0) {
        contexts_format(&contexts, &text);
        rv = file_write(path, text.data, text.len, 0600, err);
        explicit_bzero(text.data, text.len);
    }
    contexts_release(&contexts);
    return rv;
}
