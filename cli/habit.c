/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/habit.h"

#include "base/cleanup.h"

#include <string.h>

static const struct habit {
    const char *path;
    const char *word;
    const char *use;
} habits[] = {
    {"", "swarm", "'wherry init', 'wherry join' and 'wherry leave' make a cluster"},
    {"", "stack", "'wherry deploy', 'wherry ls' and 'wherry rm' take a stack"},
    {"", "service", "'wherry ls', 'wherry ps', 'wherry logs' and 'wherry scale' take a service"},
    {"", "up", "'wherry deploy' runs a Compose file"},
    {"", "down", "'wherry rm STACK' removes a stack"},
    {"", "remove", "'wherry rm STACK' removes a stack, 'wherry node rm' a member"},
    {"", "stop", "'wherry scale SERVICE=0' stops a service, 'wherry rm STACK' removes a stack"},
    {"", "restart", "there is none: 'wherry scale SERVICE=0', then 'wherry deploy'"},
    {"", "rollback", "there is none: deploy the former file"},
    {"", "exec", "there is none yet"},
    {"", "secret", "there are none yet"},
    {"", "config", "there are none yet"},
    {"", "volume", "volumes are in Compose files; 'wherry backup inspect' lists their homes"},
    {"", "drain", "did you mean 'node drain'?"},
    {"", "list", "did you mean 'ls'?"},
    {"node", "list", "did you mean 'node ls'?"},
    {"node", "leave", "'wherry leave' on the machine itself"},
    {"node", "join", "'wherry join' on the machine itself"},
    {"node", "update", "'wherry node drain', 'pause' and 'activate'"},
    {"node", "promote", "which members vote follows from how many there are"},
    {"node", "demote", "which members vote follows from how many there are"},
    {"token", "list", "did you mean 'token ls'?"},
    {"context", "list", "did you mean 'context ls'?"},
    {"image", "list", "did you mean 'image ls'?"},
    {"backup", "create", "'wherry backup FILE'"},
    {"backup", "verify", "'wherry backup --verify FILE'"},
    {"backup", "restore", "'wherry restore FILE'"},
    {"cluster", "init", "'wherry init'"},
    {"cluster", "join", "'wherry join'"},
    {"cluster", "leave", "'wherry leave'"},
    {"cluster", "status", "'wherry status'"},
};

const char *habit_find(const char *path, const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(habits); i++)
        if (strcmp(habits[i].path, path) == 0 && strcmp(habits[i].word, word) == 0)
            return habits[i].use;
    return NULL;
}
