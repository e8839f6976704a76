/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the Compose reader share: a key as it stands in a file, and what becomes of it.
 */
#ifndef TESTS_COMPOSE_FORMS_H
#define TESTS_COMPOSE_FORMS_H

static const char *lookup(void *data, const char *name)
{
    (void)data;
    static const char *const set[][2] = {{"SET", "value"}, {"EMPTY", ""}, {"PORT", "8080"}};
    for (size_t i = 0; i < ARRAY_SIZE(set); i++)
        if (strcmp(set[i][0], name) == 0)
            return set[i][1];
    return NULL;
}

static inline int parse(const char *text, size_t len, struct compose_project *project,
                        struct compose_errors *errors)
{
    struct compose_options options = {.file = "c.yaml", .stack = "app", .lookup = lookup};
    return compose_parse(&options, text, len, project, errors);
}

/* --- forms --------------------------------------------------------------------------------- */

struct form {
    const char *body; /* of service web, or with a leading "services:" a whole file */
    const char *want; /* found in the project's JSON */
};

static inline char *whole_file(const char *body)
{
    if (strstr(body, "services:"))
        return str_copy(body);
    return str_printf("services:\n  web:\n    image: nginx\n    %s\n", body);
}

static inline void check_forms(const struct form *forms, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        cleanup_free char *text = whole_file(forms[i].body);
        struct compose_project project;
        struct compose_errors errors = {0};
        cleanup_buf struct buf json = BUF_INIT;
        if (parse(text, strlen(text), &project, &errors) < 0)
            fail_msg("%s\nis refused: %s", text, errors.items[0].text);
        record_json(&compose_project_type, &project, -1, &json);
        if (!strstr(json.data, forms[i].want))
            fail_msg("%s\nlacks %s\nin %s", text, forms[i].want, json.data);
        compose_project_release(&project);
        compose_errors_release(&errors);
    }
}

static inline void check_faults(const struct form *faults, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        cleanup_free char *text = whole_file(faults[i].body);
        struct compose_project project = {.name = NULL};
        struct compose_errors errors = {0};
        if (parse(text, strlen(text), &project, &errors) == 0)
            fail_msg("%s\nloads", text);
        assert_null(project.name);
        if (!str_starts(errors.items[0].text, faults[i].want))
            fail_msg("%s\ngives %s\nnot   %s", text, errors.items[0].text, faults[i].want);
        compose_errors_release(&errors);
    }
}

#endif
