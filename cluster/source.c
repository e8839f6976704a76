/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/source.h"

#include "base/mem.h"

#include <netinet/in.h>
#include <string.h>

enum {
    MILLI = 1000,
};

unsigned sources_name(const uv_tcp_t *tcp, char *out)
{
    struct sockaddr_storage sa;
    int len = sizeof(sa);
    str_fill(out, SOURCE_TEXT, "?");
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&sa, &len) != 0)
        return 0;
    if (sa.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&sa;
        uv_ip4_name(v4, out, SOURCE_TEXT);
        return ntohs(v4->sin_port);
    }
    if (sa.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&sa;
        uv_ip6_name(v6, out, SOURCE_TEXT);
        return ntohs(v6->sin6_port);
    }
    return 0;
}

/* The entry of @name: the one there is, a free one, or that of the source unheard of for longest.
 */
static struct source *find(struct sources *s, const char *name, int64_t now_ms)
{
    struct source *oldest = &s->all[0];
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->all[i].name, name) == 0)
            return &s->all[i];
        if (s->all[i].at_ms < oldest->at_ms)
            oldest = &s->all[i];
    }
    if (s->n < SOURCES_MAX)
        oldest = &s->all[s->n++];
    *oldest = (struct source){.left_milli = (int64_t)SOURCE_BURST * MILLI, .at_ms = now_ms};
    str_fill(oldest->name, sizeof(oldest->name), name);
    return oldest;
}

bool sources_admit(struct sources *sources, const char *name, int64_t now_ms)
{
    struct source *source = find(sources, name, now_ms);
    int64_t full = (int64_t)SOURCE_BURST * MILLI;
    int64_t passed = now_ms > source->at_ms ? now_ms - source->at_ms : 0;
    /* A second gives SOURCE_PER_SECOND, so a millisecond as many thousandths. */
    source->left_milli += passed > full ? full : passed * SOURCE_PER_SECOND;
    if (source->left_milli > full)
        source->left_milli = full;
    source->at_ms = now_ms;
    if (source->left_milli < MILLI)
        return false;
    source->left_milli -= MILLI;
    return true;
}
