/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer - deploys small stacks one after the other, and notes those that were acknowledged.
 *
 *   writer FILE TAG SECONDS SOCKET...
 *
 * Each stack has a name of its own, TAG and a number, and goes through the next of the sockets. A
 * name is appended to FILE once the member has answered that it is done; what failed or has an
 * unknown end is left out. Prints how many were acknowledged and how many were not.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/api.h"
#include "cluster/client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CALL_MS = 3000,
    PAUSE_US = 20000, /* after a failure */
};

static int deploy(const char *socket, const char *stack, struct err *err)
{
    cleanup_free char *target = str_printf("unix://%s", socket);
    struct client *client;
    struct deploy_reply reply;
    struct deploy_spec service = {.name = (char[]){"none"},
                                  .spec = {.image = (char[]){"demo/none:1"}, .replicas = 0}};
    struct deploy_request request = {.name = (char *)(uintptr_t)stack,
                                     .project = (char *)(uintptr_t)stack,
                                     .services = &service,
                                     .services_n = 1};
    if (client_open(target, NULL, &client, err) < 0)
        return err->code;
    int rv = client_call(client, "stack.deploy", &deploy_request_type, &request, &deploy_reply_type,
                         &reply, CALL_MS, err);
    if (rv == 0)
        record_release(&deploy_reply_type, &reply);
    client_close(client);
    return rv;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: writer FILE TAG SECONDS SOCKET...\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    FILE *file = fopen(argv[1], "a");
    int64_t until_ms = clock_boot_ms() + 1000 * strtol(argv[3], NULL, 10);
    long done = 0, not_done = 0;
    struct err err = {0};
    if (!file) {
        perror(argv[1]);
        return 1;
    }
    for (int i = 0; clock_boot_ms() < until_ms; i++) {
        char stack[64];
        snprintf(stack, sizeof(stack), "%.20s%d", argv[2], i);
        if (deploy(argv[4 + i % (argc - 4)], stack, &err) == 0) {
            fprintf(file, "%s\n", stack);
            fflush(file);
            done++;
        } else {
            not_done++;
            usleep(PAUSE_US);
        }
    }
    fclose(file);
    printf("%ld acknowledged, %ld not%s%s\n", done, not_done, not_done ? ", the last for: " : "",
           not_done ? err.msg : "");
    return done == 0;
}
