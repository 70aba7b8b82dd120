/* SPDX-License-Identifier: MIT */
/*
 * Misbehaviour on demand. See faults.h; what each kind does is in wait.c and queue.c.
 */
#include "internal.h"

bool iog_sim_fault_strikes(struct iog_sim *sim, enum iog_sim_fault_kind kind)
{
	struct fault *fault = &sim->faults.kinds[kind];

	if (!fault->count)
		return false;
	if (fault->after) {
		fault->after--;
		return false;
	}
	if (fault->count != UINT64_MAX)
		fault->count--;
	sim->stats.faults_injected[kind]++;
	return true;
}

int iog_sim_misbehave(struct iog_sim *sim, enum iog_sim_fault_kind kind, uint64_t after, uint64_t count)
{
	if ((unsigned int)kind >= IOG_SIM_FAULT_KINDS)
		return -IOG_EINVAL;
	sim_lock(sim);
	sim->faults.kinds[kind] = (struct fault){ after, count };
	/* Once on the long way, always: somebody may be waiting there. */
	if (count)
		sim->queue.modelled = true;
	sim_unlock(sim);
	return 0;
}
