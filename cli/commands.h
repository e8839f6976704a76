/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands - all commands, in the order in which the help shows them.
 */
#ifndef WHERRY_CLI_COMMANDS_H
#define WHERRY_CLI_COMMANDS_H

struct command;

#define COMMANDS(X)                                                                                \
    X(deploy)                                                                                      \
    X(plan)                                                                                        \
    X(rm)                                                                                          \
    X(ls)                                                                                          \
    X(ps)                                                                                          \
    X(why)                                                                                         \
    X(logs)                                                                                        \
    X(events)                                                                                      \
    X(exec)                                                                                        \
    X(attach)                                                                                      \
    X(scale)                                                                                       \
    X(stop)                                                                                        \
    X(start)                                                                                       \
    X(restart)                                                                                     \
    X(kill)                                                                                        \
    X(rollout)                                                                                     \
    X(rollback)                                                                                    \
    X(history)                                                                                     \
    X(job)                                                                                         \
    X(run)                                                                                         \
    X(move)                                                                                        \
    X(inspect)                                                                                     \
    X(registry)                                                                                    \
    X(volume)                                                                                      \
    X(config)                                                                                      \
    X(secret)                                                                                      \
    X(network)                                                                                     \
    X(dns)                                                                                         \
    X(container)                                                                                   \
    X(image)                                                                                       \
    X(status)                                                                                      \
    X(init)                                                                                        \
    X(join)                                                                                        \
    X(connect)                                                                                     \
    X(leave)                                                                                       \
    X(uninstall)                                                                                   \
    X(cluster)                                                                                     \
    X(token)                                                                                       \
    X(login)                                                                                       \
    X(logout)                                                                                      \
    X(context)                                                                                     \
    X(node)                                                                                        \
    X(ca)                                                                                          \
    X(key)                                                                                         \
    X(lock)                                                                                        \
    X(unlock)                                                                                      \
    X(backup)                                                                                      \
    X(restore)                                                                                     \
    X(recover)                                                                                     \
    X(check_host)                                                                                  \
    X(support)                                                                                     \
    X(version)                                                                                     \
    X(completion)                                                                                  \
    X(manual)                                                                                      \
    X(help)                                                                                        \
    X(debug)

#define X(name) extern const struct command command_##name;
COMMANDS(X)
#undef X

#endif
