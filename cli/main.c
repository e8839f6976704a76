/* SPDX-License-Identifier: Apache-2.0 */
/* wherry - the table of commands. Each is described and carried out in a file of its own. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "node/hostcheck.h"
#include "node/node.h"
#include "node/recover.h"
#include "node/uninstall.h"

#define X(name) &command_##name,
static const struct command *const commands[] = {COMMANDS(X) NULL};
#undef X

static int run_daemon(const struct daemon_options *options, struct err *err)
{
    return node_run(
        &(struct node_options){.name = options->name,
                               .data_dir = options->data_dir,
                               .run_dir = options->run_dir,
                               .address = options->address,
                               .advertise = options->advertise,
                               .labels = options->labels.items,
                               .labels_n = options->labels.n,
                               .resources = options->resources.items,
                               .resources_n = options->resources.n,
                               .oci_runtimes = options->oci_runtimes.items,
                               .oci_runtimes_n = options->oci_runtimes.n,
                               .seccomp_profile = options->seccomp_profile,
                               .http = options->http,
                               .cgroup_parent = options->cgroup_parent,
                               .witness = options->witness,
                               .plain_http = options->plain_http.items,
                               .plain_http_n = options->plain_http.n,
                               .drain_ms = options->drain_ms,
                               .certificate_s = options->certificate_ms / 1000,
                               .pretend_level = (int)options->pretend_level.value,
                               .snapshot_entries = (unsigned)options->snapshot_entries.value},
        err);
}

static int recover(const char *data_dir, bool act, struct recover_report *ret, struct err *err)
{
    return act ? recover_act(data_dir, ret, err) : recover_look(data_dir, ret, err);
}

static int uninstall_machine(const char *data_dir, const char *run_dir, const char *cgroup_parent,
                             bool keep_volumes, struct err *err)
{
    return uninstall(&(struct uninstall_options){.data_dir = data_dir,
                                                 .run_dir = run_dir,
                                                 .cgroup_parent = cgroup_parent,
                                                 .keep_volumes = keep_volumes},
                     err);
}

int main(int argc, char **argv)
{
    return cli_main(&(struct program){.version = WHERRY_VERSION,
                                      .commands = commands,
                                      .run_daemon = run_daemon,
                                      .recover = recover,
                                      .check_host = hostcheck,
                                      .uninstall = uninstall_machine},
                    argc, argv);
}
