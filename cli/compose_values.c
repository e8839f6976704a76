/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_reader.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const int64_t fraction_unit = 1000000000;
static const int64_t duration_max_ms = 100LL * 365 * 24 * 3600 * 1000;
static const int64_t size_max_bytes = 1LL << 60;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits and perhaps a point with digits: @ret_whole, and the rest in thousand millionths. */
static bool decimal(const char **s, int64_t *ret_whole, int64_t *ret_fraction)
{
    const char *p = *s;
    int64_t whole = 0, fraction = 0, unit = fraction_unit / 10;
    if (!is_digit(*p) && !(*p == '.' && is_digit(p[1])))
        return false;
    for (; is_digit(*p); p++) {
        if (whole > size_max_bytes / 10)
            return false;
        whole = whole * 10 + (*p - '0');
    }
    if (*p == '.')
        for (p++; is_digit(*p); p++, unit /= 10)
            fraction += unit * (*p - '0');
    *s = p;
    *ret_whole = whole;
    *ret_fraction = fraction;
    return true;
}

/* (@whole + @fraction) * @factor, rounded up; false past @max. */
static bool scaled(int64_t whole, int64_t fraction, int64_t factor, int64_t max, int64_t *ret)
{
    __int128 value = (__int128)whole * factor;
    value += ((__int128)fraction * factor + fraction_unit - 1) / fraction_unit;
    if (value > max)
        return false;
    *ret = (int64_t)value;
    return true;
}

bool compose_duration(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"h", 3600 * 1000000LL}};
    int64_t total_us = 0;
    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return true;
    }
    if (!*text)
        return false;
    while (*text) {
        int64_t whole, fraction, us, factor = 0;
        if (!decimal(&text, &whole, &fraction))
            return false;
        size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz");
        for (size_t i = 0; i < ARRAY_SIZE(units); i++)
            if (strlen(units[i].name) == len && strncmp(units[i].name, text, len) == 0)
                factor = units[i].us;
        if (!factor || !scaled(whole, fraction, factor, duration_max_ms * 1000, &us))
            return false;
        text += len;
        total_us += us;
        if (total_us > duration_max_ms * 1000)
            return false;
    }
    *ret_ms = (total_us + 999) / 1000;
    return true;
}

bool compose_size(const char *text, int64_t *ret_bytes)
{
    int64_t whole, fraction, factor = 1;
    if (!decimal(&text, &whole, &fraction))
        return false;
    text += *text == ' ';
    static const char letters[] = "kmgtp";
    const char *letter = *text ? strchr(letters, *text | 0x20) : NULL;
    if (letter) {
        factor = 1LL << (10 * (letter - letters + 1));
        text++;
        text += (*text | 0x20) == 'i' && (text[1] | 0x20) == 'b';
    }
    text += (*text | 0x20) == 'b';
    return !*text && scaled(whole, fraction, factor, size_max_bytes, ret_bytes);
}

bool compose_milli(const char *text, int64_t *ret_milli)
{
    int64_t whole, fraction;
    return decimal(&text, &whole, &fraction) && !*text && fraction % (fraction_unit / 1000) == 0 &&
           scaled(whole, fraction, 1000, 1000000000, ret_milli);
}

bool compose_number(const char *text, int64_t min, int64_t max, int64_t *ret)
{
    bool minus = *text == '-';
    text += minus;
    int64_t value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (!is_digit(*text) || value > INT64_MAX / 100)
            return false;
        value = value * 10 + (*text - '0');
    }
    value = minus ? -value : value;
    if (value < min || value > max)
        return false;
    *ret = value;
    return true;
}

/* --- lists of strings ---------------------------------------------------------------------- */

void compose_strings_add(char ***list, size_t *n, char *owned)
{
    if ((*n & (*n - 1)) == 0)
        *list = mem_resize(*list, *n ? *n * 2 : 1, sizeof(**list));
    (*list)[(*n)++] = owned;
}

/* One word from *@s, which is not at a blank. */
static int word(const char **s, struct buf *out, struct err *err)
{
    char quote = '\0';
    const char *p = *s;
    for (; *p && (quote || !strchr(" \t\r\n", *p)); p++) {
        if (quote && *p == quote) {
            quote = '\0';
        } else if (!quote && (*p == '\'' || *p == '"')) {
            quote = *p;
        } else if (*p == '\\' && quote != '\'') {
            if (!p[1])
                return err_set(err, ERR_INVALID, "a backslash ends the text");
            p++;
            if (quote == '"' && !strchr("\"\\$`\n", *p))
                buf_putc(out, '\\');
            if (*p != '\n')
                buf_putc(out, *p);
        } else {
            buf_putc(out, *p);
        }
    }
    if (quote)
        return err_set(err, ERR_INVALID, "no closing %c", quote);
    *s = p;
    return 0;
}

int compose_split(const char *text, char ***words, size_t *n, struct err *err)
{
    for (;;) {
        text += strspn(text, " \t\r\n");
        if (!*text)
            return 0;
        cleanup_buf struct buf out = BUF_INIT;
        int rc = word(&text, &out, err);
        if (rc < 0)
            return rc;
        if (*n == COMPOSE_WORDS_MAX)
            return err_set(err, ERR_TOOBIG, "more than %d words", COMPOSE_WORDS_MAX);
        compose_strings_add(words, n, buf_take(&out));
    }
}
