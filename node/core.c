/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core.h"

#include "base/log.h"
#include "cluster/consensus.h"
#include "node/addresses.h"
#include "node/clocks.h"
#include "node/daemon.h"
#include "node/forward.h"
#include "node/heartbeat.h"
#include "node/introduce.h"
#include "node/leader.h"
#include "node/members.h"
#include "node/propose.h"
#include "node/read.h"
#include "node/report.h"

void core_start(struct daemon *d)
{
    d->forward = forward_new(d);
    d->propose = propose_new(d);
    d->read = read_barrier_new(d);
    d->heartbeat = heartbeat_new(d);
    d->addresses = addresses_new(d);
    d->clocks = clocks_new(d);
    d->introduce = introduce_new(d);
    d->members = members_new(d);
    d->leader = leader_new(d);
    d->report = report_new(d);
}

void core_on_watch(struct daemon *d, unsigned tables)
{
    propose_on_apply(d->propose);
    if (tables & 1U << TABLE_NODE)
        members_on_change(d->members);
    leader_on_change(d->leader, tables);
}

void core_on_leader(struct daemon *d, int64_t leader_id, bool ready)
{
    if (leader_id == 0)
        log_info("raft", "no leader");
    else if (leader_id != d->id)
        log_info("raft", "n%lld leads", (long long)leader_id);
    else if (ready)
        log_info("raft", "we lead (term %lld)", (long long)consensus_term(d->consensus));
    heartbeat_on_leader(d->heartbeat, ready);
    leader_on_leader(d->leader, ready && !d->witness);
}

static void on_nothing(void *arg)
{
    (void)arg;
}

void core_close(struct daemon *d)
{
    forward_free(d->forward, on_nothing, NULL);
    propose_free(d->propose, on_nothing, NULL);
    read_barrier_free(d->read, on_nothing, NULL);
    heartbeat_free(d->heartbeat, on_nothing, NULL);
    clocks_free(d->clocks, on_nothing, NULL);
    members_free(d->members, on_nothing, NULL);
    leader_free(d->leader, on_nothing, NULL);
}

void core_free(struct daemon *d)
{
    addresses_free(d->addresses);
    introduce_free(d->introduce);
    report_free(d->report);
}
