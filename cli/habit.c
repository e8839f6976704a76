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
    {"", "create", "'wherry container create'"},
    {"", "pull", "'wherry image pull'"},
    {"", "push", "'wherry image push'"},
    {"", "load", "'wherry image load'"},
    {"", "save", "'wherry image save'"},
    {"", "tag", "'wherry image tag'"},
    {"", "rmi", "'wherry image rm'"},
    {"", "images", "'wherry image ls'"},
    {"", "cp", "'wherry container cp'"},
    {"", "stats", "'wherry container stats'"},
    {"", "top", "'wherry container top'"},
    {"", "kill",
     "'wherry container kill' signals a task or container, 'wherry stop' ends a service"},
    {"", "pause", "'wherry container pause', 'wherry node pause', or 'wherry rollout pause'"},
    {"", "unpause", "'wherry container resume'"},
    {"", "update", "'wherry container update' changes limits, 'wherry deploy' a service"},
    {"", "wait", "'wherry container wait'"},
    {"", "diff", "'wherry container diff'"},
    {"", "commit", "'wherry container commit'"},
    {"", "prune", "'wherry container prune', 'wherry image prune' and 'wherry volume prune'"},
    {"", "build", "images are built elsewhere: 'wherry image load' or 'pull' brings them here"},
    {"", "drain", "did you mean 'node drain'?"},
    {"", "list", "did you mean 'ls'?"},
    {"node", "list", "did you mean 'node ls'?"},
    {"node", "leave", "'wherry leave' on the machine itself"},
    {"node", "join", "'wherry join' on the machine itself"},
    {"node", "update", "'wherry node drain', 'pause' and 'activate'"},
    {"node", "promote", "which members vote follows from how many there are"},
    {"node", "demote", "which members vote follows from how many there are"},
    {"token", "list", "did you mean 'token ls'?"},
    {"registry", "list", "did you mean 'registry ls'?"},
    {"context", "list", "did you mean 'context ls'?"},
    {"container", "exec", "'wherry exec'"},
    {"container", "attach", "'wherry attach'"},
    {"container", "list", "did you mean 'container ls'?"},
    {"container", "ps", "did you mean 'container ls'?"},
    {"container", "unpause", "did you mean 'container resume'?"},
    {"container", "rename", "there is none: make it anew with another --name"},
    {"volume", "list", "did you mean 'volume ls'?"},
    {"image", "build",
     "images are built elsewhere: 'wherry image load' or 'pull' brings them here"},
    {"image", "import", "'wherry image load'"},
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
