/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    HOUR = 60 * MINUTE,
    DAY = 24 * HOUR,
};

const char *units_ago(int64_t then_ms, int64_t now_ms, char out[UNITS_TEXT])
{
    int64_t ms = now_ms - then_ms;
    out[0] = '\0';
    if (then_ms == 0)
        return out;
    if (ms < SECOND) /* clocks of two machines differ a little */
        snprintf(out, UNITS_TEXT, "now");
    else if (ms < 2 * MINUTE)
        snprintf(out, UNITS_TEXT, "%" PRId64 "s ago", ms / SECOND);
    else if (ms < 2 * HOUR)
        snprintf(out, UNITS_TEXT, "%" PRId64 "m ago", ms / MINUTE);
    else if (ms < 2 * (int64_t)DAY)
        snprintf(out, UNITS_TEXT, "%" PRId64 "h ago", ms / HOUR);
    else
        snprintf(out, UNITS_TEXT, "%" PRId64 "d ago", ms / DAY);
    return out;
}

const char *units_duration(int64_t ms, char out[UNITS_TEXT])
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{DAY, "d"}, {HOUR, "h"}, {MINUTE, "m"}, {SECOND, "s"}, {1, "ms"}};
    size_t len = 0;
    out[0] = '\0';
    if (ms == 0)
        snprintf(out, UNITS_TEXT, "0s");
    for (size_t i = 0; i < 5 && ms > 0; i++) {
        int64_t n = ms / units[i].ms;
        if (n == 0 && len == 0)
            continue;
        if (n > 0)
            snprintf(out + len, UNITS_TEXT - len, "%" PRId64 "%s", n, units[i].name);
        ms -= n * units[i].ms;
        if (len > 0 || i == 3) /* two parts say enough */
            break;
        len = strlen(out);
    }
    return out;
}

static const char *scaled(int64_t bytes, int64_t base, const char *const *names,
                          char out[UNITS_TEXT])
{
    int64_t unit = 1;
    while (bytes / unit >= base && names[1]) {
        unit *= base;
        names++;
    }
    int64_t tenths = (int64_t)((double)bytes / (double)unit * 10 + 0.5);
    if (tenths >= base * 10 && names[1]) { /* 999.99 rounds up to the next unit */
        tenths = 10;
        unit *= base;
        names++;
    }
    if (unit == 1 || tenths >= 100 || tenths % 10 == 0)
        snprintf(out, UNITS_TEXT, "%" PRId64 " %s", (tenths + 5) / 10, *names);
    else
        snprintf(out, UNITS_TEXT, "%" PRId64 ".%" PRId64 " %s", tenths / 10, tenths % 10, *names);
    return out;
}

const char *units_size(int64_t bytes, char out[UNITS_TEXT])
{
    static const char *const names[] = {"B", "kB", "MB", "GB", "TB", NULL};
    return scaled(bytes, 1000, names, out);
}

const char *units_memory(int64_t bytes, char out[UNITS_TEXT])
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", NULL};
    return scaled(bytes, 1024, names, out);
}

const char *units_cpu(int64_t milli, char out[UNITS_TEXT])
{
    size_t len =
        (size_t)snprintf(out, UNITS_TEXT, "%" PRId64 ".%03d", milli / 1000, (int)(milli % 1000));
    while (out[len - 1] == '0')
        out[--len] = '\0';
    if (out[len - 1] == '.')
        out[--len] = '\0';
    return out;
}

const char *units_image(const char *image, char out[UNITS_IMAGE])
{
    static const char mark[] = "@sha256:";
    enum {
        DIGITS = 12
    };
    const char *at = strstr(image, mark);
    size_t shown = at ? (size_t)(at - image) + sizeof(mark) - 1 + DIGITS : strlen(image);
    if (shown < strlen(image))
        snprintf(out, UNITS_IMAGE, "%.*s…", (int)shown, image);
    else
        snprintf(out, UNITS_IMAGE, "%s", image);
    return out;
}
