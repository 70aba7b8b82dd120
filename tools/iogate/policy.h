/* SPDX-License-Identifier: MIT */
/*
 * The policies that a domain may have, by the names that users give them.
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

#endif
