/* SPDX-License-Identifier: Apache-2.0 */
/* The file of the other members. */
#include "node/peers.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct peers three(void)
{
    struct node nodes[3] = {
        {.id = 1, .name = (char[]){"a"}, .address = (char[]){"10.0.0.1:7400"}},
        {.id = 2, .name = (char[]){"b"}, .address = (char[]){"10.0.0.2:7400"}},
        {.id = 3, .name = (char[]){"c"}, .address = (char[]){"10.0.0.3:7400"}},
    };
    static unsigned char key[] = {1, 2, 3};
    for (size_t i = 0; i < 3; i++)
        nodes[i].public_key = (struct bytes){key, sizeof(key)};
    struct peers peers;
    peers_from_nodes(nodes, 3, 2, &peers);
    return peers;
}

static void it_is_read_as_written(void **state)
{
    (void)state;
    char dir[] = "/tmp/wherry-peers-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct peers peers = three();
    struct peers back;
    struct err err;
    assert_int_equal(peers_load(dir, &back, &err), ERR_NOTFOUND);
    assert_int_equal(peers.members_n, 2);
    assert_int_equal(peers.members[1].id, 3);
    assert_int_equal(peers_save(dir, &peers, &err), 0);
    assert_int_equal(peers_load(dir, &back, &err), 0);
    assert_true(record_equal(&peers_type, &peers, &back));
    record_release(&peers_type, &back);
    record_release(&peers_type, &peers);
    assert_int_equal(file_remove_tree(dir, &err), 0);
}

static void every_damaged_byte_is_found(void **state)
{
    (void)state;
    struct peers peers = three();
    struct peers back;
    struct buf data = BUF_INIT;
    struct err err;
    peers_encode(&peers, &data);
    for (size_t i = 0; i < data.len; i++) {
        data.data[i] ^= 1;
        assert_int_not_equal(peers_decode(data.data, data.len, &back, &err), 0);
        data.data[i] ^= 1;
        assert_int_equal(peers_decode(data.data, i, &back, &err), ERR_CORRUPT);
    }
    data.data[4] = 9;
    assert_int_equal(peers_decode(data.data, data.len, &back, &err), ERR_UNSUPPORTED);
    buf_release(&data);
    record_release(&peers_type, &peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_read_as_written),
        cmocka_unit_test(every_damaged_byte_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
