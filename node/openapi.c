/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP API described (OpenAPI 3.0.3), made of the table of verbs and of the records' fields. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/http.h"
#include "node/node.h"
#include "node/web.h"

#include <stdlib.h>
#include <string.h>

/* Record types by name, each once. */
struct types {
    const struct record_type **list;
    size_t n;
};

static void add_type(struct types *types, const struct record_type *type)
{
    for (size_t i = 0; i < types->n; i++)
        if (types->list[i] == type)
            return;
    types->list = mem_resize(types->list, types->n + 1, sizeof(*types->list));
    types->list[types->n++] = type;
    for (size_t i = 0; i < type->fields_n; i++)
        if (type->fields[i].type)
            add_type(types, type->fields[i].type);
}

/* Two types may have one name: the later ones have a number behind it. */
static void put_name(const struct types *types, const struct record_type *type, struct buf *out)
{
    int before = 0;
    for (size_t i = 0; i < types->n && types->list[i] != type; i++)
        before += strcmp(types->list[i]->name, type->name) == 0;
    buf_puts(out, type->name);
    if (before > 0)
        buf_printf(out, "_%d", before + 1);
}

static void put_reference(const struct types *types, const struct record_type *type,
                          struct buf *out)
{
    buf_puts(out, "{\"$ref\": \"#/components/schemas/");
    put_name(types, type, out);
    buf_puts(out, "\"}");
}

static void put_field(const struct types *types, const struct field *f, struct buf *out)
{
    switch (f->kind) {
    case FIELD_KIND_STRING:
        buf_puts(out, "{\"type\": \"string\"}");
        break;
    case FIELD_KIND_INT:
        buf_puts(out, "{\"type\": \"integer\", \"format\": \"int64\"}");
        break;
    case FIELD_KIND_BOOL:
        buf_puts(out, "{\"type\": \"boolean\"}");
        break;
    case FIELD_KIND_BYTES:
        buf_puts(out, "{\"type\": \"string\", \"description\": \"hexadecimal\"}");
        break;
    case FIELD_KIND_ENUM:
        buf_puts(out, "{\"type\": \"string\", \"enum\": [");
        for (int i = 0; f->names[i]; i++) {
            buf_puts(out, i > 0 ? ", " : "");
            buf_put_json(out, f->names[i]);
        }
        buf_puts(out, "]}");
        break;
    case FIELD_KIND_RECORD:
        put_reference(types, f->type, out);
        break;
    case FIELD_KIND_LIST:
        buf_puts(out, "{\"type\": \"array\", \"items\": ");
        put_reference(types, f->type, out);
        buf_putc(out, '}');
        break;
    case FIELD_KIND_STRINGS:
        buf_puts(out, "{\"type\": \"array\", \"items\": {\"type\": \"string\"}}");
        break;
    }
}

static void put_schema(const struct types *types, const struct record_type *type, struct buf *out)
{
    buf_puts(out, "\n      \"");
    put_name(types, type, out);
    buf_puts(out, "\": {\"type\": \"object\", \"properties\": {");
    for (size_t i = 0; i < type->fields_n; i++) {
        buf_puts(out, i > 0 ? ", " : "");
        buf_put_json(out, type->fields[i].name);
        buf_puts(out, ": ");
        put_field(types, &type->fields[i], out);
    }
    buf_puts(out, "}}");
}

static const char *who(const struct verb *verb)
{
    return verb->flags & VERB_LOCAL      ? "the machine's own socket only"
           : verb->flags & VERB_VIEWER   ? "viewers, deployers and admins"
           : verb->flags & VERB_DEPLOYER ? "deployers and admins"
                                         : "admins";
}

static void put_verb(const struct types *types, const struct verb *verb, struct buf *out)
{
    size_t noun = strcspn(verb->name, ".");
    buf_printf(out, "\n    \"/v1/%s\": {\"post\": {\"operationId\": \"%s\", \"tags\": [\"%.*s\"], ",
               verb->name, verb->name, (int)noun, verb->name);
    buf_printf(out, "\"summary\": \"for %s%s\", ", who(verb),
               verb->flags & VERB_SCOPED ? ", also of some stacks" : "");
    if (verb->flags & VERB_READ)
        buf_puts(out, "\"parameters\": [{\"name\": \"stale\", \"in\": \"query\", \"schema\": "
                      "{\"type\": \"boolean\"}, \"description\": \"as this member has it, without "
                      "asking the leader\"}], ");
    buf_puts(out, "\"requestBody\": {\"content\": {\"application/json\": {\"schema\": ");
    put_reference(types, verb->request, out);
    buf_puts(out, "}}}, \"responses\": {\"200\": {\"description\": \"done\", \"content\": "
                  "{\"application/json\": {\"schema\": ");
    put_reference(types, verb->reply, out);
    buf_puts(out, "}}}, \"default\": {\"$ref\": \"#/components/responses/error\"}}}}");
}

void web_openapi(struct http_request *r)
{
    size_t n;
    const struct verb *verbs = api_verbs(&n);
    struct types types = {0};
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < n; i++) {
        add_type(&types, verbs[i].request);
        add_type(&types, verbs[i].reply);
    }
    buf_puts(&out, "{\n  \"openapi\": \"3.0.3\",\n  \"info\": {\"title\": \"Wherry\", \"version\": "
                   "\"" WHERRY_VERSION "\", \"license\": {\"name\": \"Apache-2.0\"}},\n"
                   "  \"security\": [{\"token\": []}],\n  \"paths\": {");
    for (size_t i = 0; i < n; i++) {
        buf_puts(&out, i > 0 ? "," : "");
        put_verb(&types, &verbs[i], &out);
    }
    buf_puts(&out, "\n  },\n  \"components\": {\n"
                   "    \"securitySchemes\": {\"token\": {\"type\": \"http\", \"scheme\": "
                   "\"bearer\"}},\n"
                   "    \"responses\": {\"error\": {\"description\": \"why not\", \"content\": "
                   "{\"application/json\": {\"schema\": {\"type\": \"object\", \"properties\": "
                   "{\"error\": {\"type\": \"object\", \"properties\": {\"code\": {\"type\": "
                   "\"string\"}, \"message\": {\"type\": \"string\"}}}}}}}}},\n"
                   "    \"schemas\": {");
    for (size_t i = 0; i < types.n; i++) {
        buf_puts(&out, i > 0 ? "," : "");
        put_schema(&types, types.list[i], &out);
    }
    buf_puts(&out, "\n    }\n  }\n}\n");
    free(types.list);
    http_answer(r, 200, "application/json", &out);
}
