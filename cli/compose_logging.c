/* SPDX-License-Identifier: Apache-2.0 */
/* Where a container's output goes. The nodes keep logs themselves; `wherry logs` reads them. */
#include "cli/compose_container.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void read_driver(struct reader *r, const struct yaml *value, void *object)
{
    struct logging_spec *logging = &compose_options_of(object)->logging;
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return;
    bool kept = strcmp(text, "json-file") == 0 || strcmp(text, "local") == 0;
    if (!kept && strcmp(text, "none") != 0) {
        compose_error(r, value,
                      "'%.64s' is not here: logs are kept by the nodes (json-file, or local, which "
                      "is the same) or thrown away (none); see `wherry logs`",
                      text);
        return;
    }
    free(logging->driver);
    logging->driver = str_copy(kept ? "json-file" : "none");
}

static void add_option(struct logging_spec *logging, const char *key, int64_t value)
{
    logging->options =
        mem_resize(logging->options, logging->options_n + 1, sizeof(*logging->options));
    logging->options[logging->options_n++] =
        (struct pair){.key = str_copy(key), .value = str_printf("%lld", (long long)value)};
}

static void read_max_size(struct reader *r, const struct yaml *value, void *object)
{
    int64_t bytes;
    if (!compose_read_size(r, value, &bytes))
        return;
    if (bytes < OPTIONS_LOG_BYTES_MIN)
        compose_error(r, value, "a log file has at least %d bytes", OPTIONS_LOG_BYTES_MIN);
    else
        add_option(&compose_options_of(object)->logging, "max-size", bytes);
}

static void read_max_file(struct reader *r, const struct yaml *value, void *object)
{
    int64_t files;
    if (compose_read_number(r, value, 1, OPTIONS_LOG_FILES_MAX, &files))
        add_option(&compose_options_of(object)->logging, "max-file", files);
}

static const char ours[] = "is not here; max-size and max-file are";

static const struct compose_key option_keys[] = {
    {"max-size", KEY_READ, read_max_size, NULL}, {"max-file", KEY_READ, read_max_file, NULL},
    {"compress", KEY_REFUSED, NULL, ours},       {"labels", KEY_REFUSED, NULL, ours},
    {"labels-regex", KEY_REFUSED, NULL, ours},   {"env", KEY_REFUSED, NULL, ours},
    {"env-regex", KEY_REFUSED, NULL, ours},      {"tag", KEY_REFUSED, NULL, ours},
    {"mode", KEY_REFUSED, NULL, ours},           {"max-buffer-size", KEY_REFUSED, NULL, ours},
};

static void read_options(struct reader *r, const struct yaml *value, void *object)
{
    compose_section(r, value, option_keys, ARRAY_SIZE(option_keys), object);
}

static const struct compose_key logging_keys[] = {
    {"driver", KEY_READ, read_driver, NULL},
    {"options", KEY_READ, read_options, NULL},
};

void compose_read_logging(struct reader *r, const struct yaml *value, void *object)
{
    compose_section(r, value, logging_keys, ARRAY_SIZE(logging_keys), object);
}
