/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meter - how far a transfer of several blobs is, and how fast. Any thread.
 */
#ifndef WHERRY_RUNTIME_FETCH_METER_H
#define WHERRY_RUNTIME_FETCH_METER_H

#include <pthread.h>
#include <stdint.h>

enum {
    METER_SAMPLES = 8,
    METER_SAMPLE_MS = 500, /* between samples: the speed is that of the last four seconds */
};

struct meter {
    pthread_mutex_t lock; /* for all of it */
    int64_t total;        /* bytes of all blobs */
    int64_t done;         /* of them here (or there) */
    int64_t moved;        /* over the network, lost ones too */
    unsigned layers;
    unsigned layers_done;
    struct {
        int64_t at_ms;
        int64_t moved;
    } samples[METER_SAMPLES]; /* a ring; the oldest is at next once it is full */
    unsigned next;
    unsigned samples_n;
};

/* Begin with @total bytes in @layers layers. */
void meter_init(struct meter *meter, int64_t total, unsigned layers);

/* @done more bytes are there (fewer when negative), @moved of them came over the network; tells. */
void meter_add(struct meter *meter, int64_t done, int64_t moved);

/* One more layer is whole. */
void meter_layer(struct meter *meter);

/* Tell the runtime how far it is. */
void meter_tell(struct meter *meter);

#endif
