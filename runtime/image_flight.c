/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_flight.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void lock(struct image_flight *flight)
{
    check(pthread_mutex_lock(&flight->lock) == 0);
}

static void unlock(struct image_flight *flight)
{
    check(pthread_mutex_unlock(&flight->lock) == 0);
}

static struct image_flight_blob *find(struct image_flight *flight, const char *digest)
{
    for (size_t i = 0; i < flight->n; i++) {
        if (strcmp(flight->blobs[i].digest, digest) == 0)
            return &flight->blobs[i];
    }
    return NULL;
}

void image_flight_init(struct image_flight *flight)
{
    *flight = (struct image_flight){0};
    check(pthread_mutex_init(&flight->lock, NULL) == 0);
}

void image_flight_release(struct image_flight *flight)
{
    pthread_mutex_destroy(&flight->lock);
    free(flight->blobs);
}

void image_flight_begin(struct image_flight *flight)
{
    lock(flight);
    flight->fetches++;
    unlock(flight);
}

void image_flight_end(struct image_flight *flight, struct image_flight_blob **ret_blobs,
                      size_t *ret_n)
{
    *ret_blobs = NULL;
    *ret_n = 0;
    lock(flight);
    check(flight->fetches > 0);
    if (--flight->fetches == 0) {
        size_t kept = 0;
        for (size_t i = 0; i < flight->n; i++) {
            if (flight->blobs[i].garbage)
                flight->blobs[kept++] = flight->blobs[i];
        }
        *ret_blobs = flight->blobs;
        *ret_n = kept;
        flight->blobs = NULL;
        flight->n = flight->cap = 0;
    }
    unlock(flight);
}

bool image_flight_busy(struct image_flight *flight)
{
    lock(flight);
    bool busy = flight->fetches > 0;
    unlock(flight);
    return busy;
}

void image_flight_look(struct image_flight *flight)
{
    lock(flight);
}

void image_flight_looked(struct image_flight *flight, const char *digest, bool count)
{
    struct image_flight_blob *blob = find(flight, digest);
    if (count && flight->fetches > 0 && !blob) {
        if (flight->n == flight->cap) {
            flight->cap = flight->cap ? 2 * flight->cap : 32;
            flight->blobs = mem_resize(flight->blobs, flight->cap, sizeof(*flight->blobs));
        }
        blob = &flight->blobs[flight->n++];
        *blob = (struct image_flight_blob){0};
        str_fill(blob->digest, sizeof(blob->digest), digest);
    }
    unlock(flight);
}

int image_flight_delete(struct image_flight *flight, const char *digest, const char *path,
                        bool *ret_deleted)
{
    int rv = 0;
    lock(flight);
    struct image_flight_blob *blob = find(flight, digest);
    *ret_deleted = !blob;
    if (blob)
        blob->garbage = true;
    else if (unlink(path) < 0 && errno != ENOENT)
        rv = -errno;
    unlock(flight);
    return rv;
}
