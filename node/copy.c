/* SPDX-License-Identifier: Apache-2.0 */
#include "node/copy.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/addresses.h"
#include "node/daemon.h"

#include <string.h>

enum {
    FILE_MAX = 256,
};

/* The file: a line with its version, a line with the host of the other one. */
static const char head[] = "wherry copy 1\n";

static char *path_of(const struct daemon *d)
{
    return str_printf("%s/identity/copy", d->data_dir);
}

void copy_explain(const struct daemon *d, struct buf *out)
{
    buf_printf(out,
               "another machine with the identity of n%lld is running%s%s: this disk is a copy; to "
               "make this machine a member of its own stop the daemon, delete %s and join",
               (long long)d->id, d->copy_host[0] ? " at " : "", d->copy_host, d->data_dir);
}

static void say(const struct daemon *d)
{
    cleanup_buf struct buf text = BUF_INIT;
    copy_explain(d, &text);
    log_error("members", "%s", text.data);
}

void copy_load(struct daemon *d)
{
    cleanup_free char *path = path_of(d);
    cleanup_buf struct buf text = BUF_INIT;
    struct err err;
    d->is_copy = file_exists(path);
    if (!d->is_copy)
        return;
    /* That it is there is what counts. */
    if (file_read(path, FILE_MAX, &text, &err) == 0 && text.len > strlen(head) &&
        strncmp(text.data, head, strlen(head)) == 0) {
        str_fill(d->copy_host, sizeof(d->copy_host), text.data + strlen(head));
        d->copy_host[strcspn(d->copy_host, "\n")] = '\0';
    }
    say(d);
}

void copy_on_refused(struct daemon *d, int64_t by, const char *host)
{
    cleanup_free char *path = path_of(d);
    cleanup_buf struct buf text = BUF_INIT;
    struct err err;
    if (d->is_copy)
        return;
    d->is_copy = true;
    str_fill(d->copy_host, sizeof(d->copy_host), host);
    log_error("members", "n%lld refuses us", (long long)by);
    say(d);
    buf_printf(&text, "%s%s\n", head, host);
    if (file_write(path, text.data, text.len, 0600, &err) < 0)
        log_warn("members", "%s", err.msg);
    addresses_set_members(d->addresses, NULL, 0);
}
