/* SPDX-License-Identifier: Apache-2.0 */
/* connect: tell a member where another one is. */
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    ADDRESSES_MAX = 256,
};

static int run_connect(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    (void)options;
    for (int i = 0; i < words_n; i++) {
        struct connect_request request = {.address = words[i]};
        struct connect_reply reply;
        if (cli_call(cli, "cluster.connect", &request, &reply, err) < 0)
            return err->code;
        printf("%s (n%" PRId64 ") is connected, at %s.\n", reply.name, reply.node_id, words[i]);
        record_release(&connect_reply_type, &reply);
    }
    return 0;
}

const struct command command_connect = {
    .name = "connect",
    .usage = "ADDRESS...",
    .summary = "tell this machine's member where others are now, after addresses changed",
    .details =
        "Have the member of this machine dial the member at ADDRESS[:PORT]. Whoever answers must\n"
        "prove the key of a member. Both then tell each other, and all whom they reach, where\n"
        "they are. Needed only when no two members know an address of each other that works.",
    .examples = "  wherry connect 10.1.0.2\n"
                "  wherry connect 10.1.0.2 10.1.0.3:7400\n",
    .words_min = 1,
    .words_max = ADDRESSES_MAX,
    .run = run_connect,
};
