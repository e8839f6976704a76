/* SPDX-License-Identifier: Apache-2.0 */
#include "node/witness.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static char *path_of(const struct daemon *d, const char *name)
{
    return str_printf("%s/identity/%s", d->data_dir, name);
}

int witness_open(struct daemon *d, struct err *err)
{
    cleanup_free char *note = path_of(d, "witness");
    cleanup_free char *member = path_of(d, "member");
    cleanup_free char *lock = str_printf("%s/lock", d->data_dir);
    bool was = file_exists(note);
    d->witness = d->options.witness;
    if (file_exists(member)) {
        if (d->options.witness && !was)
            return err_set(err, ERR_INVALID,
                           "this machine joined its cluster as a full member and cannot be a "
                           "witness: start it without --witness, 'wherry leave', and join anew");
        if (!d->options.witness && was)
            log_info("node", "this machine joined as a witness, and is one");
        d->witness = was;
    }
    return d->witness ? file_lock(lock, &d->lock_fd, err) : 0;
}

int witness_note(const struct daemon *d, struct err *err)
{
    cleanup_free char *note = path_of(d, "witness");
    if (d->witness)
        return file_write(note, "", 0, 0600, err);
    if (unlink(note) < 0 && errno != ENOENT)
        return err_errno(err, errno, "remove %s", note);
    return 0;
}
