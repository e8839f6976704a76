/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_reader.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    RETRIES_MAX = 10000,
    DEPENDS_MAX = 256,
};

/* --- healthcheck --------------------------------------------------------------------------- */

static void shell_test(struct health_spec *health, const char *command)
{
    compose_strings_add(&health->test, &health->test_n, str_copy("/bin/sh"));
    compose_strings_add(&health->test, &health->test_n, str_copy("-c"));
    compose_strings_add(&health->test, &health->test_n, str_copy(command));
}

/* ["CMD", ...], ["CMD-SHELL", "..."] or ["NONE"]. */
static void read_test_list(struct reader *r, const struct yaml *value, struct compose_draft *draft)
{
    struct health_spec *health = &draft->service->spec.health;
    cleanup_free char *kind = value->n > 0 ? compose_text(r, value->items[0]) : str_copy("");
    if (!kind)
        return;
    bool shell = strcmp(kind, "CMD-SHELL") == 0;
    if (strcmp(kind, "NONE") == 0) {
        draft->health_disabled = true;
    } else if (!shell && strcmp(kind, "CMD") != 0) {
        compose_error(r, value, "a list must start with CMD, CMD-SHELL or NONE");
    } else if (shell ? value->n != 2 : value->n < 2 || value->n > COMPOSE_WORDS_MAX) {
        compose_error(r, value,
                      shell ? "CMD-SHELL takes one text" : "CMD needs a program and its arguments");
    } else {
        for (size_t i = 1; i < value->n; i++) {
            cleanup_free char *text = compose_text(r, value->items[i]);
            if (text && shell)
                shell_test(health, text);
            else if (text)
                compose_strings_add(&health->test, &health->test_n, steal(&text));
        }
    }
}

static void read_test(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_draft *draft = object;
    if (value->kind == YAML_SCALAR) {
        cleanup_free char *text = compose_text(r, value);
        if (text && !*text)
            compose_error(r, value, "the test is empty; to have none, set disable: true");
        else if (text)
            shell_test(&draft->service->spec.health, text);
        return;
    }
    if (compose_is_list(r, value, "text or a list"))
        read_test_list(r, value, draft);
}

static struct health_spec *health_of(void *object)
{
    return &((struct compose_draft *)object)->service->spec.health;
}

/* A duration of 0 is "the default" in a file as in a spec. */
static void read_interval(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_duration(r, value, &health_of(object)->interval_ms);
}

static void read_timeout(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_duration(r, value, &health_of(object)->timeout_ms);
}

static void read_start_interval(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_duration(r, value, &health_of(object)->start_interval_ms);
}

static void read_start_period(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_duration(r, value, &health_of(object)->start_period_ms);
}

static void read_retries(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_number(r, value, 0, RETRIES_MAX, &health_of(object)->retries);
}

static void read_disable(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_bool(r, value, &((struct compose_draft *)object)->health_disabled);
}

static const struct compose_key health_keys[] = {
    {"test", KEY_READ, read_test, NULL},
    {"interval", KEY_READ, read_interval, NULL},
    {"timeout", KEY_READ, read_timeout, NULL},
    {"retries", KEY_READ, read_retries, NULL},
    {"start_period", KEY_READ, read_start_period, NULL},
    {"start_interval", KEY_READ, read_start_interval, NULL},
    {"disable", KEY_READ, read_disable, NULL},
};

void compose_read_health(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_draft *draft = object;
    struct health_spec *health = health_of(draft);
    compose_section(r, value, health_keys, ARRAY_SIZE(health_keys), draft);
    if (draft->health_disabled) {
        for (size_t i = 0; i < health->test_n; i++)
            free(health->test[i]);
        free(health->test);
        free(health->path);
        free(health->host);
        free(health->service);
        *health = (struct health_spec){0};
    } else if (value->kind == YAML_MAP && value->n > 0 && !yaml_get(value, "test")) {
        compose_error(r, value, "a check from the image is not supported yet; give a test:");
    }
}

/* --- x-wherry: probe ---------------------------------------------------------------------------
 */

static void read_probe_port(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_number(r, value, 1, 65535, &health_of(object)->port);
}

static void read_text(struct reader *r, const struct yaml *value, char **text, size_t max)
{
    free(*text);
    *text = compose_text(r, value);
    for (const char *c = str_or_empty(*text); *c; c++)
        if (*c <= ' ' || *c > '~') {
            compose_error(r, value, "must be printable, without blanks");
            return;
        }
    if (strlen(str_or_empty(*text)) > max)
        compose_error(r, value, "is longer than %zu characters", max);
}

static void read_probe_path(struct reader *r, const struct yaml *value, void *object)
{
    struct health_spec *health = health_of(object);
    read_text(r, value, &health->path, PROBE_PATH_MAX);
    if (health->path && *health->path != '/')
        compose_error(r, value, "'%.60s' must begin with '/'", health->path);
}

static void read_probe_host(struct reader *r, const struct yaml *value, void *object)
{
    read_text(r, value, &health_of(object)->host, PROBE_NAME_MAX);
}

static void read_probe_service(struct reader *r, const struct yaml *value, void *object)
{
    read_text(r, value, &health_of(object)->service, PROBE_NAME_MAX);
}

static const struct compose_key http_keys[] = {
    {"port", KEY_READ, read_probe_port, NULL},
    {"path", KEY_READ, read_probe_path, NULL},
    {"host", KEY_READ, read_probe_host, NULL},
};
static const struct compose_key tcp_keys[] = {
    {"port", KEY_READ, read_probe_port, NULL},
};
static const struct compose_key grpc_keys[] = {
    {"port", KEY_READ, read_probe_port, NULL},
    {"service", KEY_READ, read_probe_service, NULL},
};

static void read_kind(struct reader *r, const struct yaml *value, void *object,
                      enum probe_kind kind, const struct compose_key *keys, size_t n)
{
    struct health_spec *health = health_of(object);
    if (health->probe != PROBE_COMMAND) {
        compose_error(r, value, "a probe is one of http, tcp and grpc");
        return;
    }
    health->probe = kind;
    compose_section(r, value, keys, n, object);
    if (health->port == 0)
        compose_error(r, value, "needs a port");
}

static void read_http(struct reader *r, const struct yaml *value, void *object)
{
    read_kind(r, value, object, PROBE_HTTP, http_keys, ARRAY_SIZE(http_keys));
}

static void read_tcp(struct reader *r, const struct yaml *value, void *object)
{
    read_kind(r, value, object, PROBE_TCP, tcp_keys, ARRAY_SIZE(tcp_keys));
}

static void read_grpc(struct reader *r, const struct yaml *value, void *object)
{
    read_kind(r, value, object, PROBE_GRPC, grpc_keys, ARRAY_SIZE(grpc_keys));
}

static const struct compose_key probe_keys[] = {
    {"http", KEY_READ, read_http, NULL},
    {"tcp", KEY_READ, read_tcp, NULL},
    {"grpc", KEY_READ, read_grpc, NULL},
    {"interval", KEY_READ, read_interval, NULL},
    {"timeout", KEY_READ, read_timeout, NULL},
    {"retries", KEY_READ, read_retries, NULL},
    {"start_period", KEY_READ, read_start_period, NULL},
    {"start_interval", KEY_READ, read_start_interval, NULL},
};

void compose_read_probe(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_draft *draft = object;
    draft->probe = value;
    compose_section(r, value, probe_keys, ARRAY_SIZE(probe_keys), object);
    if (value->kind == YAML_MAP && health_of(object)->probe == PROBE_COMMAND)
        compose_error(r, value, "needs one of http, tcp and grpc");
}

void compose_read_unhealthy(struct reader *r, const struct yaml *value, void *object)
{
    static const char *const names[] = {"restart", "keep", NULL};
    int i = compose_read_choice(r, value, names);
    if (i >= 0)
        health_of(object)->on_unhealthy = (enum unhealthy_action)i;
}

void compose_settle_health(struct reader *r, struct compose_draft *draft)
{
    const struct health_spec *health = &draft->service->spec.health;
    if (draft->probe && (health->test_n > 0 || draft->health_disabled))
        compose_error(r, draft->probe, "healthcheck and probe: keep one of them");
}

/* --- depends_on ---------------------------------------------------------------------------- */

static void read_condition(struct reader *r, const struct yaml *value, void *object)
{
    static const char *const names[] = {"service_started", "service_healthy",
                                        "service_completed_successfully", NULL};
    int i = compose_read_choice(r, value, names);
    if (i >= 0)
        ((struct depends_spec *)object)->condition = (enum depends_condition)i;
}

static void read_required(struct reader *r, const struct yaml *value, void *object)
{
    (void)object;
    bool required = true;
    if (compose_read_bool(r, value, &required) && !required)
        compose_error(r, value, "'required: false' is not supported yet");
}

static const struct compose_key depends_keys[] = {
    {"condition", KEY_READ, read_condition, NULL},
    {"restart", KEY_LATER_IF_SET, NULL, NULL},
    {"required", KEY_READ, read_required, NULL},
};

static void add_dependency(struct reader *r, struct compose_draft *draft, const struct yaml *at,
                           const struct depends_spec *depends)
{
    struct spec *spec = &draft->service->spec;
    size_t n = spec->depends_on_n;
    for (size_t i = 0; i < n; i++)
        if (strcmp(spec->depends_on[i].service, depends->service) == 0) {
            compose_error(r, at, "service '%.64s' is named twice", depends->service);
            return;
        }
    if (n == DEPENDS_MAX) {
        compose_error(r, at, "more than %d services", DEPENDS_MAX);
        return;
    }
    spec->depends_on = mem_resize(spec->depends_on, n + 1, sizeof(*spec->depends_on));
    draft->depends_at = mem_resize(draft->depends_at, n + 1, sizeof(struct yaml *));
    spec->depends_on[n] = *depends;
    spec->depends_on[n].service = str_copy(depends->service);
    draft->depends_at[n] = at;
    spec->depends_on_n++;
}

void compose_read_depends(struct reader *r, const struct yaml *value, void *object)
{
    if (value->kind == YAML_NULL)
        return;
    if (value->kind == YAML_MAP) {
        for (size_t i = 0; i < value->n; i++) {
            const struct yaml_pair *pair = &value->pairs[i];
            struct depends_spec depends = {.service = pair->key->text};
            size_t before = compose_enter(r, pair->key->text);
            compose_section(r, pair->value, depends_keys, ARRAY_SIZE(depends_keys), &depends);
            add_dependency(r, object, pair->key, &depends);
            compose_leave(r, before);
        }
        return;
    }
    if (!compose_is_list(r, value, "a list or a mapping of services"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        cleanup_free char *text = compose_text(r, value->items[i]);
        if (text)
            add_dependency(r, object, value->items[i], &(struct depends_spec){.service = text});
    }
}
