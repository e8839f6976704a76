/* SPDX-License-Identifier: Apache-2.0 */
#include "node/log_state.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/identity.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VERSION = 1,
    BYTES_MAX = 256,
    ASIDE_MAX = 2,
};

static const char *const kinds[] = {"new", "kept", "repair"};

int log_state_load(const char *data_dir, const struct identity *identity,
                   struct log_state *ret_state, struct err *err)
{
    cleanup_free char *path = str_printf("%s/identity/raft", data_dir);
    cleanup_buf struct buf text = BUF_INIT;
    struct log_state state = {.raft_id = identity_node_id(identity), .kind = LOG_NEW};
    char cluster[64], kind[16];
    int version = 0, end = 0;
    int64_t node = 0, raft = 0;
    *ret_state = state;
    if (!file_exists(path))
        return 0;
    int rv = file_read(path, BYTES_MAX, &text, err);
    if (rv < 0 && rv != ERR_TOOBIG)
        return rv;
    int n = sscanf(str_or_empty(text.data), "wherry-raft %d %63s %" SCNd64 " %" SCNd64 " %15s%n",
                   &version, cluster, &node, &raft, kind, &end);
    if (n >= 1 && version != VERSION)
        return err_set(err, ERR_UNSUPPORTED, "%s has version %d and this build knows %d", path,
                       version, VERSION);
    if (n != 5 || raft <= 0 || strcmp(text.data + end, "\n") != 0)
        return err_set(err, ERR_CORRUPT, "%s is damaged", path);
    if (!str_equal(cluster, identity_cluster(identity)) || node != state.raft_id)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (str_equal(kind, kinds[i])) {
            *ret_state = (struct log_state){
                .raft_id = raft, .kind = (enum log_state_kind)i, .written = true};
            return 0;
        }
    return err_set(err, ERR_CORRUPT, "%s is damaged: '%s' is no state of a log", path, kind);
}

int log_state_save(const char *data_dir, const struct identity *identity, int64_t raft_id,
                   enum log_state_kind kind, struct err *err)
{
    cleanup_free char *path = str_printf("%s/identity/raft", data_dir);
    cleanup_free char *text =
        str_printf("wherry-raft %d %s %" PRId64 " %" PRId64 " %s\n", VERSION,
                   identity_cluster(identity), identity_node_id(identity), raft_id, kinds[kind]);
    return file_write(path, text, strlen(text), 0600, err);
}

/* How many raft.damaged-N there are, and the lowest and highest N. */
static int count_aside(const char *data_dir, int *ret_lowest, int *ret_highest)
{
    DIR *dir = opendir(data_dir);
    int n = 0;
    *ret_lowest = INT_MAX;
    *ret_highest = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        int number, end = 0;
        if (sscanf(e->d_name, "raft.damaged-%9d%n", &number, &end) != 1 || e->d_name[end] ||
            number < 1)
            continue;
        n++;
        *ret_lowest = number < *ret_lowest ? number : *ret_lowest;
        *ret_highest = number > *ret_highest ? number : *ret_highest;
    }
    if (dir)
        closedir(dir);
    return n;
}

/* Remove the oldest until @keep are left. */
static int remove_aside(const char *data_dir, int keep, struct err *err)
{
    int lowest, highest;
    while (count_aside(data_dir, &lowest, &highest) > keep) {
        cleanup_free char *oldest = str_printf("%s/raft.damaged-%d", data_dir, lowest);
        if (file_remove_tree(oldest, err) < 0)
            return err->code;
    }
    return 0;
}

int log_state_forget(const char *data_dir, struct err *err)
{
    return remove_aside(data_dir, 0, err);
}

int log_state_set_aside(const char *data_dir, char **ret_aside, struct err *err)
{
    cleanup_free char *raft = str_printf("%s/raft", data_dir);
    int lowest, highest;
    *ret_aside = NULL;
    if (!file_exists(raft))
        return 0;
    if (remove_aside(data_dir, ASIDE_MAX - 1, err) < 0)
        return err->code;
    count_aside(data_dir, &lowest, &highest);
    char *aside = str_printf("%s/raft.damaged-%d", data_dir, highest + 1);
    if (rename(raft, aside) < 0 || file_sync_dir(data_dir, err) < 0) {
        int rv = err_errno(err, errno, "rename %s to %s", raft, aside);
        free(aside);
        return rv;
    }
    *ret_aside = aside;
    return 0;
}
