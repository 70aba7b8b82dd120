/* SPDX-License-Identifier: MIT */
/*
 * The device directory (3.1): one to three levels of pages, the lowest of device contexts.
 *
 * A context changes in place where that is possible (../entry.h). Where it is not, its page is copied, changed, and the word that points to the page
 * stored; the old page goes when hardware has forgotten where it was. Neighbours in that page are the same in both. So there are always two levels or
 * more; only a unit that walks no more than one is shown the page of contexts alone (riscv.c). It has no such word, nor may ddtp change while it
 * translates (6.5): there the context goes by "not valid", and the steps from there.
 *
 * Locking: context_lock over stores; see riscv.h. Contexts are changed by one lane at a time, but for device_block(), which makes any invalid, by its
 * first word.
 */
#include "riscv.h"

#define PAGE_BYTES 4096u
#define PAGE_WORDS (PAGE_BYTES / 8)

typedef _Atomic uint64_t word_t;

static uint32_t nr_devices(const struct iog_riscv *riscv)
{
	return UINT32_C(1) << riscv->config.device_bits;
}

/* Where a device is in a page of a level; 0 holds the contexts. */
static uint32_t index_at(const struct iog_riscv *riscv, uint32_t device, uint32_t level)
{
	if (!level)
		return device & ((1u << riscv->leaf_bits) - 1);
	return device >> (riscv->leaf_bits + 9 * (level - 1)) & 0x1ff;
}

static word_t *page_behind(const struct iog_riscv *riscv, uint64_t entry)
{
	return (word_t *)(uintptr_t)(((entry & PPN_MASK) << 2) + riscv->platform->direct_map_offset);
}

/* The word that points to the device's page of contexts; NULL where a page on the way is missing. */
static word_t *pointer_of(const struct iog_riscv *riscv, uint32_t device)
{
	word_t *page = (word_t *)riscv->root;

	for (uint32_t level = riscv->levels - 1; level > 1; level--) {
		uint64_t entry = atomic_load_explicit(&page[index_at(riscv, device, level)], memory_order_relaxed);

		if (!(entry & DDTE_V))
			return NULL;
		page = page_behind(riscv, entry);
	}
	return &page[index_at(riscv, device, 1)];
}

/* The page of the device's context; NULL if there is none. */
static word_t *contexts_of(const struct iog_riscv *riscv, uint32_t device)
{
	const word_t *pointer = pointer_of(riscv, device);
	uint64_t entry = pointer ? atomic_load_explicit(pointer, memory_order_relaxed) : 0;

	return entry & DDTE_V ? page_behind(riscv, entry) : NULL;
}

static word_t *context_of(const struct iog_riscv *riscv, uint32_t device)
{
	word_t *contexts = contexts_of(riscv, device);

	return contexts ? contexts + (size_t)index_at(riscv, device, 0) * riscv->words : NULL;
}

/* With a pointer on the way changed: of all devices, because that is how what is not a leaf is forgotten. */
static int forget_context(struct iog_riscv *riscv, uint32_t device, bool pointer)
{
	const struct iog_command command = { { CMD_IODIR_INVAL_DDT | (pointer ? 0 : CMD0_DV | CMD0_DID(device)), 0 } };

	return iog_riscv_submit_again(riscv, &command, 1);
}

static uint64_t pointer_to(const struct iog_riscv *riscv, const void *page)
{
	return rv_ppn(riscv, page) | DDTE_V;
}

/* The pages on the way down. */
static int pages_create(struct iog_riscv *riscv, uint32_t device)
{
	word_t *page = (word_t *)riscv->root;

	for (uint32_t level = riscv->levels - 1; level > 0; level--) {
		word_t *entry = &page[index_at(riscv, device, level)];

		if (!(atomic_load_explicit(entry, memory_order_relaxed) & DDTE_V)) {
			uint64_t *below = iog_riscv_pages(riscv, PAGE_BYTES);

			if (!below)
				return -IOG_ENOMEM;
			iog_mmio_publish(&riscv->mmio);
			atomic_store_explicit(entry, pointer_to(riscv, below), memory_order_release);
			rv_clean(riscv, (const void *)entry, sizeof(*entry));
		}
		page = page_behind(riscv, atomic_load_explicit(entry, memory_order_relaxed));
	}
	return 0;
}

/* A word that is not valid may be remembered, too. */
static int context_create(struct iog_riscv *riscv, uint32_t device)
{
	int error = pages_create(riscv, device);

	return error ? error : forget_context(riscv, device, true);
}

int iog_riscv_directory_single(struct iog_riscv *riscv, uint64_t *ppn)
{
	int error;

	if (riscv->config.device_bits > riscv->leaf_bits)
		return -IOG_EOPNOTSUPP;
	error = pages_create(riscv, 0);
	if (!error)
		*ppn = rv_ppn(riscv, (const void *)contexts_of(riscv, 0));
	return error;
}

static uint64_t looked_at(const void *driver, const struct entry *entry, uint32_t word)
{
	(void)driver;
	if (!word)
		return ~UINT64_C(0);
	if (!(entry->words[0] & TC_V))
		return 0;
	switch (word) {
	case 1: /* iohgatp */
	case 3: /* fsc */
		return ~UINT64_C(0);
	case 2: /* ta: the PSCID of what fsc points to */
		return ATP_MODE(entry->words[3]) ? ~UINT64_C(0) : 0;
	case 4: /* msiptp */
		return ~UINT64_C(0);
	default:
		return ATP_MODE(entry->words[4]) ? ~UINT64_C(0) : 0;
	}
}

static void entry_load(const struct iog_riscv *riscv, uint32_t device, struct entry *entry)
{
	const word_t *context = context_of(riscv, device);

	*entry = (struct entry){ { 0 } };
	for (uint32_t n = 0; n < riscv->words; n++)
		entry->words[n] = atomic_load_explicit(&context[n], memory_order_relaxed);
}

/* By the setting that is under way. A device that was blocked meanwhile stays so, by its first word. */
static int step(void *driver, uint32_t device, const struct entry *entry, uint32_t words)
{
	struct iog_riscv *riscv = driver;
	uintptr_t flags = spin_lock(&riscv->context_lock, riscv->platform);
	word_t *context = context_of(riscv, device);

	if (riscv->setting.blocked)
		words &= ~1u;
	for (uint32_t n = 0; n < riscv->words; n++)
		if (words >> n & 1)
			atomic_store_explicit(&context[n], entry->words[n], memory_order_relaxed);
	rv_clean(riscv, (const void *)context, riscv->words * sizeof(uint64_t));
	spin_unlock(&riscv->context_lock, riscv->platform, flags);
	return forget_context(riscv, device, false);
}

static int change_by_copy(struct iog_riscv *riscv, uint32_t device, const struct entry *to)
{
	const struct iog_platform *platform = riscv->platform;
	word_t *copy, *former, *pointer;
	uintptr_t flags;
	int error;

	if (riscv->nr_limbo == RV_LIMBO)
		return -IOG_ETIMEDOUT;
	copy = iog_riscv_pages(riscv, PAGE_BYTES);
	if (!copy)
		return -IOG_ENOMEM;
	flags = spin_lock(&riscv->context_lock, platform);
	former = contexts_of(riscv, device);
	pointer = pointer_of(riscv, device);
	for (uint32_t n = 0; n < PAGE_WORDS; n++)
		atomic_store_explicit(&copy[n], atomic_load_explicit(&former[n], memory_order_relaxed), memory_order_relaxed);
	for (uint32_t n = riscv->setting.blocked ? 1 : 0; n < riscv->words; n++)
		atomic_store_explicit(&copy[index_at(riscv, device, 0) * riscv->words + n], to->words[n], memory_order_relaxed);
	rv_clean(riscv, (const void *)copy, PAGE_BYTES);
	/* The copy is there before the word that leads to it: a store that hardware sees, so the barrier is the platform's. */
	iog_mmio_publish(&riscv->mmio);
	atomic_store_explicit(pointer, pointer_to(riscv, (const void *)copy), memory_order_release);
	rv_clean(riscv, (const void *)pointer, sizeof(*pointer));
	spin_unlock(&riscv->context_lock, platform, flags);
	error = forget_context(riscv, device, true);
	/* A unit that does not answer may go on reading the old page: it waits until the unit has been turned off. */
	if (error)
		riscv->limbo[riscv->nr_limbo++] = (void *)(uintptr_t)former;
	else
		platform->pages_free(platform->ctx, (void *)(uintptr_t)former, PAGE_BYTES);
	return error;
}

static int change(struct iog_riscv *riscv, uint32_t device, const struct entry *to)
{
	const struct entry invalid = { { 0 } };
	struct entry from;
	uint32_t at_once;
	int error;

	entry_load(riscv, device, &from);
	at_once = iog_entry_at_once(&riscv->kind, riscv, &from, to);
	if (!(at_once & (at_once - 1)))
		return iog_entry_change(&riscv->kind, riscv, device, &from, to);
	if (riscv->info.levels > 1)
		return change_by_copy(riscv, device, to);
	error = iog_entry_change(&riscv->kind, riscv, device, &from, &invalid);
	return error ? error : iog_entry_change(&riscv->kind, riscv, device, &invalid, to);
}

static int target_of(struct iog_riscv *riscv, uint32_t device, enum iog_domain_type type, uint32_t id, struct entry *to)
{
	const struct rv_domain *domain;

	*to = (struct entry){ { 0 } };
	if (type == IOG_DOMAIN_BLOCKED)
		return 0;
	/* Both stages Bare: identity. */
	to->words[0] = TC_V | (atomic_load_explicit(&riscv->ats[device / 64], memory_order_relaxed) >> device % 64 & 1 ? TC_EN_ATS : 0);
	iog_riscv_interrupts_context(riscv, device, to);
	if (type == IOG_DOMAIN_IDENTITY)
		return 0;
	domain = iog_riscv_domain(riscv, id);
	if (!domain)
		return -IOG_ENOENT;
	if (domain->stage == 1) {
		to->words[2] = TA_PSCID(domain->id);
		to->words[3] = domain->atp;
	} else {
		to->words[1] = domain->atp;
	}
	return 0;
}

/* The former context again. Where there is no memory for that, it is made invalid, in place: nothing of the other domain, which may go now, stays in force. */
static void take_back(struct iog_riscv *riscv, uint32_t device, const struct entry *from)
{
	struct entry now;

	(void)change(riscv, device, from);
	entry_load(riscv, device, &now);
	if (iog_entry_at_once(&riscv->kind, riscv, &now, from))
		(void)iog_riscv_device_block(&riscv->unit, device);
}

/* Under interrupts_lock. */
static int set(struct iog_riscv *riscv, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	struct entry from, to;
	int error;

	error = target_of(riscv, device, type, id, &to);
	if (!error && !context_of(riscv, device))
		error = context_create(riscv, device);
	if (error)
		return error;
	entry_load(riscv, device, &from);
	error = change(riscv, device, &to);
	if (!error)
		error = iog_riscv_interrupts_moved(riscv, &from);
	/* A device that has been told something by the former domain's tables forgets it: it could not ask again in between. */
	if (!error && ((from.words[0] | to.words[0]) & TC_EN_ATS))
		error = iog_riscv_forget_device(riscv, device);
	if (error)
		take_back(riscv, device, &from);
	return error;
}

int iog_riscv_device_set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	struct iog_riscv *riscv = rv_of(unit);
	int error;

	if (device >= nr_devices(riscv))
		return -IOG_ERANGE;
	iog_riscv_interrupts_lock(riscv);
	iog_setting_begin(&riscv->setting, &riscv->context_lock, riscv->platform, device);
	error = set(riscv, device, type, id);
	iog_setting_end(&riscv->setting, &riscv->context_lock, riscv->platform);
	iog_riscv_interrupts_unlock(riscv);
	return error;
}

bool iog_riscv_context_load(const struct iog_riscv *riscv, uint32_t device, struct entry *context)
{
	if (!context_of(riscv, device))
		return false;
	entry_load(riscv, device, context);
	return true;
}

int iog_riscv_context_interrupts(struct iog_riscv *riscv, uint32_t device, uint64_t msiptp)
{
	struct entry context;

	if (!iog_riscv_context_load(riscv, device, &context) || !(context.words[0] & TC_V))
		return 0;
	context.words[4] = msiptp;
	return step(riscv, device, &context, 1u << 4);
}

int iog_riscv_device_block(struct iog_unit *unit, uint32_t device)
{
	struct iog_riscv *riscv = rv_of(unit);
	uintptr_t flags;
	word_t *context;

	if (device >= nr_devices(riscv))
		return -IOG_ERANGE;
	flags = spin_lock(&riscv->context_lock, riscv->platform);
	iog_setting_block(&riscv->setting, device);
	context = context_of(riscv, device);
	if (context) {
		atomic_store_explicit(&context[0], 0, memory_order_relaxed);
		rv_clean(riscv, (const void *)context, sizeof(*context));
	}
	spin_unlock(&riscv->context_lock, riscv->platform, flags);
	/* One that was never set is refused as it is. */
	return context ? forget_context(riscv, device, false) : 0;
}

int iog_riscv_device_ats(struct iog_riscv *riscv, uint32_t device, bool allow)
{
	uint64_t bit = UINT64_C(1) << device % 64;

	if (device >= nr_devices(riscv))
		return -IOG_ERANGE;
	if (!riscv->info.ats)
		return -IOG_EOPNOTSUPP;
	if (allow)
		atomic_fetch_or_explicit(&riscv->ats[device / 64], bit, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(&riscv->ats[device / 64], ~bit, memory_order_relaxed);
	return 0;
}

int iog_riscv_directory_create(struct iog_riscv *riscv)
{
	const struct iog_platform *platform = riscv->platform;

	riscv->words = riscv->info.extended ? 8 : 4;
	riscv->kind = (struct entry_kind){ .words = riscv->words, .looked_at = looked_at, .step = step };
	riscv->leaf_bits = riscv->info.extended ? 6 : 7;
	riscv->levels = riscv->config.device_bits <= riscv->leaf_bits + 9 ? 2 : 3;
	riscv->info.levels = riscv->levels;
	riscv->root = iog_riscv_pages(riscv, PAGE_BYTES);
	riscv->ats_bytes = (nr_devices(riscv) + 63) / 64 * sizeof(uint64_t);
	riscv->ats = platform->object_alloc(platform->ctx, riscv->ats_bytes);
	return riscv->root && riscv->ats ? 0 : -IOG_ENOMEM;
}

void iog_riscv_directory_settle(struct iog_riscv *riscv)
{
	while (riscv->nr_limbo)
		riscv->platform->pages_free(riscv->platform->ctx, riscv->limbo[--riscv->nr_limbo], PAGE_BYTES);
}

void iog_riscv_directory_destroy(struct iog_riscv *riscv)
{
	const struct iog_platform *platform = riscv->platform;

	iog_riscv_directory_settle(riscv);
	for (uint32_t n = 0; riscv->root && n < PAGE_WORDS; n++) {
		word_t *page;

		if (!(riscv->root[n] & DDTE_V))
			continue;
		page = page_behind(riscv, riscv->root[n]);
		for (uint32_t i = 0; riscv->levels > 2 && i < PAGE_WORDS; i++) {
			uint64_t entry = atomic_load_explicit(&page[i], memory_order_relaxed);

			if (entry & DDTE_V)
				platform->pages_free(platform->ctx, (void *)(uintptr_t)page_behind(riscv, entry), PAGE_BYTES);
		}
		platform->pages_free(platform->ctx, (void *)(uintptr_t)page, PAGE_BYTES);
	}
	if (riscv->root)
		platform->pages_free(platform->ctx, riscv->root, PAGE_BYTES);
	if (riscv->ats)
		platform->object_free(platform->ctx, riscv->ats, riscv->ats_bytes);
}
