/* SPDX-License-Identifier: Apache-2.0 */
/* shim_answer - what a shim says on its status pipe once it has started (runtime/shim/protocol.h).
 */
#ifndef WHERRY_RUNTIME_SHIM_ANSWER_H
#define WHERRY_RUNTIME_SHIM_ANSWER_H

struct err;

/* Wait for the answer on @fd. 0: the program runs. ERR_FAILED: it does not, with the shim's reason
 * or the one in the OCI runtime's log @oci_log; ERR_TIMEOUT. */
int shim_answer_read(int fd, const char *oci_log, struct err *err);

#endif
