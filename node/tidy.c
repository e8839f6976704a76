/* SPDX-License-Identifier: Apache-2.0 */
#include "node/tidy.h"

#include "base/mem.h"
#include "node/daemon.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    LOOK_MS = 10000,
};

struct tidy {
    struct daemon *daemon;
    uv_timer_t timer;
    int64_t index; /* of the state when we last looked */
    bool dirty;    /* it had changed */
};

/* Let go of the pages of code that only the start and the busy time used: libcrypto alone maps some
 * 3 MB for them. They are the files' own, so what is used again comes back by a page fault, without
 * the disk as long as it is cached. (A debugger's breakpoints are lost with them.) */
static void forget_code(void)
{
    char *line = NULL;
    size_t size = 0;
    FILE *f = fopen("/proc/self/maps", "re");
    while (f && getline(&line, &size, f) > 0) {
        uintptr_t begin, end;
        char access[5];
        int path = 0;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %*s %n", &begin, &end, access,
                   &path) == 3 &&
            strcmp(access, "r-xp") == 0 && path > 0 && line[path] == '/')
            madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
    free(line);
    if (f)
        fclose(f);
}

/* Once state and transfers have rested for a whole period: a trim in the midst of work would only
 * make the kernel clear the same pages again. */
static void on_look(uv_timer_t *timer)
{
    struct tidy *t = timer->data;
    int64_t index = t->daemon->store ? store_index(t->daemon->store) : 0;
    bool transfers = mem_was_reused();
    if (index != t->index || transfers) {
        t->index = index;
        t->dirty = true;
    } else if (t->dirty) {
        t->dirty = false;
        mem_trim();
        forget_code();
    }
}

struct tidy *tidy_new(struct daemon *d)
{
    struct tidy *t = mem_alloc(1, sizeof(*t));
    t->daemon = d;
    t->dirty = true;
    uv_timer_init(&d->loop, &t->timer);
    t->timer.data = t;
    uv_timer_start(&t->timer, on_look, LOOK_MS, LOOK_MS);
    uv_unref((uv_handle_t *)&t->timer);
    return t;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void tidy_free(struct tidy *t)
{
    uv_close((uv_handle_t *)&t->timer, on_closed);
}
