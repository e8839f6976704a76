/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster and its members. */
#include "store/address.h"
#include "store/apply.h"
#include "store/level.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    NODE_ID_MAX = 65535, /* a member's id has 16 bits in the addresses of its tunnels */
    PUBLIC_KEY_BYTES_MAX = 1024,
    VXLAN_ID_MAX = (1 << 24) - 1,
    UUID_DIGITS = 32,
};

static int get_node(struct apply *apply, int64_t id, struct node *ret_node, struct err *err)
{
    if (store_get(apply->store, TABLE_NODE, id, ret_node) < 0)
        return err_set(err, ERR_NOTFOUND, "member %" PRId64 " does not exist", id);
    return 0;
}

/* --- one that leaves ----------------------------------------------------------------------- */

/* The machine may still run it: its lease tells the leader when that is over. */
static bool is_single(struct apply *apply, const struct task *task)
{
    struct spec spec;
    if (store_level(apply->store) < 4 || task_is_terminal(task->state) ||
        store_task_spec(apply->store, task, &spec) < 0)
        return false;
    bool single = spec.single;
    record_release(&spec_type, &spec);
    return single;
}

/* All but those that are complete, for a job that has run must not run again, and of single
 * services, which the leader removes. */
static void delete_tasks(struct apply *apply, const struct node *node)
{
    struct task *tasks;
    size_t n;
    store_list(apply->store, TABLE_TASK, BY_NODE_ID, node->id, &tasks, &n);
    for (size_t i = 0; i < n; i++) {
        if (tasks[i].state == TASK_COMPLETE || is_single(apply, &tasks[i]))
            continue;
        cleanup_free char *title = task_title(&tasks[i]);
        task_delete(apply, &tasks[i]);
        apply_event(apply, "task", title, "lost: member %s was removed", node->name);
    }
    record_free_list(&task_type, tasks, n);
}

/* Their content went with the machine: the next task starts with an empty one, wherever it is; or
 * on member @heir, 0: none. */
static void release_volumes(struct apply *apply, const struct node *node, int64_t heir)
{
    struct volume *volumes;
    size_t n;
    store_list(apply->store, TABLE_VOLUME, BY_NONE, 0, &volumes, &n);
    for (size_t i = 0; i < n; i++) {
        if (volumes[i].home_node_id != node->id)
            continue;
        volumes[i].home_node_id = heir;
        apply_put(apply, TABLE_VOLUME, &volumes[i]);
        if (heir == 0)
            apply_event(apply, "volume", volumes[i].name,
                        "its content stayed on removed member %s; it starts empty", node->name);
    }
    record_free_list(&volume_type, volumes, n);
}

/* Take @node out; @heir as in release_volumes(). */
static void take_out(struct apply *apply, const struct node *node, int64_t heir)
{
    delete_tasks(apply, node);
    release_volumes(apply, node, heir);
    apply_delete(apply, TABLE_NODE, node->id);
    apply_event(apply, "node", node->name, "%s",
                heir ? "removed: another machine takes its place" : "removed");
}

int apply_node_remove(struct apply *apply, const struct change_node_remove *change, struct err *err)
{
    struct node node;
    int rv = get_node(apply, change->node_id, &node, err);
    if (rv < 0)
        return rv;
    if (store_count(apply->store, TABLE_NODE) == 1) {
        rv = err_set(err, ERR_INVALID, "%s is the last member of the cluster", node.name);
    } else if (node.status == NODE_UP && !change->force) {
        rv =
            err_set(err, ERR_INVALID,
                    "member %s is up: stop its daemon first, or remove it with --force", node.name);
    } else {
        take_out(apply, &node, 0);
    }
    record_release(&node_type, &node);
    return rv;
}

/* --- a new member -------------------------------------------------------------------------- */

static int node_validate(const struct node *node, struct err *err)
{
    const char *name = str_or_empty(node->name);
    if (!node_name_is_valid(name))
        return err_set(err, ERR_INVALID,
                       "\"%.80s\" is no name for a member: letters, digits, '.', '_' and '-', "
                       "at most 63",
                       name);
    if (*str_or_empty(node->address) == '\0')
        return err_set(err, ERR_INVALID, "member %s gives no address", name);
    if (node->public_key.len == 0 || node->public_key.len > PUBLIC_KEY_BYTES_MAX)
        return err_set(err, ERR_INVALID, "member %s gives no public key", name);
    if (node->cert_ca.len != 0 && node->cert_ca.len != DIGEST_BYTES)
        return err_set(err, ERR_INVALID, "member %s gives no valid hash of its CA", name);
    if (node->call_port < 0 || node->call_port > 65535)
        return err_set(err, ERR_INVALID, "member %s gives no valid call port", name);
    if (node->cpu_milli < 0 || node->cpu_milli > CPU_MILLI_MAX || node->memory_bytes < 0 ||
        node->memory_bytes > MEMORY_BYTES_MAX)
        return err_set(err, ERR_INVALID, "member %s gives a capacity that no machine has", name);
    if (!resources_are_valid(node->resources, node->resources_n))
        return err_set(err, ERR_INVALID, "member %s gives resources that are none", name);
    return 0;
}

static bool same_key(const struct node *a, const struct node *b)
{
    return a->public_key.len == b->public_key.len &&
           memcmp(a->public_key.data, b->public_key.data, a->public_key.len) == 0;
}

static int node_is_new(struct apply *apply, const struct node *node, struct err *err)
{
    struct node *nodes;
    size_t n;
    int rv = 0;
    store_list(apply->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    for (size_t i = 0; i < n && rv == 0; i++) {
        if (same_key(&nodes[i], node))
            rv = err_set(err, ERR_EXISTS, "this machine is a member already: %s", nodes[i].name);
        else if (str_equal(nodes[i].name, node->name))
            rv = nodes[i].status == NODE_UP
                     ? err_set(err, ERR_EXISTS,
                               "a member named %s exists and is up: give this machine another "
                               "name with 'wherry node --name'",
                               node->name)
                     : err_set(err, ERR_EXISTS,
                               "a member named %s exists, and is down: 'wherry join --replace' "
                               "takes its place; 'wherry node rm %s' on a member removes it; "
                               "or give this machine another name with 'wherry node --name'",
                               node->name, node->name);
        else if (nodes[i].status == NODE_UP && str_equal(nodes[i].address, node->address))
            rv = err_set(err, ERR_EXISTS,
                         "member %s is at %s already: start this machine with another --address, "
                         "or remove that one if it is gone (wherry node rm)",
                         nodes[i].name, node->address);
    }
    record_free_list(&node_type, nodes, n);
    return rv;
}

/* After a restore: its content is on a machine of this name. */
static void return_volumes(struct apply *apply, const struct node *node)
{
    struct volume *volumes;
    size_t n;
    store_list(apply->store, TABLE_VOLUME, BY_NONE, 0, &volumes, &n);
    for (size_t i = 0; i < n; i++) {
        struct volume *v = &volumes[i];
        if (v->home_node_id != 0 || !str_equal(str_or_empty(v->home_name), node->name))
            continue;
        free(v->home_name);
        v->home_name = NULL;
        v->home_node_id = node->id;
        apply_put(apply, TABLE_VOLUME, v);
        apply_event(apply, "volume", v->name, "its home is %s again", node->name);
    }
    record_free_list(&volume_type, volumes, n);
}

int node_join(struct apply *apply, const struct node *given, struct err *err)
{
    int rv = node_validate(given, err);
    if (rv == 0)
        rv = node_is_new(apply, given, err);
    if (rv < 0)
        return rv;
    if (apply->store->meta.last_node_id >= NODE_ID_MAX)
        return err_set(err, ERR_NOSPACE, "all %d numbers for members were given out", NODE_ID_MAX);
    struct node node;
    record_copy(&node_type, given, &node);
    if (node.witness && apply->store->meta.last_node_id == 0) {
        record_release(&node_type, &node);
        return err_set(err, ERR_INVALID, "a witness cannot be the first member of a cluster");
    }
    node.id = ++apply->store->meta.last_node_id;
    node.raft_id = 0;
    node.cut_off = false;
    node.status = NODE_UP;
    node.status_ms = node.joined_ms = apply->now_ms;
    node.created_index = 0;
    apply_put(apply, TABLE_NODE, &node);
    apply->made = node.id;
    apply_event(apply, "node", node.name, "joined at %s%s", node.address,
                node.witness ? " as a witness" : "");
    return_volumes(apply, &node);
    record_release(&node_type, &node);
    return 0;
}

int cluster_validate(const struct cluster *cluster, struct err *err)
{
    const char *uuid = str_or_empty(cluster->uuid);
    if (strlen(uuid) != UUID_DIGITS || strspn(uuid, "0123456789abcdef") != UUID_DIGITS)
        return err_set(err, ERR_INVALID, "the cluster's id is not of %d hexadecimal digits",
                       UUID_DIGITS);
    if (cluster->vxlan_id < 1 || cluster->vxlan_id > VXLAN_ID_MAX)
        return err_set(err, ERR_INVALID, "VXLAN id %" PRId64 " is not from 1 to %d",
                       cluster->vxlan_id, VXLAN_ID_MAX);
    if (cluster->keys.generation != 0 && keys_validate(&cluster->keys, err) < 0)
        return err->code;
    return pool_validate(str_or_empty(cluster->pool), err);
}

int apply_cluster_init(struct apply *apply, const struct change_cluster_init *change,
                       struct err *err)
{
    if (store_count(apply->store, TABLE_CLUSTER) > 0)
        return err_set(err, ERR_EXISTS, "this cluster exists already");
    int rv = cluster_validate(&change->cluster, err);
    if (rv < 0)
        return rv;
    struct cluster cluster;
    record_copy(&cluster_type, &change->cluster, &cluster);
    cluster.id = 1;
    cluster.created_ms = apply->now_ms;
    cluster.created_index = 0;
    apply_put(apply, TABLE_CLUSTER, &cluster);
    apply_event(apply, "cluster", cluster.uuid, "started");
    record_release(&cluster_type, &cluster);
    return node_join(apply, &change->node, err);
}

static int join_is_allowed(struct apply *apply, const struct bytes *hash, bool witness,
                           struct err *err)
{
    cleanup_free char *hex = mem_alloc(2 * hash->len + 1, 1);
    hex_encode(hash->data, hash->len, hex);
    struct token token;
    bool known = store_find(apply->store, TABLE_TOKEN, hex, &token) == 0;
    bool joins = known && token.kind == TOKEN_JOIN;
    bool expired = joins && token.expires_ms != 0 && token.expires_ms <= apply->now_ms;
    bool witness_only = joins && token.witness;
    if (known)
        record_release(&token_type, &token);
    if (!joins)
        return err_set(err, ERR_DENIED,
                       "the join token is not known to this cluster; get one with wherry token");
    if (expired)
        return err_set(err, ERR_DENIED,
                       "the join token has expired; get a new one with wherry token");
    if (witness_only && !witness)
        return err_set(err, ERR_DENIED,
                       "this join token is for a witness; start the daemon with --witness, or get "
                       "a token for a member with wherry token");
    return 0;
}

/* Take out the member that @change is to replace, if there is one that is down; volumes that it had
 * are the new one's. One that is up is in the way of the new one, which says so. */
static void take_place(struct apply *apply, const struct change_node_add *change)
{
    struct node node;
    if (!change->replace ||
        store_find(apply->store, TABLE_NODE, str_or_empty(change->node.name), &node) < 0)
        return;
    if (node.status == NODE_DOWN && !same_key(&node, &change->node))
        take_out(apply, &node, apply->store->meta.last_node_id + 1);
    record_release(&node_type, &node);
}

int apply_node_add(struct apply *apply, const struct change_node_add *change, struct err *err)
{
    int rv = join_is_allowed(apply, &change->token_hash, change->node.witness, err);
    int active = store_level(apply->store);
    if (rv == 0 && level_of(change->node.level) < active)
        rv = err_set(err, ERR_UNSUPPORTED,
                     "wherry %.40s on this machine is too old for this cluster: it knows level "
                     "%d, the cluster is at %d; install the members' version",
                     str_or_empty(change->node.version), level_of(change->node.level), active);
    if (rv < 0)
        return rv;
    take_place(apply, change);
    return node_join(apply, &change->node, err);
}

/* --- an existing one ----------------------------------------------------------------------- */

static void set_string(char **to, const char *from)
{
    free(*to);
    *to = str_copy(from);
}

static void set_self(struct node *node, const struct node *given)
{
    struct node copy;
    record_copy(&node_type, given, &copy);
    set_string(&node->address, given->address);
    set_string(&node->version, given->version);
    set_string(&node->os, given->os);
    set_string(&node->arch, given->arch);
    node->level = given->level;
    bytes_set(&node->cert_ca, given->cert_ca.data, given->cert_ca.len);
    node->cert_until_ms = given->cert_until_ms;
    node->call_port = given->call_port;
    node->cpu_milli = given->cpu_milli;
    node->memory_bytes = given->memory_bytes;
    record_free_list(&pair_type, node->labels, node->labels_n);
    node->labels = copy.labels;
    node->labels_n = copy.labels_n;
    copy.labels = NULL;
    copy.labels_n = 0;
    record_free_list(&resource_type, node->resources, node->resources_n);
    node->resources = copy.resources;
    node->resources_n = copy.resources_n;
    copy.resources = NULL;
    copy.resources_n = 0;
    record_release(&node_type, &copy);
}

static int update_node(struct apply *apply, const struct change_node_update *change,
                       struct node *node, struct err *err)
{
    struct node before;
    record_copy(&node_type, node, &before);
    if (change->set_self)
        set_self(node, &change->node);
    if (change->set_availability)
        node->availability = change->node.availability;
    int rv = node_validate(node, err);
    if (rv == 0 && !record_equal(&node_type, node, &before)) {
        apply_put(apply, TABLE_NODE, node);
        if (node->availability != before.availability)
            apply_event(apply, "node", node->name, "set to %s",
                        availability_names[node->availability]);
        if (!str_equal(node->address, before.address))
            apply_event(apply, "node", node->name, "moved to %s", node->address);
    }
    record_release(&node_type, &before);
    return rv;
}

int apply_node_update(struct apply *apply, const struct change_node_update *change, struct err *err)
{
    struct node node;
    int rv = get_node(apply, change->node_id, &node, err);
    if (rv < 0)
        return rv;
    rv = update_node(apply, change, &node, err);
    record_release(&node_type, &node);
    return rv;
}

int apply_node_status(struct apply *apply, const struct change_node_status *change, struct err *err)
{
    struct node node;
    int rv = get_node(apply, change->node_id, &node, err);
    if (rv < 0)
        return rv;
    if (node.status != change->status) {
        node.status = change->status;
        node.status_ms = apply->now_ms;
        apply_put(apply, TABLE_NODE, &node);
        apply_event(apply, "node", node.name, "is %s", node_status_names[node.status]);
    }
    record_release(&node_type, &node);
    return 0;
}

int apply_node_renew(struct apply *apply, const struct change_node_renew *change, struct err *err)
{
    struct node node;
    int rv = get_node(apply, change->node_id, &node, err);
    if (rv < 0)
        return rv;
    struct node other = {.public_key = change->public_key};
    if (!same_key(&node, &other)) {
        rv = err_set(err, ERR_DENIED, "member %s has another key", node.name);
    } else if (apply->store->meta.last_node_id >= NODE_ID_MAX) {
        rv = err_set(err, ERR_NOSPACE, "all %d numbers for members were given out", NODE_ID_MAX);
    } else {
        node.raft_id = ++apply->store->meta.last_node_id;
        node.cut_off = false;
        apply->made = node.raft_id;
        apply_put(apply, TABLE_NODE, &node);
        apply_event(apply, "node", node.name, "lost its log and gets a new one from the others");
    }
    record_release(&node_type, &node);
    return rv;
}
