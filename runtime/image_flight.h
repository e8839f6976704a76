/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_flight - blobs that fetches under way count on, though no manifest names them yet.
 *
 * A fetch is told that a blob is here, or brings it, long before its image is recorded. Until the
 * last of the fetches that overlap is over none of these is deleted; what became garbage meanwhile
 * is deleted then. Nothing of it is on disk: a crash leaves blobs that the next sweep knows by age.
 * Any thread.
 */
#ifndef WHERRY_RUNTIME_IMAGE_FLIGHT_H
#define WHERRY_RUNTIME_IMAGE_FLIGHT_H

#include "runtime/image_name.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct image_flight {
    pthread_mutex_t lock;
    int fetches;
    struct image_flight_blob {
        char digest[IMAGE_DIGEST_SIZE];
        bool garbage; /* to be deleted when the fetches are over */
    } * blobs;
    size_t n;
    size_t cap;
};

void image_flight_init(struct image_flight *flight);
void image_flight_release(struct image_flight *flight);

/* A fetch begins, or ends. After the last *@ret_blobs (free it) are those that are to be deleted
 * unless a manifest needs them by now. */
void image_flight_begin(struct image_flight *flight);
void image_flight_end(struct image_flight *flight, struct image_flight_blob **ret_blobs,
                      size_t *ret_n);

/* True while a fetch is under way. */
bool image_flight_busy(struct image_flight *flight);

/* Between these no blob is deleted: look whether @digest is here, then say so. With @count it
 * counts on from now on, if a fetch is under way. */
void image_flight_look(struct image_flight *flight);
void image_flight_looked(struct image_flight *flight, const char *digest, bool count);

/* Unlink @path, which is blob @digest, or leave it for the end of the fetches. Returns 0 or -errno;
 * *@ret_deleted says which. */
int image_flight_delete(struct image_flight *flight, const char *digest, const char *path,
                        bool *ret_deleted);

#endif
