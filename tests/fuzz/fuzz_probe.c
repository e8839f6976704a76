/* SPDX-License-Identifier: Apache-2.0 */
/* What a server answers to a probe, in pieces: of HTTP/1 and HTTP/2; and, by the first byte,
 * schedules and files of time zones. */
#include "base/cleanup.h"
#include "base/cron.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/probe.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answers(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct grpc_answer *answer = mem_alloc(1, sizeof(*answer));
    size_t step = data[0] % 64 + 1u;
    int rv = 0;
    for (size_t at = 1; at < size && rv == 0; at += step)
        rv = grpc_take(answer, data + at, size - at < step ? size - at : step, &err);
    check(rv <= 1);
    free(answer);
    int status = probe_http_status((const char *)data, size);
    check(status == -1 || status == 0 || (status >= 100 && status <= 999));
}

static void times(const uint8_t *data, size_t size)
{
    struct zone zone = {0};
    struct cron cron;
    struct err err = {0};
    const uint8_t *end = memchr(data, '\n', size);
    if (!end)
        return;
    char *text = mem_alloc((size_t)(end - data) + 1, 1);
    memcpy(text, data, (size_t)(end - data));
    if (zone_parse(end + 1, size - (size_t)(end - data) - 1, &zone, &err) < 0)
        zone = (struct zone){0};
    if (cron_parse(text, &cron, &err) == 0) {
        int64_t at = 1790000000000;
        for (int i = 0; i < 3 && at != INT64_MAX; i++) {
            int64_t next = cron_next(&cron, &zone, at);
            check(next > at);
            at = next;
        }
    }
    zone_release(&zone);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (data[0] & 1)
        answers(data + 1, size - 1);
    else
        times(data + 1, size - 1);
    return 0;
}
