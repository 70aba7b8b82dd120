/* SPDX-License-Identifier: MIT */
/*
 * See attacker.h.
 */
#include "attacker.h"

#include <stdlib.h>

#include "memory.h"
#include "size.h"

void attacker_init(struct attacker *attacker, uint64_t seed)
{
	*attacker = (struct attacker){ .random = { seed } };
	users_init(&attacker->known);
}

void attacker_fini(struct attacker *attacker)
{
	users_fini(&attacker->known);
	free(attacker->seen);
}

void attacker_sees(struct attacker *attacker, uint64_t iova, uint64_t size)
{
	/* Once is enough: at most the first mapping there was shorter than others. */
	if (!users_change(&attacker->known, iova / SIZE_4K, true))
		return;
	if (attacker->nr_seen == attacker->room) {
		attacker->room = attacker->room ? attacker->room * 2 : 1024;
		attacker->seen = memory_resize(attacker->seen, attacker->room, sizeof(*attacker->seen));
	}
	attacker->seen[attacker->nr_seen].iova = iova;
	attacker->seen[attacker->nr_seen++].pages = (size + SIZE_4K - 1) / SIZE_4K;
}

void attacker_strikes(struct attacker *attacker, struct iog_sim *sim, uint32_t device, uint32_t count)
{
	uint64_t number, iova, which;

	for (uint32_t i = 0; i < count && attacker->nr_seen; i++) {
		number = random_next(&attacker->random);
		which = random_below(&attacker->random, attacker->nr_seen);
		iova = attacker->seen[which].iova + SIZE_4K * random_below(&attacker->random, attacker->seen[which].pages) + (number & (SIZE_4K - 1));
		attacker->accesses++;
		attacker->landed += !iog_sim_device_translate(sim, device, iova, number >> 63 ? IOG_PROT_WRITE : IOG_PROT_READ, NULL);
	}
}
