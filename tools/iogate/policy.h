/* SPDX-License-Identifier: MIT */
/*
 * The policies and invalidation modes that a domain may have, by the names that users give them.
 */
#ifndef IOGATE_TOOL_POLICY_H
#define IOGATE_TOOL_POLICY_H

#include <iogate/domain.h>
#include <iogate/iova.h>

/* NULL for an unknown name. */
const struct iog_policy *policy_find(const char *name);

/* The allocator by itself; NULL for an unknown name, and for identity, which has none. */
const struct iog_iova_ops *scheme_find(const char *name);

/* All names, for messages: "tree, magazine, ...". */
const char *policy_names(void);

/* When hardware is made to forget: by name, and the other way round. Returns 0, or -1 for an unknown name. */
int mode_parse(const char *name, enum iog_inval_mode *mode);
const char *mode_name(enum iog_inval_mode mode);

#endif
