/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an unlock key, as a member's chain, and as a sealed value. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/authority.h"
#include "cluster/seal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    struct seal_key key;
    struct authority_chain chain;
    struct bytes none = {0};
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_secret struct buf plain = BUF_INIT;
    buf_append(&text, data, size);
    buf_putc(&text, '\0');
    if (unlock_key_parse(text.data, &key, &err) == 0)
        check(strncasecmp(text.data + strspn(text.data, " \t\r\n"), "WHRU-", 5) == 0);
    /* No key is empty: nothing is a chain for it. */
    check(authority_read_chain(text.data, 1, &none, &chain, &err) < 0);
    memset(&key, 7, sizeof(key));
    struct sealed sealed = {.generation = key.generation,
                            .data = {(unsigned char *)(uintptr_t)data, size}};
    check(seal_open(&key, "ca", "", &sealed, &plain, &err) < 0);
    return 0;
}
