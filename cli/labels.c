/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/labels.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return strcmp(x->key, y->key);
}

static void put(struct pair *list, size_t *n, char *key, const char *value)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(list[i].key, key) == 0) {
            free(key);
            free(list[i].value);
            list[i].value = str_copy(value);
            return;
        }
    list[(*n)++] = (struct pair){.key = key, .value = str_copy(value)};
}

int labels_read(const struct arg_texts *texts, struct pair **ret, size_t *ret_n, struct err *err)
{
    struct pair *list = mem_alloc(texts->n, sizeof(*list));
    size_t n = 0;
    for (size_t i = 0; i < texts->n; i++) {
        const char *text = texts->items[i], *equals = strchr(text, '=');
        size_t len = equals ? (size_t)(equals - text) : strlen(text);
        char *key = mem_alloc(len + 1, 1);
        memcpy(key, text, len);
        if (!label_key_is_valid(key)) {
            free(key);
            record_free_list(&pair_type, list, n);
            return err_set(err, ERR_INVALID, "'%.80s' is no label: KEY=VALUE is", text);
        }
        put(list, &n, key, equals ? equals + 1 : "");
    }
    qsort(list, n, sizeof(*list), compare);
    *ret = list;
    *ret_n = n;
    return 0;
}
