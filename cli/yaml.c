/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/yaml.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/utf8.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct anchor {
    char *name;
    struct yaml *node;
    bool complete; /* an alias inside its own anchor would be a cycle */
};

struct parser {
    struct fy_parser *fy;
    struct fy_diag *diag; /* collects the library's errors */
    struct yaml_document document;
    struct anchor *anchors;
    size_t anchors_n;
    size_t merged; /* pairs looked at for merge keys */
    int line;      /* of the last node with a mark: a value that is not there has none */
    int column;
    struct yaml_error *error;
};

static int fail(struct parser *p, int line, int column, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int fail(struct parser *p, int line, int column, const char *fmt, ...)
{
    p->error->line = line;
    p->error->column = column;
    va_list args;
    va_start(args, fmt);
    vsnprintf(p->error->msg, sizeof(p->error->msg), fmt, args);
    va_end(args);
    return ERR_INVALID;
}

/* --- nodes --------------------------------------------------------------------------------- */

static struct yaml *node_new(struct parser *p, enum yaml_kind kind, struct fy_event *event)
{
    struct yaml_document *d = &p->document;
    if ((d->nodes_n & (d->nodes_n - 1)) == 0)
        d->nodes = mem_resize(d->nodes, d->nodes_n ? d->nodes_n * 2 : 1, sizeof(*d->nodes));
    struct yaml *node = mem_alloc(1, sizeof(*node));
    const struct fy_mark *mark = fy_event_start_mark(event);
    if (mark) {
        p->line = mark->line + 1;
        p->column = mark->column + 1;
    }
    node->kind = kind;
    node->line = p->line;
    node->column = p->column;
    node->weight = 1;
    d->nodes[d->nodes_n++] = node;
    return node;
}

static int add_weight(struct parser *p, struct yaml *node, const struct yaml *child)
{
    node->weight += child->weight;
    if (node->weight > YAML_EXPANDED_MAX)
        return fail(p, child->line, child->column,
                    "aliases make this more than %d values; use fewer of them", YAML_EXPANDED_MAX);
    return 0;
}

void yaml_release(struct yaml_document *document)
{
    for (size_t i = 0; i < document->nodes_n; i++) {
        struct yaml *node = document->nodes[i];
        free(node->text);
        free(node->items);
        free(node->pairs);
        free(node);
    }
    free(document->nodes);
    *document = (struct yaml_document){0};
}

const struct yaml *yaml_get(const struct yaml *map, const char *key)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (strcmp(map->pairs[i].key->text, key) == 0)
            return map->pairs[i].value;
    return NULL;
}

/* --- anchors and aliases ------------------------------------------------------------------- */

/* Note the anchor of @node; *@ret_index is its place or SIZE_MAX. */
static int anchor_add(struct parser *p, struct fy_token *token, struct yaml *node,
                      size_t *ret_index)
{
    *ret_index = SIZE_MAX;
    const char *name = token ? fy_token_get_text0(token) : NULL;
    if (!name)
        return 0;
    if (p->anchors_n == YAML_ANCHORS_MAX)
        return fail(p, node->line, node->column, "more than %d anchors", YAML_ANCHORS_MAX);
    p->anchors = mem_resize(p->anchors, p->anchors_n + 1, sizeof(*p->anchors));
    p->anchors[p->anchors_n] = (struct anchor){.name = str_copy(name), .node = node};
    *ret_index = p->anchors_n++;
    return 0;
}

static void anchor_complete(struct parser *p, size_t index)
{
    if (index != SIZE_MAX)
        p->anchors[index].complete = true;
}

static int find_alias(struct parser *p, struct fy_event *event, struct yaml **ret)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    int line = mark ? mark->line + 1 : 1, column = mark ? mark->column + 1 : 1;
    const char *name = fy_token_get_text0(event->alias.anchor);
    for (size_t i = p->anchors_n; name && i-- > 0;) {
        if (strcmp(p->anchors[i].name, name) != 0)
            continue;
        if (!p->anchors[i].complete)
            return fail(p, line, column, "alias '*%.60s' lies inside its own anchor", name);
        *ret = p->anchors[i].node;
        return 0;
    }
    return fail(p, line, column, "no anchor '&%.60s' before this alias", name ? name : "");
}

/* --- mappings: duplicates and merge keys --------------------------------------------------- */

static int compare_pairs(const void *a, const void *b)
{
    const struct yaml_pair *x = a, *y = b;
    int order = strcmp(x->key->text, y->key->text);
    if (order == 0)
        order = x->key->line < y->key->line ? -1 : x->key->line > y->key->line;
    if (order == 0)
        order = x->key->column < y->key->column ? -1 : x->key->column > y->key->column;
    return order;
}

static int compare_text(const void *key, const void *pair)
{
    return strcmp(key, ((const struct yaml_pair *)pair)->key->text);
}

/* A copy of the pairs sorted by key, which the caller frees. */
static struct yaml_pair *sorted_pairs(const struct yaml *map)
{
    struct yaml_pair *sorted = mem_alloc(map->n + 1, sizeof(*sorted));
    if (map->n > 0) {
        memcpy(sorted, map->pairs, map->n * sizeof(*sorted));
        qsort(sorted, map->n, sizeof(*sorted), compare_pairs);
    }
    return sorted;
}

static int refuse_duplicates(struct parser *p, const struct yaml *map)
{
    cleanup_free struct yaml_pair *sorted = sorted_pairs(map);
    for (size_t i = 1; i < map->n; i++)
        if (strcmp(sorted[i - 1].key->text, sorted[i].key->text) == 0)
            return fail(p, sorted[i].key->line, sorted[i].key->column,
                        "key '%.60s' is there twice, first in line %d", sorted[i].key->text,
                        sorted[i - 1].key->line);
    return 0;
}

static void add_pair(struct yaml *map, struct yaml *key, struct yaml *value)
{
    if (map->n == map->room) {
        map->room = 2 * map->room + 4;
        map->pairs = mem_resize(map->pairs, map->room, sizeof(*map->pairs));
    }
    map->pairs[map->n++] = (struct yaml_pair){key, value};
}

/* Add the pairs of @from whose keys @map has not. */
static int merge_one(struct parser *p, struct yaml *map, const struct yaml *from)
{
    if (from->kind != YAML_MAP)
        return fail(p, from->line, from->column, "'<<' takes a mapping or a list of mappings");
    p->merged += from->n;
    if (p->merged > YAML_EXPANDED_MAX)
        return fail(p, from->line, from->column, "merge keys add more than %d values",
                    YAML_EXPANDED_MAX);
    cleanup_free struct yaml_pair *sorted = sorted_pairs(map);
    size_t own = map->n;
    for (size_t i = 0; i < from->n; i++) {
        const struct yaml_pair *pair = &from->pairs[i];
        if (bsearch(pair->key->text, sorted, own, sizeof(*sorted), compare_text))
            continue;
        add_pair(map, pair->key, pair->value);
        if (add_weight(p, map, pair->key) < 0 || add_weight(p, map, pair->value) < 0)
            return ERR_INVALID;
    }
    return 0;
}

/* Replace the key "<<" of @map by what it merges in. */
static int merge(struct parser *p, struct yaml *map)
{
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml *key = map->pairs[i].key, *value = map->pairs[i].value;
        if (!key->plain || strcmp(key->text, "<<") != 0)
            continue;
        memmove(&map->pairs[i], &map->pairs[i + 1], (map->n - i - 1) * sizeof(*map->pairs));
        map->n--;
        if (value->kind != YAML_LIST)
            return merge_one(p, map, value);
        for (size_t k = 0; k < value->n; k++)
            if (merge_one(p, map, value->items[k]) < 0)
                return ERR_INVALID;
        return 0;
    }
    return 0;
}

/* --- events -------------------------------------------------------------------------------- */

/* Fill the error with the first that libfyaml collected. */
static int library_error(struct parser *p)
{
    void *prev = NULL;
    struct fy_diag_error *e = fy_diag_errors_iterate(p->diag, &prev);
    if (e)
        fail(p, e->line > 0 ? e->line : 1, e->column > 0 ? e->column : 1, "YAML: %.200s",
             e->msg ? e->msg : "not understood");
    else
        fail(p, 1, 1, "YAML: not understood");
    return ERR_INVALID;
}

static int next_event(struct parser *p, struct fy_event **ret)
{
    *ret = fy_parser_parse(p->fy);
    return *ret ? 0 : library_error(p);
}

static bool is_null_text(const char *text)
{
    static const char *const names[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(text, names[i]) == 0)
            return true;
    return false;
}

/* The core schema's tags say what is plain to see; "!!str" makes text of "null" and "1". */
static int check_tag(struct parser *p, struct fy_token *token, struct yaml *node)
{
    static const char *const known[] = {"str",  "int", "float", "bool",
                                        "null", "map", "seq",   "merge"};
    static const char prefix[] = "tag:yaml.org,2002:";
    if (!token)
        return 0;
    const char *tag = fy_token_get_text0(token);
    tag = tag ? tag : "";
    if (str_starts(tag, prefix)) {
        const char *name = tag + sizeof(prefix) - 1;
        if (strcmp(name, "str") == 0 && node->kind <= YAML_SCALAR) {
            node->kind = YAML_SCALAR;
            node->plain = false;
        }
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
            if (strcmp(name, known[i]) == 0)
                return 0;
    }
    return fail(p, node->line, node->column, "tag '%.60s' is not supported yet; leave it out", tag);
}

static int parse_scalar(struct parser *p, struct fy_event *event, struct yaml *node)
{
    size_t len = 0;
    const char *text = fy_token_get_text(event->scalar.value, &len);
    enum fy_scalar_style style = fy_token_scalar_style(event->scalar.value);
    node->plain = style == FYSS_PLAIN;
    if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED)
        node->column--; /* to the quote, which the library does not count in */
    if (text && memchr(text, 0, len))
        return fail(p, node->line, node->column, "a text with a 0 byte in it");
    node->text = mem_alloc(len + 1, 1);
    memcpy(node->text, text ? text : "", len);
    if (node->plain && is_null_text(node->text))
        node->kind = YAML_NULL;
    return check_tag(p, event->scalar.tag, node);
}

static int parse_node(struct parser *p, struct fy_event *event, int depth, struct yaml **ret);

static void add_item(struct yaml *list, struct yaml *item)
{
    if (list->n == list->room) {
        list->room = 2 * list->room + 4;
        list->items = mem_resize(list->items, list->room, sizeof(*list->items));
    }
    list->items[list->n++] = item;
}

static int parse_list(struct parser *p, struct yaml *node, int depth)
{
    for (;;) {
        struct fy_event *event;
        if (next_event(p, &event) < 0)
            return ERR_INVALID;
        struct yaml *item = NULL;
        bool end = event->type == FYET_SEQUENCE_END;
        int rc = end ? 0 : parse_node(p, event, depth + 1, &item);
        fy_parser_event_free(p->fy, event);
        if (rc < 0 || end)
            return rc;
        add_item(node, item);
        if (add_weight(p, node, item) < 0)
            return ERR_INVALID;
    }
}

static int parse_value(struct parser *p, int depth, struct yaml **ret)
{
    struct fy_event *event;
    if (next_event(p, &event) < 0)
        return ERR_INVALID;
    int rc = parse_node(p, event, depth + 1, ret);
    fy_parser_event_free(p->fy, event);
    return rc;
}

static int parse_map(struct parser *p, struct yaml *node, int depth)
{
    for (;;) {
        struct fy_event *event;
        if (next_event(p, &event) < 0)
            return ERR_INVALID;
        struct yaml *key = NULL, *value = NULL;
        bool end = event->type == FYET_MAPPING_END, scalar = event->type == FYET_SCALAR;
        int rc = end ? 0 : parse_node(p, event, depth + 1, &key);
        fy_parser_event_free(p->fy, event);
        if (rc < 0)
            return rc;
        if (end)
            break;
        if (!scalar)
            return fail(p, key->line, key->column, "a key must be plain text");
        if (parse_value(p, depth, &value) < 0)
            return ERR_INVALID;
        add_pair(node, key, value);
        if (add_weight(p, node, key) < 0 || add_weight(p, node, value) < 0)
            return ERR_INVALID;
    }
    if (refuse_duplicates(p, node) < 0)
        return ERR_INVALID;
    return merge(p, node);
}

static int parse_collection(struct parser *p, struct fy_event *event, int depth, struct yaml *node)
{
    bool list = event->type == FYET_SEQUENCE_START;
    size_t anchor;
    if (depth >= YAML_DEPTH_MAX)
        return fail(p, node->line, node->column, "nested deeper than %d levels", YAML_DEPTH_MAX);
    if (check_tag(p, list ? event->sequence_start.tag : event->mapping_start.tag, node) < 0 ||
        anchor_add(p, list ? event->sequence_start.anchor : event->mapping_start.anchor, node,
                   &anchor) < 0)
        return ERR_INVALID;
    int rc = list ? parse_list(p, node, depth) : parse_map(p, node, depth);
    anchor_complete(p, anchor);
    return rc;
}

/* Read the node that @event starts. */
static int parse_node(struct parser *p, struct fy_event *event, int depth, struct yaml **ret)
{
    if (event->type == FYET_ALIAS)
        return find_alias(p, event, ret);
    bool scalar = event->type == FYET_SCALAR, list = event->type == FYET_SEQUENCE_START;
    if (!scalar && !list && event->type != FYET_MAPPING_START)
        return fail(p, 1, 1, "YAML: not understood");
    struct yaml *node = node_new(p, scalar ? YAML_SCALAR : (list ? YAML_LIST : YAML_MAP), event);
    if (p->document.nodes_n > YAML_NODES_MAX)
        return fail(p, node->line, node->column, "more than %d values", YAML_NODES_MAX);
    *ret = node;
    if (!scalar)
        return parse_collection(p, event, depth, node);
    size_t anchor;
    if (parse_scalar(p, event, node) < 0 || anchor_add(p, event->scalar.anchor, node, &anchor) < 0)
        return ERR_INVALID;
    anchor_complete(p, anchor);
    return 0;
}

static int parse_stream(struct parser *p)
{
    int documents = 0;
    for (;;) {
        struct fy_event *event = fy_parser_parse(p->fy);
        if (!event)
            return fy_parser_get_stream_error(p->fy) ? library_error(p) : 0;
        const struct fy_mark *mark = fy_event_start_mark(event);
        int rc = 0;
        switch (event->type) {
        case FYET_NONE:
        case FYET_STREAM_START:
        case FYET_STREAM_END:
        case FYET_DOCUMENT_END:
            break;
        case FYET_DOCUMENT_START:
            if (documents++ > 0)
                rc = fail(p, mark ? mark->line + 1 : 1, 1,
                          "a second document starts here; a file holds one");
            break;
        case FYET_MAPPING_START:
        case FYET_MAPPING_END:
        case FYET_SEQUENCE_START:
        case FYET_SEQUENCE_END:
        case FYET_SCALAR:
        case FYET_ALIAS:
            rc = parse_node(p, event, 0, &p->document.root);
            break;
        }
        fy_parser_event_free(p->fy, event);
        if (rc < 0)
            return rc;
    }
}

/* --- bytes --------------------------------------------------------------------------------- */

/* Refuse what is no text before the library sees it. */
static int check_bytes(struct parser *p, const char *text, size_t len)
{
    int line = 1, column = 1;
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)text[i];
        size_t n = utf8_length(text + i, len - i);
        if (n == 0)
            return fail(p, line, column, "byte 0x%02x is no UTF-8; save the file as UTF-8", c);
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
            return fail(p, line, column, "control character 0x%02x; is this a text file?", c);
        column = c == '\n' ? 1 : column + 1;
        line += c == '\n';
        i += n;
    }
    return 0;
}

/* For libfyaml's diagnostics, which are collected and not printed. */
static void no_output(struct fy_diag *diag, void *user, const char *text, size_t len)
{
    (void)diag;
    (void)user;
    (void)text;
    (void)len;
}

int yaml_parse(const char *text, size_t len, struct yaml_document *ret, struct yaml_error *error)
{
    struct parser p = {.error = error, .line = 1, .column = 1};
    if (check_bytes(&p, text, len) < 0)
        return ERR_INVALID;
    struct fy_diag_cfg quiet;
    fy_diag_cfg_default(&quiet);
    quiet.fp = NULL;
    quiet.output_fn = no_output;
    p.diag = fy_diag_create(&quiet);
    check(p.diag);
    fy_diag_set_collect_errors(p.diag, true);
    struct fy_parse_cfg config = {.flags = FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
                                  .diag = p.diag};
    p.fy = fy_parser_create(&config);
    check(p.fy);
    int rc = fy_parser_set_string(p.fy, text, len) == 0 ? parse_stream(&p)
                                                        : fail(&p, 1, 1, "YAML: not understood");
    fy_parser_destroy(p.fy);
    fy_diag_destroy(p.diag);
    for (size_t i = 0; i < p.anchors_n; i++)
        free(p.anchors[i].name);
    free(p.anchors);
    if (rc < 0)
        yaml_release(&p.document);
    else
        *ret = p.document;
    return rc;
}
