/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/project.h"

#include "cli/args.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/table.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What stands in a file may be anything, and the user looks at it on a terminal. */
static void print_note(const char *kind, const char *text)
{
    cleanup_buf struct buf clean = BUF_INIT;
    text_clean(text, &clean);
    fprintf(stderr, "%s: %s\n", kind, str_or_empty(clean.data));
}

static void print_notes(const struct compose_errors *errors)
{
    for (size_t i = 0; i < errors->warnings_n; i++)
        print_note("warning", errors->warnings[i].text);
    if (errors->warnings_more)
        fprintf(stderr, "warning: %zu more like these\n", errors->warnings_more);
    for (size_t i = 0; i < errors->n; i++)
        print_note("error", errors->items[i].text);
    if (errors->more)
        fprintf(stderr, "error: %zu more like these\n", errors->more);
}

int project_load(const char *file, const char *stack, const struct arg_texts *profiles,
                 struct compose_project *ret, struct err *err)
{
    struct compose_errors errors = {0};
    int rv = compose_load(
        &(struct compose_options){
            .file = file, .stack = stack, .profiles = profiles->items, .profiles_n = profiles->n},
        ret, &errors);
    size_t n = errors.n + errors.more;
    if (rv < 0 && n == 1) {
        /* One mistake needs no summary. */
        err_set(err, rv, "%s", errors.items[0].text);
        errors.n = 0;
    } else if (rv < 0) {
        err_set(err, rv, "%zu mistakes in %.100s; nothing was asked of the cluster", n,
                file ? file : "the Compose file");
    }
    print_notes(&errors);
    if (rv < 0 && n == 1)
        errors.n = 1;
    compose_errors_release(&errors);
    return rv;
}

static char *identity_of(const char *file)
{
    char host[HOST_NAME_MAX + 1] = "";
    cleanup_free char *real = realpath(file, NULL);
    const char *path = real ? real : file;
    const char *slash = strrchr(path, '/');
    gethostname(host, sizeof(host) - 1);
    return str_printf("%s:%.*s", host, slash && slash > path ? (int)(slash - path) : 1,
                      slash ? path : ".");
}

void project_request(const struct compose_project *project, struct deploy_request *ret)
{
    *ret = (struct deploy_request){
        .name = project->name,
        .project = identity_of(project->file),
        .services = mem_alloc(project->services_n, sizeof(struct deploy_spec)),
        .services_n = project->services_n,
        .networks = project->networks,
        .networks_n = project->networks_n,
        .volumes = project->volumes,
        .volumes_n = project->volumes_n,
        .own_networks = project->own_networks,
        .own_networks_n = project->own_networks_n,
        .own_volumes = project->own_volumes,
        .own_volumes_n = project->own_volumes_n,
        .contents = project->contents,
        .contents_n = project->contents_n,
    };
    for (size_t i = 0; i < project->services_n; i++)
        ret->services[i] = (struct deploy_spec){.name = project->services[i].name,
                                                .spec = project->services[i].spec};
}

void project_request_release(struct deploy_request *request)
{
    free(request->project);
    free(request->services);
    *request = (struct deploy_request){0};
}
