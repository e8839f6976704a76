/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: a one-off task anywhere in the cluster. It is a job of the stack "run", of one task, and is
 * attended like a container of one's own.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/container_attend.h"
#include "cli/container_options.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    POLL_MS = 100,
    STUCK_MS = 10000, /* so long its member may fail to make it */
    CONFLICTS_MAX = 20,
    STATUS_NOT_RUN = 125,
    SUFFIX = 4, /* random characters of a name */
    NAME_LONGEST = 40,
};

#define RUN_STACK "run"

/* --- its name -----------------------------------------------------------------------------------
 */

/* "registry:5000/a/Alpine:3" is "alpine-x7k2". */
static char *make_name(const char *image)
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    char name[NAME_LONGEST + 1] = "";
    unsigned char random[SUFFIX];
    const char *slash = strrchr(image, '/');
    const char *base = slash ? slash + 1 : image;
    size_t n = 0;
    for (; *base && *base != ':' && *base != '@' && n < sizeof(name) - SUFFIX - 2; base++)
        if (isalnum((unsigned char)*base) || (n > 0 && *base == '-'))
            name[n++] = (char)tolower((unsigned char)*base);
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        memset(random, 0, sizeof(random));
    if (n > 0)
        name[n++] = '-';
    for (size_t i = 0; i < SUFFIX; i++)
        name[n++] = letters[random[i] % (sizeof(letters) - 1)];
    return str_copy(name);
}

/* --- deploy -------------------------------------------------------------------------------------
 */

static int to_job(const struct run_options *o, struct spec *spec, struct err *err)
{
    if (o->restart && strcmp(o->restart, "no") != 0)
        return err_set(err, ERR_INVALID,
                       "--restart: what is run once is not restarted; for retries deploy a job");
    spec->mode = MODE_REPLICATED_JOB;
    spec->replicas = 1;
    spec->restart.condition = RESTART_NONE;
    if (o->node) {
        spec->constraints =
            mem_resize(spec->constraints, spec->constraints_n + 1, sizeof(*spec->constraints));
        spec->constraints[spec->constraints_n++] =
            (struct constraint){.key = str_copy("node.hostname"), .value = str_copy(o->node)};
    }
    if (!o->network && !spec->options.network_host) {
        spec->networks = mem_alloc(1, sizeof(*spec->networks));
        spec->networks[0].network = str_copy("default");
        spec->networks_n = 1;
    }
    return 0;
}

static int deploy(struct cli *cli, const char *name, const struct spec *spec, struct err *err)
{
    struct deploy_spec service = {.name = (char *)(uintptr_t)name, .spec = *spec};
    char *networks[] = {(char *)(uintptr_t) "default"};
    cleanup_free char **volumes = mem_alloc(spec->mounts_n, sizeof(char *));
    struct deploy_request request = {.name = (char *)(uintptr_t)RUN_STACK,
                                     .project = (char *)(uintptr_t) "wherry run",
                                     .services = &service,
                                     .services_n = 1,
                                     .networks = networks,
                                     .networks_n = spec->networks_n && !spec->networks[0].full,
                                     .volumes = volumes};
    struct deploy_reply reply;
    for (size_t i = 0; i < spec->mounts_n; i++)
        if (spec->mounts[i].kind == MOUNT_VOLUME && *str_or_empty(spec->mounts[i].source))
            volumes[request.volumes_n++] = spec->mounts[i].source;
    int rv = ERR_CONFLICT;
    for (int i = 0; i < CONFLICTS_MAX && rv == ERR_CONFLICT; i++) {
        if (i > 0)
            nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
        rv = cli_call(cli, "stack.deploy", &request, &reply, err);
    }
    if (rv < 0)
        return rv;
    for (size_t i = 0; i < reply.warnings_n; i++)
        cli_warn("%s", reply.warnings[i]);
    record_release(&deploy_reply_type, &reply);
    return 0;
}

/* --- attend -------------------------------------------------------------------------------------
 */

struct one_off {
    struct cli *cli;
    char *title; /* "run.alpine-x7k2" */
    const struct run_options *options;
    char told[256];         /* what was last said of it */
    int64_t stuck_since_ms; /* its member cannot make it; 0: it has not said so */
};

static void tell(struct one_off *r, const char *text)
{
    if (!*str_or_empty(text) || strcmp(text, r->told) == 0)
        return;
    str_fill(r->told, sizeof(r->told), text);
    fprintf(stderr, "%s: %s\n", r->title, r->told);
}

/* True when its member has been saying for a while that it cannot make its container. */
static bool is_stuck(struct one_off *r, const struct task_info *t)
{
    if (t->run > 0 || !str_equal(t->state, "waiting") || !*str_or_empty(t->message)) {
        if (!str_equal(t->state, "fetching") && !str_equal(t->state, "creating"))
            r->stuck_since_ms = 0;
        return false;
    }
    if (r->stuck_since_ms == 0)
        r->stuck_since_ms = clock_boot_ms();
    return clock_boot_ms() - r->stuck_since_ms >= STUCK_MS;
}

/* Its task, once that has a container. *@ret_failed: it has none, for good. */
static int await_task(struct one_off *r, struct task_info *ret, bool *ret_failed, struct err *err)
{
    for (;;) {
        struct task_list_reply reply;
        bool found = false;
        if (cli_call(r->cli, "task.list", &(struct filter_request){.name = r->title}, &reply, err) <
            0)
            return err->code;
        for (size_t i = 0; i < reply.tasks_n && !found; i++) {
            const struct task_info *t = &reply.tasks[i];
            if (!str_equal(t->desired, "run"))
                continue;
            bool over = str_equal(t->state, "failed") || str_equal(t->state, "complete");
            bool stuck = t->id != 0 && is_stuck(r, t);
            found = stuck || (t->id != 0 && (t->run > 0 || over));
            *ret_failed = stuck || (over && t->run == 0);
            if (found)
                record_copy(&task_info_type, t, ret);
            else
                tell(r, t->message);
        }
        record_release(&task_list_reply_type, &reply);
        if (found)
            return 0;
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
    }
}

static int attend(struct one_off *r, bool *ret_detached, struct err *err)
{
    for (;;) {
        struct task_info task;
        bool failed = false;
        *ret_detached = false;
        if (await_task(r, &task, &failed, err) < 0)
            return err->code;
        int rv = 0;
        if (failed) {
            tell(r, task.message);
            r->cli->exit_status = STATUS_NOT_RUN;
        } else if (str_equal(task.state, "failed") && strstr(task.message, "cannot start")) {
            cli_warn("%s: %s", r->title, task.message);
            r->cli->exit_status = container_not_started(task.message);
        } else {
            cleanup_free char *id = str_printf("t%lld", (long long)task.id);
            struct attended a = {.cli = r->cli,
                                 .node = task.node,
                                 .id = id,
                                 .interactive = r->options->interactive,
                                 .tty = r->options->tty};
            rv = container_attend(&a, ret_detached, err);
        }
        record_release(&task_info_type, &task);
        if (rv == 0 || (!cli_may_retry(rv) && rv != ERR_NOTFOUND))
            return rv;
        tell(r, "its member is lost; it begins anew on another");
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    }
}

static int remove_job(struct one_off *r, struct err *err)
{
    struct service_act_request request = {.name = r->title, .action = (char *)(uintptr_t) "remove"};
    struct empty reply;
    return cli_call(r->cli, "service.act", &request, &reply, err);
}

/* ERR_EXISTS when there is one of that name. */
static int check_name(struct cli *cli, char *title, struct err *err)
{
    struct service_list_reply reply;
    if (cli_call(cli, "service.list", &(struct filter_request){.name = title}, &reply, err) < 0)
        return err->code == ERR_NOTFOUND ? 0 : err->code;
    record_release(&service_list_reply_type, &reply);
    return err_set(err, ERR_EXISTS, "there is a %s already; 'wherry job rm %s' removes it", title,
                   title);
}

/* --- the command --------------------------------------------------------------------------------
 */

static int run_run(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct run_options *o = options;
    struct container_create_request request;
    bool detached = false;
    if (o->detach && o->remove)
        return err_set(err, ERR_INVALID,
                       "--rm removes it at its end, which -d does not wait for: use one of them, "
                       "and 'wherry job rm' later");
    if (container_check_terminal(!o->detach && o->interactive && o->tty, err) < 0 ||
        run_options_read(o, words_n, words, &request, err) < 0)
        return err->code;
    cleanup_free char *name = o->name ? str_copy(o->name) : make_name(request.spec.image);
    cleanup_free char *title = str_printf(RUN_STACK ".%s", name);
    struct one_off r = {.cli = cli, .title = title, .options = o};
    int rv = to_job(o, &request.spec, err);
    if (rv == 0 && o->name)
        rv = check_name(cli, title, err);
    if (rv == 0)
        rv = deploy(cli, name, &request.spec, err);
    record_release(&container_create_request_type, &request);
    if (rv < 0)
        return rv;
    if (o->detach) {
        printf("%s\n", title);
        return 0;
    }
    rv = attend(&r, &detached, err);
    if (rv == 0 && o->remove && !detached)
        rv = remove_job(&r, err);
    return rv;
}

const struct command command_run = {
    .name = "run",
    .usage = "[-d] [--rm] [-it] [--name NAME] [--node MEMBER] [OPTION]... IMAGE [COMMAND...]",
    .summary = "run a command once, anywhere in the cluster",
    .details =
        "Run a command in a container on a member that fits, show what it writes, hand signals on\n"
        "to it and exit with its exit code (125: it could not be begun, or its end is not known;\n"
        "126, 127: its command could not be run). With -d print its name, and leave it.\n\n"
        "It is a job of the stack 'run', with one task: 'wherry job ls' shows it, 'wherry logs'\n"
        "what it wrote, until 'wherry job rm' or --rm. If its member is lost it begins anew on\n"
        "another one. It is in the network of that stack, unless --network says otherwise: one\n"
        "of 'wherry network create', or of a stack that says 'attachable: true' of it;\n"
        "volumes are named in full, as 'wherry volume ls' does.",
    .examples = "  wherry run --rm alpine:3 echo hello\n"
                "  wherry run --rm -it --node n2 alpine:3 sh\n"
                "  wherry run --rm -it --network proxy alpine:3 wget -qO- http://web.shop/\n"
                "  wherry run -d --name reindex -v shop_data:/data shop:4 reindex\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct run_options, ARG_FLAG, detach, 'd', "detach", NULL,
                       "do not wait for its end: print its name"),
            RUN_OPTIONS,
            ARG_END,
        },
    .options_size = sizeof(struct run_options),
    .words_min = 1,
    .words_max = -1,
    .own_words = 1,
    .run = run_run,
};
