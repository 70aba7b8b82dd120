/* SPDX-License-Identifier: MIT */
/*
 * MSI page tables (3.1.3.5, 3.1.3.6, 3.3.3; their entries: Advanced Interrupt Architecture, IOMMU support): in a window of addresses, the same for every device, each page stands for an interrupt file, and the device's
 * table says where a write to it goes. A page without a valid entry is refused. So is the whole window for devices that have no table yet: all of these share one in which nothing is valid.
 *
 * An entry has two words. The lower says whether it is valid, and alone where it leads for a file of an interrupt controller; it changes by one store. For a file in memory (MRIF) the upper says who is
 * notified: it changes only while the entry is not valid, and hardware has forgotten that it was.
 *
 * What is not valid is never remembered (7.3.8). The rest is remembered under what the device's context says at that time: as long as interrupts_lock is held the context does not become another
 * domain's, and when it does, what was remembered under the former one is forgotten.
 *
 * Locking: interrupts_lock over all of it, and over device_set(); it is held while hardware is waited for.
 */
#include "riscv.h"

#define PTE_V RV_BIT(0)
#define PTE_MRIF RV_FIELD(1, 1)
#define PTE_BASIC RV_FIELD(3, 1)
#define PTE_PPN(paddr) ((paddr) >> 12 << 10)
#define PTE_MRIF_ADDRESS(paddr) ((paddr) >> 9 << 7)
#define PTE_CUSTOM RV_BIT(63)
#define PTE_MODE(word) ((word) & UINT64_C(6))
#define PTE_RESERVED UINT64_C(0x7fc00000000003f8)
#define PTE_PADDR(word) ((word) << 2 & UINT64_C(0x00fffffffffff000))
#define PTE_MRIF_RESERVED UINT64_C(0x7fc0000000000078)
#define PTE_MRIF_PADDR(word) ((word) << 2 & UINT64_C(0x00fffffffffffe00))
#define PTE_NOTICE_RESERVED UINT64_C(0xefc0000000000000)
#define PTE_NOTICE_ID_OF(word) ((uint32_t)((word) & 0x3ff) | (uint32_t)((word) >> 50 & 0x400))
#define PTE_NOTICE_ID(id) ((uint64_t)((id) & 0x3ff) | (uint64_t)((id) >> 10) << 60)

#define MSIPTP_FLAT ATP_SET_MODE(1)
#define INTERRUPTS_MAX 4096u
#define ADDRESS_BITS 56u
#define PAGE UINT64_C(4096)
#define MRIF_ALIGN UINT64_C(512)
#define NOTICE_ID_MAX 2047u
#define DEVICES_PER_BLOCK 512u

struct rv_interrupts {
	uint64_t *entries; /* two words each */
	struct slots slots;
	bool told;   /* the device's context, if it has one, says where they are, and hardware has forgotten the former */
	bool doubt;  /* hardware may remember entries that are no more */
};

/* Of neighbours; NULL for those without. */
struct rv_interrupts_block {
	struct rv_interrupts *tables[DEVICES_PER_BLOCK];
};

static size_t table_bytes(const struct iog_riscv *riscv)
{
	size_t bytes = (size_t)riscv->config.interrupts * 16;

	return bytes < PAGE ? PAGE : bytes;
}

static size_t nr_blocks(const struct iog_riscv *riscv)
{
	return ((UINT32_C(1) << riscv->config.device_bits) + DEVICES_PER_BLOCK - 1) / DEVICES_PER_BLOCK;
}

/* The address bits that number the files: as many as it takes. */
static int window_take(struct iog_riscv *riscv)
{
	const struct iog_riscv_config *config = &riscv->config;
	uint64_t mask = config->interrupt_mask ? config->interrupt_mask : (config->interrupts - 1) * PAGE;
	uint32_t bits = 0;

	for (uint64_t left = mask; left; left &= left - 1)
		bits++;
	if (config->interrupts > INTERRUPTS_MAX || bits > 31 || UINT32_C(1) << bits != config->interrupts)
		return -IOG_EINVAL;
	if ((mask | config->interrupt_window) & (PAGE - 1) || (mask | config->interrupt_window) >> ADDRESS_BITS || mask & config->interrupt_window)
		return -IOG_EINVAL;
	riscv->config.interrupt_mask = mask;
	return 0;
}

int iog_riscv_interrupts_create(struct iog_riscv *riscv)
{
	const struct iog_platform *platform = riscv->platform;
	int error;

	if (!riscv->config.interrupts)
		return 0;
	error = window_take(riscv);
	if (error)
		return error;
	if (!riscv->info.extended)
		return -IOG_EOPNOTSUPP;
	riscv->interrupts = platform->object_alloc(platform->ctx, nr_blocks(riscv) * sizeof(struct rv_interrupts_block *));
	riscv->no_interrupts = iog_riscv_pages(riscv, table_bytes(riscv));
	return riscv->interrupts && riscv->no_interrupts ? 0 : -IOG_ENOMEM;
}

static void table_free(const struct iog_riscv *riscv, struct rv_interrupts *table)
{
	const struct iog_platform *platform = riscv->platform;

	if (table->slots.taken)
		platform->object_free(platform->ctx, table->slots.taken, slots_bytes(riscv->config.interrupts));
	if (table->entries)
		platform->pages_free(platform->ctx, table->entries, table_bytes(riscv));
	platform->object_free(platform->ctx, table, sizeof(*table));
}

void iog_riscv_interrupts_destroy(struct iog_riscv *riscv)
{
	const struct iog_platform *platform = riscv->platform;

	for (size_t n = 0; riscv->interrupts && n < nr_blocks(riscv); n++) {
		if (!riscv->interrupts[n])
			continue;
		for (uint32_t i = 0; i < DEVICES_PER_BLOCK; i++)
			if (riscv->interrupts[n]->tables[i])
				table_free(riscv, riscv->interrupts[n]->tables[i]);
		platform->object_free(platform->ctx, riscv->interrupts[n], sizeof(struct rv_interrupts_block));
	}
	if (riscv->interrupts)
		platform->object_free(platform->ctx, riscv->interrupts, nr_blocks(riscv) * sizeof(struct rv_interrupts_block *));
	if (riscv->no_interrupts)
		platform->pages_free(platform->ctx, riscv->no_interrupts, table_bytes(riscv));
}

void iog_riscv_interrupts_lock(struct iog_riscv *riscv)
{
	if (riscv->config.interrupts)
		wait_lock(&riscv->interrupts_lock, riscv->platform);
}

void iog_riscv_interrupts_unlock(struct iog_riscv *riscv)
{
	if (riscv->config.interrupts)
		wait_unlock(&riscv->interrupts_lock);
}

/* NULL: it has none yet. */
static struct rv_interrupts *table_of(const struct iog_riscv *riscv, uint32_t device)
{
	const struct rv_interrupts_block *block = riscv->interrupts[device / DEVICES_PER_BLOCK];

	return block ? block->tables[device % DEVICES_PER_BLOCK] : NULL;
}

static uint64_t msiptp_of(const struct iog_riscv *riscv, const struct rv_interrupts *table)
{
	return MSIPTP_FLAT | rv_paddr(riscv, table ? table->entries : riscv->no_interrupts) >> 12;
}

void iog_riscv_interrupts_context(const struct iog_riscv *riscv, uint32_t device, struct entry *context)
{
	if (!riscv->config.interrupts)
		return;
	context->words[4] = msiptp_of(riscv, table_of(riscv, device));
	context->words[5] = riscv->config.interrupt_mask >> 12;
	context->words[6] = riscv->config.interrupt_window >> 12;
}

/*
 * What makes hardware forget entries (7.3.3) that it remembers by a context: all, or that of an address. Without a second stage entries have the tag of it nevertheless, which is 0 in such a context, and what led
 * through the first stage to the file may be remembered as one.
 */
static uint32_t entry_commands(const struct entry *context, bool all, uint64_t address, struct iog_command commands[2])
{
	commands[0].words[0] = CMD_IOTINVAL_GVMA | CMD0_GV | CMD0_GSCID(IOHGATP_GSCID_OF(context->words[1])) | (all ? 0 : CMD0_AV);
	commands[0].words[1] = all ? 0 : CMD1_ADDRESS(address);
	if (ATP_MODE(context->words[1]))
		return 1;
	commands[1].words[0] = CMD_IOTINVAL_VMA | (ATP_MODE(context->words[3]) ? CMD0_PSCV | CMD0_PSCID(TA_PSCID_OF(context->words[2])) : 0);
	commands[1].words[1] = 0;
	return 2;
}

static int submit(struct iog_riscv *riscv, const struct iog_command *commands, uint32_t n)
{
	rv_count(&riscv->interrupt_commands, n);
	return iog_riscv_submit_again(riscv, commands, n);
}

int iog_riscv_interrupts_moved(struct iog_riscv *riscv, const struct entry *from)
{
	struct iog_command commands[3];
	uint32_t n;

	if (!ATP_MODE(from->words[4]))
		return 0;
	n = entry_commands(from, true, 0, commands);
	/* 7.3.1. */
	if (n == 1)
		commands[n++] = (struct iog_command){ { CMD_IOTINVAL_VMA | CMD0_GV | CMD0_GSCID(IOHGATP_GSCID_OF(from->words[1])), 0 } };
	return submit(riscv, commands, n);
}

static struct rv_interrupts *table_new(struct iog_riscv *riscv)
{
	const struct iog_platform *platform = riscv->platform;
	struct rv_interrupts *table = platform->object_alloc(platform->ctx, sizeof(*table));

	if (!table)
		return NULL;
	table->slots.count = riscv->config.interrupts;
	table->slots.taken = platform->object_alloc(platform->ctx, slots_bytes(riscv->config.interrupts));
	table->entries = iog_riscv_pages(riscv, table_bytes(riscv));
	if (!table->slots.taken || !table->entries) {
		table_free(riscv, table);
		return NULL;
	}
	return table;
}

static struct rv_interrupts *table_get(struct iog_riscv *riscv, uint32_t device)
{
	struct rv_interrupts_block **block = &riscv->interrupts[device / DEVICES_PER_BLOCK];
	struct rv_interrupts *table = table_of(riscv, device);

	if (table)
		return table;
	if (!*block)
		*block = riscv->platform->object_alloc(riscv->platform->ctx, sizeof(struct rv_interrupts_block));
	table = *block ? table_new(riscv) : NULL;
	if (table)
		(*block)->tables[device % DEVICES_PER_BLOCK] = table;
	return table;
}

static int device_check(const struct iog_riscv *riscv, uint32_t device)
{
	if (!riscv->config.interrupts)
		return -IOG_EOPNOTSUPP;
	return device >> riscv->config.device_bits ? -IOG_ERANGE : 0;
}

static bool is_run(const struct iog_riscv *riscv, uint32_t count)
{
	return count && count <= riscv->config.interrupts && !(count & (count - 1));
}

/* The device's context, if it has one, leads to its table, and hardware knows. */
static int tell(struct iog_riscv *riscv, uint32_t device, struct rv_interrupts *table)
{
	int error = iog_riscv_context_interrupts(riscv, device, msiptp_of(riscv, table));

	table->told = !error;
	return error;
}

static int alloc(struct iog_riscv *riscv, uint32_t device, uint32_t count, uint32_t *index)
{
	struct rv_interrupts *table = table_get(riscv, device);
	int error;

	if (!table)
		return -IOG_ENOMEM;
	error = table->told ? 0 : tell(riscv, device, table);
	if (error)
		return error;
	return iog_slots_take(&table->slots, count, index) ? 0 : -IOG_ENOSPC;
}

int iog_riscv_interrupt_alloc(struct iog_riscv *riscv, uint32_t device, uint32_t count, uint32_t *index)
{
	int error = device_check(riscv, device);

	if (!error && !is_run(riscv, count))
		error = -IOG_EINVAL;
	if (error)
		return error;
	wait_lock(&riscv->interrupts_lock, riscv->platform);
	error = alloc(riscv, device, count, index);
	wait_unlock(&riscv->interrupts_lock);
	return error;
}

static bool is_page(const struct iog_riscv *riscv, iog_paddr_t paddr, uint64_t align)
{
	return !(paddr & (align - 1)) && !(paddr >> riscv->info.oas);
}

static int route_words(const struct iog_riscv *riscv, const struct iog_riscv_route *route, uint64_t words[2])
{
	words[0] = 0;
	words[1] = 0;
	if (!route)
		return 0;
	if (route->flags & ~(uint32_t)IOG_RISCV_ROUTE_MRIF)
		return -IOG_EINVAL;
	if (!(route->flags & IOG_RISCV_ROUTE_MRIF)) {
		if (!is_page(riscv, route->file, PAGE) || route->notice || route->notice_id)
			return -IOG_EINVAL;
		words[0] = PTE_V | PTE_BASIC | PTE_PPN(route->file);
		return 0;
	}
	if (!riscv->info.mrif)
		return -IOG_EOPNOTSUPP;
	if (!is_page(riscv, route->file, MRIF_ALIGN) || !is_page(riscv, route->notice, PAGE) || route->notice_id > NOTICE_ID_MAX)
		return -IOG_EINVAL;
	words[0] = PTE_V | PTE_MRIF | PTE_MRIF_ADDRESS(route->file);
	words[1] = PTE_PPN(route->notice) | PTE_NOTICE_ID(route->notice_id);
	return 0;
}

/* The address of a file's page: the index goes where the mask has ones. */
static uint64_t address_of(const struct iog_riscv *riscv, uint32_t index)
{
	uint64_t address = riscv->config.interrupt_window;

	for (uint64_t mask = riscv->config.interrupt_mask; mask; mask &= mask - 1, index >>= 1)
		if (index & 1)
			address |= mask & -mask;
	return address;
}

static void word_store(struct iog_riscv *riscv, uint64_t *word, uint64_t value)
{
	iog_mmio_publish(&riscv->mmio);
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	rv_clean(riscv, word, sizeof(*word));
}

static int forget(struct iog_riscv *riscv, uint32_t device, struct rv_interrupts *table, uint32_t index, uint32_t count)
{
	struct iog_command commands[2];
	struct entry context;
	uint32_t n;
	int error;

	table->doubt = table->doubt || count > 1;
	/* A device that never had a context has made hardware remember nothing. */
	if (!iog_riscv_context_load(riscv, device, &context)) {
		table->doubt = false;
		return 0;
	}
	n = entry_commands(&context, table->doubt, address_of(riscv, index), commands);
	error = submit(riscv, commands, n);
	/* The device may have asked where the page is. */
	if (!error && context.words[0] & TC_EN_ATS)
		error = iog_riscv_forget_device(riscv, device);
	/* Of all, or of the one. */
	table->doubt = error;
	return error;
}

static int route_set(struct iog_riscv *riscv, uint32_t device, uint32_t index, const uint64_t words[2])
{
	struct rv_interrupts *table = table_of(riscv, device);
	uint64_t *entry;
	bool valid;
	int error;

	if (!table || !iog_slots_taken(&table->slots, index, 1))
		return -IOG_ENOENT;
	entry = &table->entries[2 * (size_t)index];
	valid = entry[0] & PTE_V;
	if (entry[1] != words[1]) {
		word_store(riscv, &entry[0], 0);
		error = valid || table->doubt ? forget(riscv, device, table, index, 1) : 0;
		if (error)
			return error;
		word_store(riscv, &entry[1], words[1]);
		valid = false;
	}
	word_store(riscv, &entry[0], words[0]);
	return valid || table->doubt ? forget(riscv, device, table, index, 1) : 0;
}

int iog_riscv_interrupt_route(struct iog_riscv *riscv, uint32_t device, uint32_t index, const struct iog_riscv_route *route)
{
	int error = device_check(riscv, device);
	uint64_t words[2];

	if (!error && index >= riscv->config.interrupts)
		error = -IOG_ERANGE;
	if (!error)
		error = route_words(riscv, route, words);
	if (error)
		return error;
	wait_lock(&riscv->interrupts_lock, riscv->platform);
	error = route_set(riscv, device, index, words);
	wait_unlock(&riscv->interrupts_lock);
	return error;
}

static int free_run(struct iog_riscv *riscv, uint32_t device, uint32_t index, uint32_t count)
{
	struct rv_interrupts *table = table_of(riscv, device);
	uint32_t valid = 0, last = index;
	int error;

	if (!table || !iog_slots_taken(&table->slots, index, count))
		return -IOG_ENOENT;
	for (uint32_t n = index; n < index + count; n++) {
		uint64_t *entry = &table->entries[2 * (size_t)n];

		if (!(entry[0] & PTE_V))
			continue;
		word_store(riscv, entry, 0);
		last = n;
		valid++;
	}
	error = valid || table->doubt ? forget(riscv, device, table, last, valid) : 0;
	if (!error)
		iog_slots_give(&table->slots, index, count);
	return error;
}

int iog_riscv_interrupt_free(struct iog_riscv *riscv, uint32_t device, uint32_t index, uint32_t count)
{
	int error = device_check(riscv, device);

	if (!error && (!is_run(riscv, count) || index & (count - 1)))
		error = -IOG_EINVAL;
	if (!error && index >= riscv->config.interrupts)
		error = -IOG_ERANGE;
	if (error)
		return error;
	wait_lock(&riscv->interrupts_lock, riscv->platform);
	error = free_run(riscv, device, index, count);
	wait_unlock(&riscv->interrupts_lock);
	return error;
}

int iog_riscv_interrupt_decode(const uint64_t words[2], struct iog_riscv_interrupt *interrupt)
{
	struct iog_riscv_interrupt result = { .valid = true };

	if (!(words[0] & PTE_V)) {
		*interrupt = (struct iog_riscv_interrupt){ .valid = false };
		return 0;
	}
	if (words[0] & PTE_CUSTOM)
		return -IOG_EOPNOTSUPP;
	switch (PTE_MODE(words[0])) {
	case PTE_BASIC:
		/* The other word is not looked at. */
		if (words[0] & PTE_RESERVED)
			return -IOG_EINVAL;
		result.route.file = PTE_PADDR(words[0]);
		break;
	case PTE_MRIF:
		if (words[0] & PTE_MRIF_RESERVED || words[1] & PTE_NOTICE_RESERVED)
			return -IOG_EINVAL;
		result.route.file = PTE_MRIF_PADDR(words[0]);
		result.route.flags = IOG_RISCV_ROUTE_MRIF;
		result.route.notice = PTE_PADDR(words[1]);
		result.route.notice_id = PTE_NOTICE_ID_OF(words[1]);
		break;
	default:
		return -IOG_EINVAL;
	}
	*interrupt = result;
	return 0;
}

int iog_riscv_interrupt_read(struct iog_riscv *riscv, uint32_t device, uint32_t index, struct iog_riscv_interrupt *interrupt)
{
	int error = device_check(riscv, device);
	const struct rv_interrupts *table;
	uint64_t words[2] = { 0, 0 };

	if (!error && index >= riscv->config.interrupts)
		error = -IOG_ERANGE;
	if (error)
		return error;
	wait_lock(&riscv->interrupts_lock, riscv->platform);
	table = table_of(riscv, device);
	if (table) {
		words[0] = table->entries[2 * (size_t)index];
		words[1] = table->entries[2 * (size_t)index + 1];
	}
	wait_unlock(&riscv->interrupts_lock);
	return iog_riscv_interrupt_decode(words, interrupt);
}

void iog_riscv_interrupt_message(const struct iog_riscv *riscv, uint32_t index, uint64_t *address)
{
	*address = address_of(riscv, index);
}
