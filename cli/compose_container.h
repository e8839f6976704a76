/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compose_container - the keys of a service that say what its container may and may not.
 *
 * Reading functions of compose_reader.h's kind; their object is a struct compose_draft, and they
 * fill spec.options. The forms of single values are those of store/options.h, with which a member
 * checks them again.
 */
#ifndef WHERRY_CLI_COMPOSE_CONTAINER_H
#define WHERRY_CLI_COMPOSE_CONTAINER_H

#include "cli/compose_reader.h"
#include "store/options.h"

/* --- helpers (compose_forms.c) --------------------------------------------------------------- */

/* The options of the service that is read. */
struct container_options *compose_options_of(void *object);

/* The text of @node, which must be of @form; NULL after reporting. The caller frees. */
char *compose_form_text(struct reader *r, const struct yaml *node, enum option_form form);

/* Replace *@ret by the text of @node if that is of @form; nothing (null) is no text. */
void compose_read_form(struct reader *r, const struct yaml *node, enum option_form form,
                       char **ret);

/* Append each text of @node, a list or (with @single) one text, to *@list: at most @max, each of
 * @form and none twice. */
void compose_read_forms(struct reader *r, const struct yaml *node, bool single,
                        enum option_form form, size_t max, char ***list, size_t *n);

/* True when @n is less than @max; else reports it. */
bool compose_has_room(struct reader *r, const struct yaml *at, size_t n, size_t max);

/* compose_environment.c: the pairs of a mapping or a list of NAME=VALUE, in the file's order. */
/* Permission bits in octal. */
void compose_read_mode(struct reader *r, const struct yaml *value, int64_t *ret);

void compose_read_pairs(struct reader *r, const struct yaml *value, struct compose_env *ret);

/* --- keys ------------------------------------------------------------------------------------ */

/* compose_namespaces.c */
void compose_read_pid(struct reader *r, const struct yaml *value, void *object);
void compose_read_ipc(struct reader *r, const struct yaml *value, void *object);
void compose_read_uts(struct reader *r, const struct yaml *value, void *object);
void compose_read_userns_mode(struct reader *r, const struct yaml *value, void *object);
void compose_read_cgroup(struct reader *r, const struct yaml *value, void *object);
void compose_read_domainname(struct reader *r, const struct yaml *value, void *object);
void compose_read_isolation(struct reader *r, const struct yaml *value, void *object);

/* compose_process.c */
void compose_read_init(struct reader *r, const struct yaml *value, void *object);
void compose_read_stdin_open(struct reader *r, const struct yaml *value, void *object);
void compose_read_tty(struct reader *r, const struct yaml *value, void *object);
void compose_read_group_add(struct reader *r, const struct yaml *value, void *object);
void compose_read_runtime(struct reader *r, const struct yaml *value, void *object);
void compose_read_platform(struct reader *r, const struct yaml *value, void *object);
void compose_read_pull_policy(struct reader *r, const struct yaml *value, void *object);
void compose_read_annotations(struct reader *r, const struct yaml *value, void *object);
void compose_read_storage_opt(struct reader *r, const struct yaml *value, void *object);

/* compose_security.c */
void compose_read_cap_add(struct reader *r, const struct yaml *value, void *object);
void compose_read_cap_drop(struct reader *r, const struct yaml *value, void *object);
void compose_read_privileged(struct reader *r, const struct yaml *value, void *object);
void compose_read_security_opt(struct reader *r, const struct yaml *value, void *object);
void compose_read_sysctls(struct reader *r, const struct yaml *value, void *object);

/* compose_limits.c */
void compose_read_shm_size(struct reader *r, const struct yaml *value, void *object);
void compose_read_ulimits(struct reader *r, const struct yaml *value, void *object);
void compose_read_cpuset(struct reader *r, const struct yaml *value, void *object);
void compose_read_cpu_shares(struct reader *r, const struct yaml *value, void *object);
void compose_read_cpu_period(struct reader *r, const struct yaml *value, void *object);
void compose_read_cpu_quota(struct reader *r, const struct yaml *value, void *object);
void compose_read_memswap_limit(struct reader *r, const struct yaml *value, void *object);
void compose_read_mem_swappiness(struct reader *r, const struct yaml *value, void *object);
void compose_read_oom_kill_disable(struct reader *r, const struct yaml *value, void *object);
void compose_read_oom_score_adj(struct reader *r, const struct yaml *value, void *object);
/* cpu_period and cpu_quota become a number of CPUs. */
void compose_settle_limits(struct reader *r, struct compose_draft *draft);

/* compose_blkio.c */
void compose_read_blkio_config(struct reader *r, const struct yaml *value, void *object);

/* compose_devices.c */
void compose_read_devices(struct reader *r, const struct yaml *value, void *object);
void compose_read_device_rules(struct reader *r, const struct yaml *value, void *object);

/* compose_tmpfs.c */
void compose_read_tmpfs(struct reader *r, const struct yaml *value, void *object);
/* A mount of type tmpfs: its target (absolute), whether it is read-only, its tmpfs: or NULL. */
void compose_add_tmpfs(struct reader *r, struct compose_draft *draft, const struct yaml *at,
                       const char *target, bool read_only, const struct yaml *details);

/* compose_dns.c */
void compose_read_dns(struct reader *r, const struct yaml *value, void *object);
void compose_read_dns_search(struct reader *r, const struct yaml *value, void *object);
void compose_read_dns_opt(struct reader *r, const struct yaml *value, void *object);
void compose_read_extra_hosts(struct reader *r, const struct yaml *value, void *object);

/* compose_logging.c */
void compose_read_logging(struct reader *r, const struct yaml *value, void *object);

#endif
