/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/logline.h"

#include "base/mem.h"

#include <string.h>

/* The word of the line at @at, which ends with a blank; moves @at behind it. */
static bool take_word(const char *line, size_t len, size_t *at, const char **ret, size_t *ret_len)
{
    const char *blank = memchr(line + *at, ' ', len - *at);
    if (!blank)
        return false;
    *ret = line + *at;
    *ret_len = (size_t)(blank - *ret);
    *at += *ret_len + 1;
    return *ret_len > 0;
}

static bool is_time(const char *text, size_t len)
{
    if (len < strlen("2026-01-02T03:04:05Z") || len >= LOGLINE_TIME)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!strchr("0123456789-+:.TZ", text[i]) || !text[i])
            return false;
    return text[4] == '-' && text[10] == 'T';
}

bool logline_parse(const char *line, size_t len, struct logline *ret)
{
    const char *word;
    size_t n;
    size_t at = 0;
    struct logline l = {0};
    if (!take_word(line, len, &at, &word, &n) || !is_time(word, n))
        return false;
    memcpy(l.time, word, n);
    if (!take_word(line, len, &at, &word, &n) || n != 6)
        return false;
    if (memcmp(word, "stderr", n) == 0)
        l.stream = LOGLINE_STDERR;
    else if (memcmp(word, "stdout", n) != 0)
        return false;
    /* Tags are separated by colons; the first says whether it is a part. */
    if (at >= len || (line[at] != 'F' && line[at] != 'P'))
        return false;
    l.partial = line[at] == 'P';
    const char *blank = memchr(line + at, ' ', len - at);
    at = blank ? (size_t)(blank - line) + 1 : len;
    l.text = line + at;
    l.len = len - at;
    *ret = l;
    return true;
}

void logjoin_add(struct logjoin *join, const void *data, size_t len)
{
    buf_consume(&join->input, join->used);
    join->used = 0;
    buf_append(&join->input, data, len);
}

static void give(struct logjoin *join, const char *time, struct buf *text)
{
    str_fill(join->time, sizeof(join->time), time);
    buf_reset(&join->text);
    buf_append(&join->text, text->data, text->len);
    buf_reset(text);
}

/* True when @line completes one. */
static bool take_line(struct logjoin *join, const char *line, size_t len)
{
    struct logline l;
    if (!logline_parse(line, len, &l)) {
        join->time[0] = '\0';
        buf_reset(&join->text);
        buf_append(&join->text, line, len);
        return true;
    }
    struct buf *parts = &join->parts[l.stream];
    if (parts->len == 0)
        memcpy(join->times[l.stream], l.time, LOGLINE_TIME);
    buf_append(parts, l.text, l.len);
    if (l.partial && parts->len < LOGLINE_MAX)
        return false;
    give(join, join->times[l.stream], parts);
    return true;
}

bool logjoin_next(struct logjoin *join)
{
    while (join->used < join->input.len) {
        const char *line = join->input.data + join->used;
        size_t left = join->input.len - join->used;
        const char *end = memchr(line, '\n', left);
        if (!end && left < LOGLINE_MAX)
            return false;
        size_t len = end ? (size_t)(end - line) : left;
        join->used += len + (end ? 1 : 0);
        if (take_line(join, line, len))
            return true;
    }
    return false;
}

bool logjoin_last(struct logjoin *join)
{
    if (logjoin_next(join))
        return true;
    if (join->used < join->input.len) { /* cut in the middle of a line */
        size_t len = join->input.len - join->used;
        const char *line = join->input.data + join->used;
        join->used += len;
        if (take_line(join, line, len))
            return true;
    }
    for (int i = 0; i < LOGLINE_STREAMS; i++)
        if (join->parts[i].len > 0) {
            give(join, join->times[i], &join->parts[i]);
            return true;
        }
    return false;
}

void logjoin_release(struct logjoin *join)
{
    buf_release(&join->input);
    buf_release(&join->text);
    for (int i = 0; i < LOGLINE_STREAMS; i++)
        buf_release(&join->parts[i]);
}
