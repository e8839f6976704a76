/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the file of contexts. What is accepted must survive a round. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/context.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct contexts contexts;
    struct contexts again;
    struct err err = {0};
    if (contexts_parse((const char *)data, size, &contexts, &err) < 0) {
        check(err.code < 0 && err.msg[0]);
        return 0;
    }
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_buf struct buf twice = BUF_INIT;
    contexts_format(&contexts, &text);
    check(contexts_parse(text.data, text.len, &again, &err) == 0);
    contexts_format(&again, &twice);
    check(text.len == twice.len && memcmp(text.data, twice.data, text.len) == 0);
    contexts_release(&contexts);
    contexts_release(&again);
    return 0;
}
