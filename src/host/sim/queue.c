/* SPDX-License-Identifier: MIT */
/*
 * Invalidation commands: the ring, their execution, and what a gather becomes. See queue.h; who waits how is in wait.c.
 */
#include <stdlib.h>

#include "internal.h"

/* Beyond this many range commands, forgetting the whole domain is cheaper. */
#define GATHER_COMMANDS_MAX 16
/* A caller whose commands hardware aborts this often gives up. */
#define TRIES_MAX 4

/* A piece of the address space that one command will cover. */
struct run {
	iog_iova_t first;
	iog_iova_t last;
	bool named; /* consists of the gather's own ranges */
};

int iog_sim_queue_init(struct queue *queue, uint32_t size)
{
	queue->ring = calloc(size, sizeof(*queue->ring));
	queue->size = size;
	return queue->ring ? 0 : -IOG_ENOMEM;
}

void iog_sim_queue_fini(struct queue *queue)
{
	free(queue->ring);
	queue->ring = NULL;
}

static void command_event(struct iog_sim *sim, enum event_kind kind, const struct command *command)
{
	struct event *event = history_next(&sim->history);

	*event = (struct event){
		.first = command->first,
		.last = command->last,
		.domain = command->domain->id,
		.kind = (uint8_t)kind,
		.detail = (uint8_t)((command->flags & COMMAND_LEAF_ONLY ? EVENT_LEAF_ONLY : 0) |
				    (command->flags & COMMAND_DOMAIN ? EVENT_DOMAIN : 0) |
				    (command->flags & COMMAND_DEVICE ? EVENT_DEVICE : 0)),
	};
}

/* A device may have left the domain since: then it has forgotten all of it. */
static void execute_device(struct iog_sim *sim, const struct command *command, uint64_t number, bool told)
{
	struct sim_device *device = command->device;
	bool answers = !(command->flags & COMMAND_SILENT);

	if (answers && device->domain == command->domain) {
		if (command->flags & COMMAND_DOMAIN)
			iog_sim_ats_drop_all(device);
		else
			iog_sim_ats_drop(device, command->first, command->last);
	}
	command_event(sim, told && answers ? EVENT_INVALIDATED : EVENT_LOST, command);
	if (told && answers && device->tlb)
		iog_sim_oracle_device_invalidated(command->domain, device->tlb->bit, command->first, command->last, number);
}

static void execute(struct iog_sim *sim, const struct command *command, uint64_t number, bool told)
{
	struct iog_sim_domain *domain = command->domain;

	if (command->flags & COMMAND_DEVICE) {
		execute_device(sim, command, number, told);
		return;
	}
	if (command->flags & COMMAND_DOMAIN) {
		iog_sim_cache_drop_domain(&sim->caches, domain->id);
	} else {
		iog_sim_iotlb_drop_range(&sim->caches, domain->id, command->first, command->last);
		if (!(command->flags & COMMAND_LEAF_ONLY))
			iog_sim_walk_drop_range(&sim->caches, domain->id, domain->geometry, command->first, command->last);
	}
	command_event(sim, told ? EVENT_INVALIDATED : EVENT_LOST, command);
	if (told)
		iog_sim_oracle_invalidated(domain, command->first, command->last, number, command->flags & COMMAND_NAMED);
}

void iog_sim_queue_execute(struct iog_sim *sim, uint64_t number, bool told)
{
	struct queue *queue = &sim->queue;

	while (queue->executed < number) {
		const struct command *command = &queue->ring[queue->executed % queue->size];

		queue->executed++;
		execute(sim, command, queue->executed, told);
	}
}

void iog_sim_queue_drain(struct iog_sim *sim)
{
	iog_sim_queue_execute(sim, sim->queue.submitted, true);
}

void iog_sim_queue_discard(struct iog_sim *sim)
{
	struct queue *queue = &sim->queue;

	for (; queue->executed < queue->submitted; queue->executed++)
		command_event(sim, EVENT_LOST, &queue->ring[queue->executed % queue->size]);
}

static uint64_t command_cost(const struct iog_sim *sim, const struct command *command)
{
	if (command->flags & COMMAND_DEVICE)
		return sim->costs.device_ns;
	return command->flags & COMMAND_DOMAIN ? sim->costs.domain_ns : sim->costs.range_ns;
}

static void command_count(struct iog_sim *sim, uint32_t flags)
{
	if (flags & COMMAND_DEVICE) {
		if (flags & COMMAND_DOMAIN)
			sim->stats.device_all_commands++;
		else
			sim->stats.device_range_commands++;
		return;
	}
	if (flags & COMMAND_DOMAIN)
		sim->stats.domain_commands++;
	else
		sim->stats.range_commands++;
	if (flags & COMMAND_LEAF_ONLY)
		sim->stats.range_leaf_only++;
	else
		sim->stats.walk_cache_flushes++;
}

/* There is room afterwards, unless hardware has stopped taking commands. Returns 0 or -IOG_ETIMEDOUT. */
static int room_make(struct iog_sim *sim)
{
	struct queue *queue = &sim->queue;

	if (!queue->modelled) {
		if (queue->submitted - queue->executed == queue->size)
			iog_sim_queue_drain(sim);
		return 0;
	}
	if (iog_sim_fault_strikes(sim, IOG_SIM_FAULT_QUEUE_FULL)) {
		iog_sim_skip_ns(sim, sim->costs.deadline_ns);
		iog_sim_queue_recover(sim, -IOG_ETIMEDOUT);
		return -IOG_ETIMEDOUT;
	}
	while (queue->submitted - queue->executed == queue->size)
		iog_sim_wait_room(sim);
	return 0;
}

int iog_sim_queue_submit(struct iog_sim *sim, const struct command *command, struct waiter *waiter)
{
	struct queue *queue = &sim->queue;
	int error;

	if (waiter && waiter->outcome)
		return waiter->outcome;
	error = room_make(sim);
	if (waiter && !waiter->outcome)
		waiter->outcome = error;
	/* What came before it may have been lost while it waited for room. */
	if (waiter && waiter->outcome)
		return waiter->outcome;
	if (error) {
		queue->raw_outcome = error;
		return error;
	}

	queue->ring[queue->submitted % queue->size] = *command;
	queue->submitted++;
	if (waiter)
		waiter->last = queue->submitted;
	else
		queue->raw_last = queue->submitted;
	command_event(sim, EVENT_QUEUED, command);
	command_count(sim, command->flags);
	if (queue->timed) {
		uint64_t now = iog_sim_now(sim);

		queue->busy_until = (queue->busy_until > now ? queue->busy_until : now) + command_cost(sim, command);
	}
	return 0;
}

/* Ascending by first address. Few, and mostly in order as they come. */
static void runs_sort(struct run *runs, uint32_t nr)
{
	for (uint32_t i = 1; i < nr; i++) {
		struct run run = runs[i];
		uint32_t at = i;

		for (; at && runs[at - 1].first > run.first; at--)
			runs[at] = runs[at - 1];
		runs[at] = run;
	}
}

/* Join what overlaps or touches. Returns how many are left. */
static uint32_t runs_join(struct run *runs, uint32_t nr)
{
	uint32_t joined = 0;

	for (uint32_t i = 1; i < nr; i++) {
		struct run *last = &runs[joined];

		if (last->last == UINT64_MAX || runs[i].first <= last->last + 1) {
			if (runs[i].last > last->last)
				last->last = runs[i].last;
			last->named &= runs[i].named;
		} else {
			runs[++joined] = runs[i];
		}
	}
	return nr ? joined + 1 : 0;
}

static int submit_domain(struct iog_sim_domain *domain, struct waiter *waiter)
{
	return iog_sim_queue_submit(domain->sim, &(struct command){ domain, NULL, 0, UINT64_MAX, COMMAND_DOMAIN }, waiter);
}

/* The commands that a gather asks for. */
static int submit_gather(struct iog_sim_domain *domain, const struct iog_gather *gather, struct waiter *waiter)
{
	struct run runs[IOG_GATHER_RANGES + IOG_GATHER_TABLES];
	uint32_t flags = gather->nr_tables || gather->walk_caches ? 0 : COMMAND_LEAF_ONLY;
	uint32_t nr = 0;
	int error = 0;

	if (gather->everything)
		return submit_domain(domain, waiter);
	/* In the order that is mostly ascending already: tables are gathered last emptied first, and were left before the ranges. */
	for (uint32_t i = gather->nr_tables; i-- > 0;)
		runs[nr++] = (struct run){ gather->tables[i].span.first, gather->tables[i].span.last, false };
	for (uint32_t i = 0; i < gather->nr_ranges; i++)
		runs[nr++] = (struct run){ gather->ranges[i].first, gather->ranges[i].last, true };
	if (nr > 1) {
		runs_sort(runs, nr);
		nr = runs_join(runs, nr);
	}

	if (nr > GATHER_COMMANDS_MAX)
		return submit_domain(domain, waiter);
	for (uint32_t i = 0; i < nr && !error; i++)
		error = iog_sim_queue_submit(domain->sim,
					     &(struct command){ domain, NULL, runs[i].first, runs[i].last, flags | (runs[i].named ? COMMAND_NAMED : 0) },
					     waiter);
	return error;
}

/* The same for a device's TLB, which holds leaves only: tables are nothing to it. */
static int submit_device(struct iog_sim *sim, struct sim_device *device, const struct iog_gather *gather, struct waiter *waiter)
{
	uint32_t flags = COMMAND_DEVICE;
	int error = 0;

	/* It may have been blocked while the first try waited. */
	if (!device->domain)
		return 0;
	if (device->mute || iog_sim_fault_strikes(sim, IOG_SIM_FAULT_DEVICE_TIMEOUT)) {
		flags |= COMMAND_SILENT;
		waiter->silent = true;
	}
	if (!gather || gather->everything)
		return iog_sim_queue_submit(sim, &(struct command){ device->domain, device, 0, UINT64_MAX, flags | COMMAND_DOMAIN }, waiter);
	for (uint32_t i = 0; i < gather->nr_ranges && !error && device->domain; i++)
		error = iog_sim_queue_submit(sim, &(struct command){ device->domain, device, gather->ranges[i].first, gather->ranges[i].last, flags },
					     waiter);
	return error;
}

static int submit(struct iog_sim *sim, struct iog_sim_domain *domain, struct sim_device *device, const struct iog_gather *gather, struct waiter *waiter)
{
	if (device)
		return submit_device(sim, device, gather, waiter);
	return gather ? submit_gather(domain, gather, waiter) : submit_domain(domain, waiter);
}

static int invalidate(struct iog_sim *sim, struct iog_sim_domain *domain, struct sim_device *device, const struct iog_gather *gather)
{
	int error = 0;

	for (uint32_t tries = 0; tries < TRIES_MAX; tries++) {
		struct waiter waiter;

		iog_sim_waiter_enter(sim, &waiter);
		error = submit(sim, domain, device, gather, &waiter);
		if (!error)
			error = iog_sim_wait(sim, &waiter);
		iog_sim_waiter_leave(sim, &waiter);
		if (error != -IOG_EAGAIN)
			return error;
	}
	return -IOG_EIO;
}

int iog_sim_queue_invalidate(struct iog_sim_domain *domain, const struct iog_gather *gather)
{
	return invalidate(domain->sim, domain, NULL, gather);
}

int iog_sim_queue_invalidate_device(struct iog_sim *sim, struct sim_device *device, const struct iog_gather *gather)
{
	/* Outside a paging domain it remembers nothing; and tables are nothing to it. */
	if (!device->domain || (gather && !gather->everything && !gather->nr_ranges))
		return 0;
	return invalidate(sim, NULL, device, gather);
}
