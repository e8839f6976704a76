/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of each file in compose_files/, as compose_golden.txt has it. After a change that is
 * meant, `WHERRY_GOLDEN=write build/release/tests/unit/cli/compose_golden_test` in the project's
 * folder writes it anew; read the difference before it is committed.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/compose.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER "tests/unit/cli/compose_files"
#define GOLDEN "tests/unit/cli/compose_golden.txt"

static const char *lookup(void *data, const char *name)
{
    (void)data;
    return strcmp(name, "ROWS_USER") == 0 ? "clerk" : NULL;
}

static const char *const restart_names[] = {"any", "on-failure", "none"};
static const char *const condition_names[] = {"started", "healthy", "completed"};

static int is_yaml(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".yaml") == 0;
}

static void put_list(struct buf *out, const char *word, char *const *list, size_t n)
{
    if (n > 0)
        buf_printf(out, "    %s", word);
    for (size_t i = 0; i < n; i++) {
        buf_putc(out, ' ');
        buf_put_json(out, list[i]);
    }
    if (n > 0)
        buf_putc(out, '\n');
}

/* What is given of the options of a container, field by field. */
static void put_options(struct buf *out, const struct spec *spec)
{
    if (*str_or_empty(spec->platform))
        buf_printf(out, "    platform %s\n", spec->platform);
    if (spec->pull_policy)
        buf_printf(out, "    pull policy %d\n", (int)spec->pull_policy);
    for (size_t i = 0; i < container_options_type.fields_n; i++) {
        const struct field *f = &container_options_type.fields[i];
        struct record_type one = {.name = "field", .size = container_options_type.size};
        one.fields = f;
        one.fields_n = 1;
        struct container_options none = {0};
        if (record_equal(&one, &spec->options, &none))
            continue;
        buf_puts(out, "    ");
        record_json(&one, &spec->options, -1, out);
        buf_putc(out, '\n');
    }
    for (size_t i = 0; i < spec->labels_n; i++)
        buf_printf(out, "    label %s %s\n", spec->labels[i].key, spec->labels[i].value);
}

static void put_service(struct buf *out, const struct compose_service *service)
{
    const struct spec *spec = &service->spec;
    buf_printf(out, "  service %s: %s, %s %lld\n", service->name, spec->image,
               service_mode_names[spec->mode], (long long)spec->replicas);
    put_list(out, "entrypoint", spec->entrypoint, spec->entrypoint_n);
    put_list(out, "command", spec->command, spec->command_n);
    put_list(out, "environment", spec->environment, spec->environment_n);
    put_list(out, "health", spec->health.test, spec->health.test_n);
    for (size_t i = 0; i < spec->ports_n; i++)
        buf_printf(out, "    port %lld to %lld/%s\n", (long long)spec->ports[i].published,
                   (long long)spec->ports[i].target, protocol_names[spec->ports[i].protocol]);
    for (size_t i = 0; i < spec->mounts_n; i++)
        buf_printf(out, "    %s '%s' at %s%s%s%s%s\n",
                   spec->mounts[i].kind == MOUNT_BIND ? "bind" : "volume", spec->mounts[i].source,
                   spec->mounts[i].target, spec->mounts[i].read_only ? " read-only" : "",
                   *str_or_empty(spec->mounts[i].propagation) ? " " : "",
                   str_or_empty(spec->mounts[i].propagation),
                   spec->mounts[i].create_source ? " made if missing" : "");
    for (size_t i = 0; i < spec->networks_n; i++)
        buf_printf(out, "    network %s\n", spec->networks[i].network);
    for (size_t i = 0; i < spec->depends_on_n; i++)
        buf_printf(out, "    after %s has %s\n", spec->depends_on[i].service,
                   condition_names[spec->depends_on[i].condition]);
    put_options(out, spec);
    buf_printf(out, "    restart %s, attempts %lld\n", restart_names[spec->restart.condition],
               (long long)spec->restart.max_attempts);
}

static void put_project(struct buf *out, const struct compose_project *project)
{
    for (size_t i = 0; i < project->services_n; i++)
        put_service(out, &project->services[i]);
    for (size_t i = 0; i < project->networks_n; i++)
        buf_printf(out, "  network %s\n", project->networks[i]);
    for (size_t i = 0; i < project->volumes_n; i++)
        buf_printf(out, "  volume %s\n", project->volumes[i]);
}

static void put_outcome(struct buf *out, const char *name)
{
    cleanup_free char *path = str_printf(FOLDER "/%s", name);
    struct compose_project project = {0};
    struct compose_errors errors = {0};
    struct compose_options options = {.file = path, .stack = "app", .lookup = lookup};
    int rc = compose_load(&options, &project, &errors);
    buf_printf(out, "%s %s\n", name, rc == 0 ? "loads" : "is refused");
    size_t folder = strlen(FOLDER "/");
    for (size_t i = 0; i < errors.n; i++)
        buf_printf(out, "  error %s\n", errors.items[i].text + folder);
    for (size_t i = 0; i < errors.warnings_n; i++)
        buf_printf(out, "  warning %s\n", errors.warnings[i].text + folder);
    if (rc == 0) {
        put_project(out, &project);
        compose_project_release(&project);
    }
    compose_errors_release(&errors);
    buf_putc(out, '\n');
}

static void every_file_has_its_golden_outcome(void **state)
{
    (void)state;
    struct dirent **entries;
    struct err err;
    cleanup_buf struct buf got = BUF_INIT;
    cleanup_buf struct buf want = BUF_INIT;
    int n = scandir(FOLDER, &entries, is_yaml, alphasort);
    assert_true(n >= 24);
    for (int i = 0; i < n; i++) {
        put_outcome(&got, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    const char *mode = getenv("WHERRY_GOLDEN");
    if (mode && strcmp(mode, "write") == 0)
        assert_int_equal(file_write_fast(GOLDEN, got.data, got.len, 0644, &err), 0);
    assert_int_equal(file_read(GOLDEN, 1 << 20, &want, &err), 0);
    assert_string_equal(got.data, want.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_has_its_golden_outcome),
    };
    return cmocka_run_group_tests_name("compose_golden", tests, NULL, NULL);
}
