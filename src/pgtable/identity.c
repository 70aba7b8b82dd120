/* SPDX-License-Identifier: MIT */
/*
 * Dynamic 1:1 entries, for formats that have bits to count users with (template/identity.h).
 */
#include "identity.h"

uint32_t iog_pgtable_identity_users(const struct iog_pgtable *pt)
{
	return pt->ops->identity_users;
}

int iog_pgtable_identity_map(struct iog_pgtable *pt, iog_paddr_t paddr, uint64_t size, uint32_t prot, uint64_t stamp, struct iog_gather *gather, bool *stale)
{
	*stale = false;
	if (!pt->ops->identity_users)
		return -IOG_EOPNOTSUPP;
	return pt->ops->identity_map(pt, paddr, size, prot, stamp, gather, stale);
}

int iog_pgtable_identity_unmap(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint64_t stamp, struct iog_gather *gather, bool *stale)
{
	*stale = false;
	if (!pt->ops->identity_users)
		return -IOG_EOPNOTSUPP;
	return pt->ops->identity_unmap(pt, iova, size, stamp, gather, stale);
}

void iog_pgtable_identity_retire(struct iog_pgtable *pt, iog_iova_t iova, uint64_t size, uint64_t stamp, struct iog_gather *gather)
{
	if (pt->ops->identity_users)
		pt->ops->identity_retire(pt, iova, size, stamp, gather);
}
