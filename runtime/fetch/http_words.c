/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/http_words.h"

#include "base/mem.h"
#include "runtime/image_json.h"

#include <string.h>

enum {
    PLAIN_TEXT_MAX = 512,
};

/* Copy the first line of @text, as far as it is printable. */
static void take_line(const char *text, char *words, size_t size)
{
    size_t n = 0;
    for (; *text && *text != '\n' && *text != '\r' && n + 1 < size; text++)
        words[n++] = *text >= ' ' && *text < 0x7f ? *text : '?';
    words[n] = '\0';
}

static const char *find_text(json_t *object, const char *const *keys)
{
    for (size_t i = 0; keys[i]; i++) {
        const char *text = json_string_value(json_object_get(object, keys[i]));
        if (text && *text)
            return text;
    }
    return NULL;
}

void http_words(const char *body, size_t len, char *words, size_t size)
{
    words[0] = '\0';
    if (len == 0)
        return;
    json_t *root = NULL;
    if (image_json_load("error", body, len, &root, NULL) == 0) {
        json_t *first = json_array_get(json_object_get(root, "errors"), 0);
        const char *text = find_text(first, (const char *const[]){"message", "code", NULL});
        if (!text)
            text = find_text(root, (const char *const[]){"details", "message", "error_description",
                                                         "error", NULL});
        take_line(str_or_empty(text), words, size);
        json_decref(root);
    } else if (len < PLAIN_TEXT_MAX && body[0] != '<' && body[0] != '{') {
        take_line(body, words, size);
    }
}
