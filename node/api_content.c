/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about configs and secrets. What is secret is sealed here, and never told to anybody. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/contents.h"
#include "node/daemon.h"
#include "node/propose.h"

#include <stdlib.h>
#include <string.h>

/* "app_site" of "app_site@3". */
static bool is_version_of(const char *source, const char *base)
{
    size_t len = strlen(base);
    return strncmp(source, base, len) == 0 && source[len] == '@';
}

static bool has(const struct spec *spec, enum content_kind kind, const char *base)
{
    const struct content_ref *refs = kind == CONTENT_CONFIG ? spec->configs : spec->secrets;
    size_t n = kind == CONTENT_CONFIG ? spec->configs_n : spec->secrets_n;
    for (size_t i = 0; i < n; i++)
        if (is_version_of(str_or_empty(refs[i].source), base))
            return true;
    return false;
}

/* The services that have some version of it, and that the caller may know of. */
static void find_services(struct api_call *c, const struct service *services, size_t n,
                          enum content_kind kind, const char *base, char ***ret, size_t *ret_n)
{
    *ret = mem_alloc(n, sizeof(char *));
    *ret_n = 0;
    for (size_t i = 0; i < n; i++)
        if (!services[i].removed && caller_sees(&c->caller, services[i].stack) &&
            has(&services[i].spec, kind, base))
            (*ret)[(*ret_n)++] = str_printf("%s.%s", services[i].stack, services[i].name);
}

/* --- set -------------------------------------------------------------------------------------- */

struct setting {
    struct api_call *call;
    struct content_set_reply reply;
};

static void on_set(void *arg, const struct change_result *result)
{
    struct setting *s = arg;
    if (result->err.code != 0)
        api_fail(s->call, &result->err);
    else
        api_reply(s->call, &s->reply);
    record_release(&content_set_reply_type, &s->reply);
    free(s);
}

static int check_set(struct api_call *c, const struct content_set_request *r, struct err *err)
{
    struct content newest;
    struct err none;
    const char *word = content_kind_names[r->kind], *name = str_or_empty(r->name);
    bool exists = content_newest(c->daemon->store, r->kind, name, &newest, &none) == 0;
    int rv = 0;
    if (exists && *str_or_empty(newest.stack))
        rv = err_set(err, ERR_EXISTS, "%s %s belongs to stack %s: change its file and deploy that",
                     word, name, newest.stack);
    else if (exists && !r->update)
        rv = err_set(err, ERR_EXISTS,
                     "there is a %s %s already; give it another content with 'wherry %s update %s "
                     "FILE'",
                     word, name, word, name);
    else if (!exists && r->update)
        rv = err_set(err, ERR_NOTFOUND,
                     "there is no %s %.100s; make it with 'wherry %s create %.100s FILE'", word,
                     name, word, name);
    if (exists)
        record_release(&content_type, &newest);
    return rv;
}

/* As it is asked for: the labels there are, when an update gives none. */
static void describe(struct api_call *c, const struct content_set_request *r, struct content *to)
{
    struct content newest;
    struct err none;
    *to = (struct content){.kind = r->kind, .base = str_copy(str_or_empty(r->name))};
    bytes_set(&to->data, r->data.data, r->data.len);
    const struct pair *labels = r->labels;
    size_t n = r->labels_n;
    bool old = r->update && n == 0 &&
               content_newest(c->daemon->store, r->kind, to->base, &newest, &none) == 0;
    if (old) {
        labels = newest.labels;
        n = newest.labels_n;
    }
    to->labels = mem_alloc(n, sizeof(*to->labels));
    to->labels_n = n;
    for (size_t i = 0; i < n; i++)
        record_copy(&pair_type, &labels[i], &to->labels[i]);
    if (old)
        record_release(&content_type, &newest);
}

void api_content_set(struct api_call *c, const void *request)
{
    const struct content_set_request *r = request;
    struct change_content_add change = {0};
    struct content given;
    struct content_set_reply reply = {0};
    struct err err = {0};
    if (check_set(c, r, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    describe(c, r, &given);
    if (content_next(c->daemon, &given, "", &change, &reply.same, &err) < 0) {
        api_fail(c, &err);
    } else if (reply.same) {
        api_reply(c, &reply);
    } else if (api_may_change(c, CHANGE_CONTENT_ADD, &change)) {
        struct setting *s = mem_alloc(1, sizeof(*s));
        struct service *services;
        size_t n;
        store_list(c->daemon->store, TABLE_SERVICE, BY_NONE, 0, &services, &n);
        *s = (struct setting){.call = c, .reply.version = change.content.version};
        find_services(c, services, n, r->kind, given.base, &s->reply.services,
                      &s->reply.services_n);
        record_free_list(&service_type, services, n);
        propose_request(c->daemon->propose, &c->caller, CHANGE_CONTENT_ADD, &change,
                        c->has_request_id ? c->request_id : NULL, c->begin, PROPOSE_TIMEOUT_MS,
                        on_set, s);
    }
    record_release(&change_content_add_type, &change);
    record_release(&content_type, &given);
}

/* --- list ------------------------------------------------------------------------------------- */

static bool is_text(const struct bytes *data)
{
    for (size_t i = 0; i < data->len; i++)
        if (data->data[i] == 0)
            return false;
    return data->len > 0;
}

/* Moves what @content owns into @info. */
static void tell(struct content *content, struct content_info *info, bool whole)
{
    bool secret = content->kind == CONTENT_SECRET;
    *info = (struct content_info){.name = steal(&content->base),
                                  .kind = str_copy(content_kind_names[content->kind]),
                                  .version = content->version,
                                  .versions = info->versions + 1,
                                  .stack = steal(&content->stack),
                                  .size = content->size,
                                  .labels = content->labels,
                                  .labels_n = content->labels_n,
                                  .created_ms = content->created_ms};
    content->labels = NULL;
    content->labels_n = 0;
    if (secret)
        info->state = str_copy(content->key.data.len > 0 ? "sealed" : "due");
    if (!secret && whole && is_text(&content->data)) {
        info->data = mem_alloc(content->data.len + 1, 1);
        memcpy(info->data, content->data.data, content->data.len);
    }
}

static bool sees(const struct api_call *c, const struct content *content)
{
    return !*str_or_empty(content->stack) || caller_sees(&c->caller, content->stack);
}

static struct content_info *find_info(struct content_list_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->contents_n; i++)
        if (str_equal(reply->contents[i].name, name))
            return &reply->contents[i];
    return &reply->contents[reply->contents_n++];
}

void api_content_list(struct api_call *c, const void *request)
{
    const struct content_request *r = request;
    const char *wanted = str_or_empty(r->name);
    struct content_list_reply reply = {0};
    struct content *rows;
    struct service *services;
    size_t n, services_n;
    store_list(c->daemon->store, TABLE_CONTENT, BY_NONE, 0, &rows, &n);
    store_list(c->daemon->store, TABLE_SERVICE, BY_NONE, 0, &services, &services_n);
    reply.contents = mem_alloc(n, sizeof(*reply.contents));
    for (size_t i = 0; i < n; i++) {
        if (rows[i].kind != r->kind || !sees(c, &rows[i]) ||
            (*wanted && !str_equal(rows[i].base, wanted)))
            continue;
        struct content_info *info = find_info(&reply, rows[i].base);
        int64_t versions = info->versions;
        record_release(&content_info_type, info);
        info->versions = versions;
        tell(&rows[i], info, *wanted != '\0');
    }
    for (size_t i = 0; i < reply.contents_n; i++)
        find_services(c, services, services_n, r->kind, reply.contents[i].name,
                      &reply.contents[i].services, &reply.contents[i].services_n);
    record_free_list(&content_type, rows, n);
    record_free_list(&service_type, services, services_n);
    if (*wanted && reply.contents_n == 0)
        api_fail_with(c, ERR_NOTFOUND, "there is no %s %.100s", content_kind_names[r->kind],
                      wanted);
    else
        api_reply(c, &reply);
    record_release(&content_list_reply_type, &reply);
}

void api_content_remove(struct api_call *c, const void *request)
{
    const struct content_request *r = request;
    struct change_content_remove change = {.kind = r->kind, .base = r->name};
    api_propose(c, CHANGE_CONTENT_REMOVE, &change);
}
