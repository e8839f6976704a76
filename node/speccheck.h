/* SPDX-License-Identifier: Apache-2.0 */
/*
 * speccheck - whether what a client asks for can be run at all, before anything is done for it.
 *
 * Apply checks specs too, by rules that are the same on every member (store/options.h). Here the
 * member that takes the call does, before it asks a registry; and what only a runtime can judge.
 * Pure; any thread.
 */
#ifndef WHERRY_NODE_SPECCHECK_H
#define WHERRY_NODE_SPECCHECK_H

struct deploy_request;
struct err;

/* ERR_INVALID or ERR_UNSUPPORTED with service and key. */
int speccheck(const struct deploy_request *request, struct err *err);

#endif
