/* SPDX-License-Identifier: MIT */
/*
 * The public calls of the simulated IOMMU: each takes the unit's lock, does its work in the other files of this directory, and lets go.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define IOTLB_ENTRIES_DEFAULT 256
#define WAYS_DEFAULT 4
#define QUEUE_ENTRIES_DEFAULT 256
#define DEADLINE_DEFAULT UINT64_C(1000000000)
/* Entries of a cache, slots of the queue: far beyond any hardware. */
#define CONFIG_ENTRIES_MAX (1u << 20)

#define SIM_FLAGS (IOG_SIM_NO_ORACLE | IOG_SIM_REVIVAL | IOG_SIM_OWN_WAITS | IOG_SIM_EXPOSURE | IOG_SIM_REUSE_COUNTED)

static const uint32_t walk_entries_default[WALK_CACHE_LEVELS] = { 64, 32, 16, 16, 16 };

static bool power_of_two(uint32_t number)
{
	return number && !(number & (number - 1));
}

int iog_sim_cache_create(struct cache *cache, uint32_t entries, uint32_t ways)
{
	if (!ways)
		ways = entries < WAYS_DEFAULT ? entries : WAYS_DEFAULT;
	if (!power_of_two(entries) || !power_of_two(ways) || ways > entries || entries > CONFIG_ENTRIES_MAX)
		return -IOG_EINVAL;
	return iog_sim_cache_init(cache, entries, ways);
}

static void sim_free(struct iog_sim *sim)
{
	iog_sim_unit_fini(sim);
	iog_sim_devices_fini(sim);
	iog_sim_cache_fini(&sim->caches.iotlb);
	for (uint32_t n = 0; n < WALK_CACHE_LEVELS; n++)
		iog_sim_cache_fini(&sim->caches.walk[n]);
	iog_sim_queue_fini(&sim->queue);
	iog_sim_pagemap_fini(&sim->tables.known);
	iog_sim_exposure_fini(&sim->exposure);
	iog_sim_shadow_fini(&sim->shadow);
	free(sim);
}

static int sim_configure(struct iog_sim *sim, const struct iog_sim_config *config)
{
	int error;

	error = iog_sim_cache_create(&sim->caches.iotlb, config->iotlb_entries ? config->iotlb_entries : IOTLB_ENTRIES_DEFAULT, config->iotlb_ways);
	if (error)
		return error;
	for (uint32_t n = 0; n < WALK_CACHE_LEVELS; n++) {
		error = iog_sim_cache_create(&sim->caches.walk[n], config->walk_entries[n] ? config->walk_entries[n] : walk_entries_default[n],
					     config->walk_level_ways[n] ? config->walk_level_ways[n] : config->walk_ways);
		if (error)
			return error;
	}
	sim->costs = (struct sim_costs){
		.wait_ns = config->wait_ns,
		.wait_jitter_ns = config->wait_jitter_ns,
		.range_ns = config->range_ns,
		.domain_ns = config->domain_ns,
		.device_ns = config->device_ns,
		.deadline_ns = config->deadline_ns ? config->deadline_ns : DEADLINE_DEFAULT,
	};
	sim->costs.device_deadline_ns = config->device_deadline_ns ? config->device_deadline_ns : sim->costs.deadline_ns;
	sim->queue.timed = config->wait_ns || config->wait_jitter_ns || config->range_ns || config->domain_ns || config->device_ns;
	sim->queue.modelled = sim->queue.timed;
	sim->queue.shared = !(config->flags & IOG_SIM_OWN_WAITS);
	sim->queue.random = config->seed;
	error = iog_sim_queue_init(&sim->queue, config->queue_entries ? config->queue_entries : QUEUE_ENTRIES_DEFAULT);
	if (error)
		return error;
	error = iog_sim_pagemap_init(&sim->tables.known);
	if (error)
		return error;
	if (config->pgtable_flags & IOG_PGTABLE_NONCOHERENT) {
		error = iog_sim_shadow_init(&sim->shadow);
		if (error)
			return error;
	}
	sim->exposure.measuring = config->flags & IOG_SIM_EXPOSURE;
	sim->exposure.reuse_counted = config->flags & IOG_SIM_REUSE_COUNTED;
	return sim->exposure.measuring ? iog_sim_exposure_init(&sim->exposure) : 0;
}

/* Exposure is what the judge sees; reuse is counted as a part of it. */
static bool flags_valid(uint32_t flags)
{
	if (flags & ~(uint32_t)SIM_FLAGS)
		return false;
	if (flags & IOG_SIM_EXPOSURE && flags & IOG_SIM_NO_ORACLE)
		return false;
	return !(flags & IOG_SIM_REUSE_COUNTED) || flags & IOG_SIM_EXPOSURE;
}

int iog_sim_create(const struct iog_platform *platform, const struct iog_sim_config *config, struct iog_sim **result)
{
	static const struct iog_sim_config defaults;
	struct iog_sim *sim;
	int error;

	if (!config)
		config = &defaults;
	if (!flags_valid(config->flags) || config->queue_entries > CONFIG_ENTRIES_MAX || config->domain_ids >= CONFIG_ENTRIES_MAX)
		return -IOG_EINVAL;

	sim = aligned_alloc(_Alignof(struct iog_sim), sizeof(*sim));
	if (!sim)
		return -IOG_ENOMEM;
	memset(sim, 0, sizeof(*sim));
	error = sim_configure(sim, config);
	if (error) {
		sim_free(sim);
		return error;
	}
	sim->direct_map_offset = platform->direct_map_offset;
	sim->judging = !(config->flags & IOG_SIM_NO_ORACLE);
	sim->revival = config->flags & IOG_SIM_REVIVAL;
	sim->caches_absent = config->pgtable_flags & IOG_PGTABLE_FLUSH_ON_MAP;
	sim->now_ns = platform->now_ns;
	sim->clock_ctx = platform->ctx;
	sim->as_unit = *config;
	sim->violation = config->violation;
	sim->violation_ctx = config->violation_ctx;
	*result = sim;
	return 0;
}

void iog_sim_destroy(struct iog_sim *sim)
{
	if (sim)
		sim_free(sim);
}

void iog_sim_observe(struct iog_sim *sim, struct iog_platform *platform)
{
	if (sim->judging)
		iog_sim_tables_observe(sim, platform);
}

/* The unit knows formats by name; what else it is told of a table has to fit them. */
static bool domain_shape(struct iog_sim_domain *domain, const struct iog_pgtable_root *root)
{
	const struct walk_format *format = iog_sim_walk_format(root->format);

	if (!format || root->levels < format->levels_min || root->levels > format->levels_max || root->ias > 64 || root->oas < 32 ||
	    root->oas > format->oas_max)
		return false;
	domain->geometry = (struct walk_geometry){ format->granule_shift, format->level_bits };
	/* Not more bits than the root has room for, and not so few that it has none; a root that may be wide serves what a level more would. */
	if (root->ias > walk_shift(domain->geometry, root->levels) + format->root_bits || root->ias <= walk_shift(domain->geometry, root->levels - 1))
		return false;
	domain->format = format;
	domain->root = root->paddr;
	domain->levels = root->levels;
	domain->ias = root->ias;
	domain->sign_extended = root->flags & IOG_PGTABLE_SIGN_EXTENDED;
	domain->paddr_last = (UINT64_C(1) << root->oas) - 1;
	return true;
}

int iog_sim_domain_create(struct iog_sim *sim, uint32_t id, const struct iog_pgtable_root *root, struct iog_sim_domain **result)
{
	struct iog_sim_domain *domain = calloc(1, sizeof(*domain));
	int error = 0;

	if (!domain)
		return -IOG_ENOMEM;
	domain->sim = sim;
	domain->id = id;
	if (!domain_shape(domain, root))
		error = -IOG_EOPNOTSUPP;
	else
		error = iog_sim_oracle_init(domain);
	if (error) {
		iog_sim_oracle_fini(domain);
		free(domain);
		return error;
	}

	sim_lock(sim);
	for (const struct iog_sim_domain *other = sim->domains; other; other = other->next) {
		if (other->id == id)
			error = -IOG_EBUSY;
	}
	if (!error) {
		domain->next = sim->domains;
		sim->domains = domain;
	} else {
		iog_sim_oracle_fini(domain);
	}
	sim_unlock(sim);

	if (error)
		free(domain);
	else
		*result = domain;
	return error;
}

void iog_sim_domain_destroy(struct iog_sim_domain *domain)
{
	struct iog_sim_domain **link;
	struct iog_sim *sim;

	if (!domain)
		return;
	sim = domain->sim;
	sim_lock(sim);
	/* Commands that are queued may name it. */
	iog_sim_wait_idle(sim);
	iog_sim_cache_drop_domain(&sim->caches, domain->id);
	iog_sim_devices_leave(domain);
	for (link = &sim->domains; *link != domain; link = &(*link)->next)
		;
	*link = domain->next;
	iog_sim_oracle_fini(domain);
	sim_unlock(sim);
	free(domain);
}

bool iog_sim_access_end(struct iog_sim_domain *domain, iog_iova_t iova, uint32_t size, uint32_t prot, const struct walk *walk, iog_paddr_t *paddr)
{
	struct iog_sim *sim = domain->sim;
	struct event *event;

	if (prot & IOG_PROT_WRITE)
		sim->stats.writes++;
	else
		sim->stats.reads++;
	if (walk->fault != WALK_OK)
		sim->stats.faults++;

	event = history_next(&sim->history);
	event->first = iova;
	event->last = iova;
	event->paddr = walk->paddr;
	event->table = walk->table;
	event->domain = domain->id;
	event->kind = EVENT_ACCESS;
	event->prot = (uint8_t)prot;
	event->source = (uint8_t)walk->source;
	event->detail = (uint8_t)walk->fault;

	if (sim->judging)
		iog_sim_judge_access(domain, iova, size, prot, walk);
	*paddr = walk->paddr;
	return walk->fault == WALK_OK;
}

bool iog_sim_access(struct iog_sim_domain *domain, iog_iova_t iova, uint32_t size, uint32_t prot, iog_paddr_t *paddr)
{
	struct walk walk;

	iog_sim_walk_device(domain, iova, prot, &walk);
	return iog_sim_access_end(domain, iova, size, prot, &walk, paddr);
}

int iog_sim_translate(struct iog_sim_domain *domain, iog_iova_t iova, uint32_t prot, iog_paddr_t *paddr)
{
	iog_paddr_t landed_at;
	bool landed;

	if (!prot || prot & ~(uint32_t)(IOG_PROT_READ | IOG_PROT_WRITE))
		return -IOG_EINVAL;
	sim_lock(domain->sim);
	landed = iog_sim_access(domain, iova, 1, prot, &landed_at);
	sim_unlock(domain->sim);
	if (!landed)
		return -IOG_EFAULT;
	if (paddr)
		*paddr = landed_at;
	return 0;
}

/*
 * The device's side of memory is shared with whoever else has it: whole words where they are aligned, bytes at the ends, none of them
 * torn.
 */
static void move_bytes(void *memory, void *buffer, size_t size, bool to_memory)
{
	uint8_t *at = memory;
	uint8_t *bytes = buffer;

	while (size) {
		if (!((uintptr_t)at & 7) && size >= 8) {
			uint64_t word;

			if (to_memory) {
				memcpy(&word, bytes, 8);
				__atomic_store_n((uint64_t *)(void *)at, word, __ATOMIC_RELAXED);
			} else {
				word = __atomic_load_n((const uint64_t *)(void *)at, __ATOMIC_RELAXED);
				memcpy(bytes, &word, 8);
			}
			at += 8;
			bytes += 8;
			size -= 8;
		} else {
			if (to_memory)
				__atomic_store_n(at, *bytes, __ATOMIC_RELAXED);
			else
				*bytes = __atomic_load_n(at, __ATOMIC_RELAXED);
			at++;
			bytes++;
			size--;
		}
	}
}

void iog_sim_move(struct iog_sim *sim, iog_paddr_t paddr, void *buffer, size_t size, uint32_t prot)
{
	move_bytes((void *)(uintptr_t)(paddr + sim->direct_map_offset), buffer, size, prot == IOG_PROT_WRITE);
}

int iog_sim_dma(struct iog_sim_domain *domain, iog_iova_t iova, void *buffer, size_t size, uint32_t prot, size_t *done)
{
	struct iog_sim *sim = domain->sim;
	size_t moved = 0;
	int error = 0;

	if ((prot != IOG_PROT_READ && prot != IOG_PROT_WRITE) || (size && iova + (size - 1) < iova))
		return -IOG_EINVAL;
	while (moved < size) {
		size_t part = SIM_PAGE_SIZE - ((iova + moved) & (SIM_PAGE_SIZE - 1));
		iog_paddr_t paddr;

		if (part > size - moved)
			part = size - moved;
		sim_lock(sim);
		if (iog_sim_access(domain, iova + moved, (uint32_t)part, prot, &paddr))
			iog_sim_move(sim, paddr, (uint8_t *)buffer + moved, part, prot);
		else
			error = -IOG_EFAULT;
		sim_unlock(sim);
		if (error)
			break;
		moved += part;
	}
	if (done)
		*done = moved;
	return error;
}

int iog_sim_inval_range(struct iog_sim_domain *domain, iog_iova_t first, iog_iova_t last, bool leaf_only)
{
	struct command command = { domain, NULL, first, last, COMMAND_NAMED | (leaf_only ? COMMAND_LEAF_ONLY : 0) };
	int error;

	sim_lock(domain->sim);
	error = iog_sim_queue_submit(domain->sim, &command, NULL);
	sim_unlock(domain->sim);
	return error;
}

int iog_sim_inval_domain(struct iog_sim_domain *domain)
{
	struct command command = { domain, NULL, 0, UINT64_MAX, COMMAND_DOMAIN };
	int error;

	sim_lock(domain->sim);
	error = iog_sim_queue_submit(domain->sim, &command, NULL);
	sim_unlock(domain->sim);
	return error;
}

int iog_sim_inval_wait(struct iog_sim *sim)
{
	struct waiter waiter;
	int error;

	sim_lock(sim);
	iog_sim_waiter_enter(sim, &waiter);
	error = iog_sim_wait(sim, &waiter);
	iog_sim_waiter_leave(sim, &waiter);
	if (error == -IOG_EAGAIN)
		error = -IOG_EIO;
	if (!error)
		error = sim->queue.raw_outcome;
	sim->queue.raw_outcome = 0;
	sim_unlock(sim);
	return error;
}

int iog_sim_flush(const struct iog_gather *gather, void *ctx)
{
	struct iog_sim_domain *domain = ctx;
	struct iog_sim *sim = domain->sim;
	int error;

	sim_lock(sim);
	error = iog_sim_queue_invalidate(domain, gather);
	sim_unlock(sim);
	return error;
}

static void note_event(struct iog_sim_domain *domain, enum event_kind kind, iog_iova_t iova, iog_paddr_t paddr, uint64_t size,
		       uint32_t prot)
{
	*history_next(&domain->sim->history) = (struct event){
		.first = iova,
		.last = iova + (size - 1),
		.paddr = paddr,
		.domain = domain->id,
		.kind = (uint8_t)kind,
		.prot = (uint8_t)prot,
	};
}

void iog_sim_note_map(struct iog_sim_domain *domain, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint32_t prot)
{
	struct iog_sim *sim = domain->sim;

	if (!sim->judging || !size)
		return;
	sim_lock(sim);
	note_event(domain, EVENT_MAP, iova, paddr, size, prot);
	iog_sim_oracle_map(domain, iova, paddr, size, prot);
	sim_unlock(sim);
}

uint64_t iog_sim_note_unmap(struct iog_sim_domain *domain, iog_iova_t iova, uint64_t size)
{
	struct iog_sim *sim = domain->sim;
	uint64_t ticket;

	if (!sim->judging || !size)
		return 0;
	sim_lock(sim);
	note_event(domain, EVENT_UNMAP, iova, 0, size, 0);
	ticket = iog_sim_exposure_ticket(sim);
	iog_sim_oracle_unmap(domain, iova, size);
	sim_unlock(sim);
	return ticket;
}

void iog_sim_note_reuse(struct iog_sim *sim, iog_paddr_t paddr, uint64_t size)
{
	if (!sim->judging || !size)
		return;
	sim_lock(sim);
	iog_sim_judge_reuse(sim, paddr, paddr + (size - 1));
	sim_unlock(sim);
}

void iog_sim_history(struct iog_sim_domain *domain, iog_iova_t iova, FILE *stream)
{
	struct iog_sim *sim = domain->sim;
	bool locked = iog_sim_reporting(sim);

	if (!locked)
		sim_lock(sim);
	iog_sim_history_print(sim, domain->id, iova, stream);
	if (!locked)
		sim_unlock(sim);
}
