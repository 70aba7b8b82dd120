/* SPDX-License-Identifier: MIT */
/*
 * Static 1:1: memory that is mapped once, where it is. No device is attached yet.
 */
#include "static.h"

int iog_domain_map_memory(struct iog_domain *domain, const struct iog_memory *memory, uint32_t nr)
{
	for (uint32_t n = 0; n < nr; n++) {
		int error = iog_pgtable_map(domain->pgtable, memory[n].paddr, memory[n].paddr, memory[n].size, memory[n].prot, &domain->lanes[0].gather);

		if (error)
			return error == -IOG_EEXIST ? -IOG_EINVAL : error;
	}
	return 0;
}
