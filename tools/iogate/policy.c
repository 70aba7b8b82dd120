/* SPDX-License-Identifier: MIT */
/*
 * See policy.h.
 */
#include "policy.h"

#include <string.h>

static const struct {
	const char *name;
	const struct iog_policy *policy;
	const struct iog_iova_ops *scheme;
} policies[] = {
	{ "tree", &iog_policy_tree, &iog_iova_tree },
	{ "magazine", &iog_policy_magazine, &iog_iova_magazine },
	{ "pooled", &iog_policy_pooled, &iog_iova_pooled },
	{ "identity", &iog_policy_identity, NULL },
	{ "window", &iog_policy_window, &iog_iova_window },
};

#define NR_POLICIES (sizeof(policies) / sizeof(policies[0]))

const struct iog_policy *policy_find(const char *name)
{
	for (size_t i = 0; i < NR_POLICIES; i++) {
		if (!strcmp(policies[i].name, name))
			return policies[i].policy;
	}
	return NULL;
}

const struct iog_iova_ops *scheme_find(const char *name)
{
	for (size_t i = 0; i < NR_POLICIES; i++) {
		if (!strcmp(policies[i].name, name))
			return policies[i].scheme;
	}
	return NULL;
}

static const char *const modes[] = {
	[IOG_INVAL_STRICT] = "strict",
	[IOG_INVAL_DEFERRED] = "deferred",
	[IOG_INVAL_HELD] = "held",
};

int mode_parse(const char *name, enum iog_inval_mode *mode)
{
	for (uint32_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!strcmp(modes[i], name)) {
			*mode = (enum iog_inval_mode)i;
			return 0;
		}
	}
	return -1;
}

const char *mode_name(enum iog_inval_mode mode)
{
	return modes[mode];
}

const char *policy_names(void)
{
	return "tree, magazine, pooled, identity, window";
}
