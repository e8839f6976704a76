/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/meter.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "runtime/fetch/report.h"

void meter_init(struct meter *m, int64_t total, unsigned layers)
{
    *m = (struct meter){.total = total, .layers = layers};
    check(pthread_mutex_init(&m->lock, NULL) == 0);
}

/* Bytes a second lately. Under the lock. */
static int64_t speed(struct meter *m)
{
    int64_t now_ms = clock_boot_ms();
    unsigned newest = (m->next + METER_SAMPLES - 1) % METER_SAMPLES;
    if (m->samples_n == 0 || now_ms - m->samples[newest].at_ms >= METER_SAMPLE_MS) {
        m->samples[m->next].at_ms = now_ms;
        m->samples[m->next].moved = m->moved;
        m->next = (m->next + 1) % METER_SAMPLES;
        m->samples_n += m->samples_n < METER_SAMPLES;
    }
    unsigned oldest = m->samples_n < METER_SAMPLES ? 0 : m->next;
    int64_t since_ms = now_ms - m->samples[oldest].at_ms;
    return since_ms > 0 ? (m->moved - m->samples[oldest].moved) * 1000 / since_ms : 0;
}

static void tell(struct meter *m)
{
    report_transfer(m->done, m->total, m->layers_done, m->layers, speed(m));
}

void meter_add(struct meter *m, int64_t done, int64_t moved)
{
    pthread_mutex_lock(&m->lock);
    m->done += done;
    m->moved += moved;
    tell(m);
    pthread_mutex_unlock(&m->lock);
}

void meter_layer(struct meter *m)
{
    pthread_mutex_lock(&m->lock);
    m->layers_done++;
    tell(m);
    pthread_mutex_unlock(&m->lock);
}

void meter_tell(struct meter *m)
{
    pthread_mutex_lock(&m->lock);
    tell(m);
    pthread_mutex_unlock(&m->lock);
}
