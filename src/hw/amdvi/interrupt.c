/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping (AMD IOMMU 2.2.5): a table per device, whose entries each let it raise one interrupt. A device without a table raises none, and an entry that is not enabled blocks.
 *
 * An entry has 32 bits, and changes by one store. Where destinations have 32 bits, it has 128: of its two words the lower enables it. Both change at once where the machine has such a store;
 * otherwise the entry blocks for a moment, and hardware forgets it, before it says something else.
 *
 * A device's table stays until the driver goes. What hardware remembers of a table is forgotten after every change, an entry that did not let anything through included: nothing says that such
 * are not remembered.
 *
 * Locking: tables_lock over entries, over which are taken, and over the third word of device table entries. Hardware forgets outside of it; an entry that is being freed is taken until it has.
 */
#include "amdvi.h"

#define IRTE_ENABLED UINT64_C(1)
#define IRTE_SILENT (UINT64_C(1) << 1)
#define IRTE_TYPE(delivery) ((uint64_t)(delivery) << 2)
#define IRTE_EOI (UINT64_C(1) << 5)
#define IRTE_LOGICAL (UINT64_C(1) << 6)
#define IRTE_DESTINATION_SHIFT 8
/* 32 bits: */
#define IRTE_VECTOR_SHIFT 16
/* 128 bits: 24 bits of the destination in the lower word, 8 in the upper, with the vector. */
#define IRTE_DESTINATION_LOW UINT32_C(0xffffff)
#define IRTE_DESTINATION_HIGH_SHIFT 56
/* What others may have made; in GuestMode it is for a virtual CPU. */
#define IRTE_TYPE_UNKNOWN IRTE_TYPE(6)
#define IRTE_RESERVED UINT64_C(0xff000080)
#define IRTE_UPPER_RESERVED UINT64_C(0x00ffffffffffff00)
#define IRTE_GUEST (UINT64_C(1) << 7)
#define IRTE_GUEST_LOGGED (UINT64_C(1) << 2)
#define IRTE_GUEST_RUNNING (UINT64_C(1) << 6)
#define IRTE_GUEST_RESERVED UINT64_C(0x38)
#define IRTE_GUEST_UPPER_RESERVED UINT64_C(0x00f0000000000f00)
#define IRTE_GUEST_APIC UINT64_C(0x000ffffffffff000)

/* Of a message, 11 bits of its data tell the entry; beyond the ninth they would say that it is no interrupt that is remapped. */
#define INTERRUPTS_MIN 32
#define INTERRUPTS_MAX 512
#define MESSAGE_ADDRESS UINT64_C(0xfee00000)
#define COUNT_MAX 32
#define VECTOR_MIN 16
#define VECTOR_MAX 254
#define DELIVERY_MAX 1

struct amdvi_interrupts {
	uint64_t *entries; /* two words each, or half a one */
	struct slots slots;
	_Atomic bool told; /* hardware has forgotten that there was no table */
};

static bool is_wide(const struct iog_amdvi *amdvi)
{
	return amdvi->config.flags & IOG_AMDVI_X2APIC;
}

static size_t entries_bytes(const struct iog_amdvi *amdvi)
{
	size_t bytes = (size_t)amdvi->config.interrupts * (is_wide(amdvi) ? 16 : 4);

	return bytes < AMDVI_PAGE ? AMDVI_PAGE : bytes;
}

static size_t tables_bytes(const struct iog_amdvi *amdvi)
{
	return ((size_t)amdvi->config.last_device + 1) * sizeof(*amdvi->interrupts);
}

int iog_amdvi_interrupts_create(struct iog_amdvi *amdvi)
{
	uint64_t wanted = AMDVI_EFR_XT_SUP | AMDVI_EFR_GA_SUP;
	uint32_t count = amdvi->config.interrupts;

	if (!count)
		return 0;
	if (count < INTERRUPTS_MIN || count > INTERRUPTS_MAX || count & (count - 1))
		return -IOG_EINVAL;
	if (is_wide(amdvi) && (amdvi->features & wanted) != wanted)
		return -IOG_EOPNOTSUPP;
	amdvi->interrupts = amdvi->platform->object_alloc(amdvi->platform->ctx, tables_bytes(amdvi));
	return amdvi->interrupts ? 0 : -IOG_ENOMEM;
}

static void table_free(const struct iog_amdvi *amdvi, struct amdvi_interrupts *table)
{
	const struct iog_platform *platform = amdvi->platform;

	if (table->slots.taken)
		platform->object_free(platform->ctx, table->slots.taken, slots_bytes(amdvi->config.interrupts));
	if (table->entries)
		platform->pages_free(platform->ctx, table->entries, entries_bytes(amdvi));
	platform->object_free(platform->ctx, table, sizeof(*table));
}

void iog_amdvi_interrupts_destroy(struct iog_amdvi *amdvi)
{
	if (!amdvi->interrupts)
		return;
	for (uint32_t device = 0; device <= amdvi->config.last_device; device++) {
		struct amdvi_interrupts *table = atomic_load_explicit(&amdvi->interrupts[device], memory_order_relaxed);

		if (table)
			table_free(amdvi, table);
	}
	amdvi->platform->object_free(amdvi->platform->ctx, (void *)(uintptr_t)amdvi->interrupts, tables_bytes(amdvi));
}

uint64_t iog_amdvi_interrupts_control(const struct iog_amdvi *amdvi)
{
	return amdvi->interrupts && is_wide(amdvi) ? AMDVI_GA_EN | AMDVI_XT_EN : 0;
}

static struct amdvi_interrupts *table_of(const struct iog_amdvi *amdvi, uint32_t device)
{
	/* Acquire: what is in it; pairs with the release in table_publish(). */
	return atomic_load_explicit(&amdvi->interrupts[device & 0xffff], memory_order_acquire);
}

static struct amdvi_interrupts *table_new(const struct iog_amdvi *amdvi)
{
	const struct iog_platform *platform = amdvi->platform;
	struct amdvi_interrupts *table = platform->object_alloc(platform->ctx, sizeof(*table));

	if (!table)
		return NULL;
	table->slots.count = amdvi->config.interrupts;
	table->slots.taken = platform->object_alloc(platform->ctx, slots_bytes(amdvi->config.interrupts));
	table->entries = platform->pages_alloc(platform->ctx, entries_bytes(amdvi));
	if (!table->slots.taken || !table->entries) {
		table_free(amdvi, table);
		return NULL;
	}
	memset(table->entries, 0, entries_bytes(amdvi));
	return table;
}

/* The device gets it, unless another lane was faster. */
static struct amdvi_interrupts *table_publish(struct iog_amdvi *amdvi, uint32_t device, struct amdvi_interrupts *table)
{
	struct amdvi_interrupts *other;
	uintptr_t flags = spin_lock(&amdvi->tables_lock, amdvi->platform);

	other = table_of(amdvi, device);
	if (!other) {
		iog_amdvi_device_interrupts(amdvi, device, amdvi_paddr(amdvi, table->entries), amdvi->config.interrupts);
		/* Release: pairs with the acquire in table_of(). */
		atomic_store_explicit(&amdvi->interrupts[device & 0xffff], table, memory_order_release);
	}
	spin_unlock(&amdvi->tables_lock, amdvi->platform, flags);
	if (!other)
		return table;
	table_free(amdvi, table);
	return other;
}

/* Every lane that finds hardware not told tells it: nobody gets an entry before it has been. */
static int table_tell(struct iog_amdvi *amdvi, uint32_t device, struct amdvi_interrupts *table)
{
	const struct amdvi_command commands[] = { amdvi_devtab_entry(device), amdvi_interrupt_table(device) };
	int error;

	/* Acquire, running: pairs with the release in iog_amdvi_enable(), which drops everything before hardware may remember. */
	if (atomic_load_explicit(&table->told, memory_order_relaxed) || !atomic_load_explicit(&amdvi->running, memory_order_acquire))
		return 0;
	error = iog_amdvi_submit_again(amdvi, commands, 2);
	if (!error)
		atomic_store_explicit(&table->told, true, memory_order_relaxed);
	return error;
}

/* What hardware remembers of a device's entries. */
static int forget(struct iog_amdvi *amdvi, uint32_t device)
{
	struct amdvi_command command = amdvi_interrupt_table(device);

	return atomic_load_explicit(&amdvi->running, memory_order_acquire) ? iog_amdvi_submit_again(amdvi, &command, 1) : 0;
}

static int device_check(const struct iog_amdvi *amdvi, uint32_t device)
{
	if (!amdvi->interrupts)
		return -IOG_EOPNOTSUPP;
	return amdvi_serves(amdvi, device) ? 0 : -IOG_ERANGE;
}

static bool is_run(uint32_t count)
{
	return count && count <= COUNT_MAX && !(count & (count - 1));
}

int iog_amdvi_interrupt_alloc(struct iog_amdvi *amdvi, uint32_t device, uint32_t count, uint32_t *index)
{
	int error = device_check(amdvi, device);
	struct amdvi_interrupts *table;
	uintptr_t flags;
	bool found;

	if (!error && !is_run(count))
		error = -IOG_EINVAL;
	if (error)
		return error;
	table = table_of(amdvi, device);
	if (!table) {
		table = table_new(amdvi);
		if (!table)
			return -IOG_ENOMEM;
		table = table_publish(amdvi, device, table);
	}
	error = table_tell(amdvi, device, table);
	if (error)
		return error;
	flags = spin_lock(&amdvi->tables_lock, amdvi->platform);
	found = iog_slots_take(&table->slots, count, index);
	spin_unlock(&amdvi->tables_lock, amdvi->platform, flags);
	return found ? 0 : -IOG_ENOSPC;
}

static int route_words(const struct iog_amdvi *amdvi, const struct iog_amdvi_route *route, uint64_t words[2])
{
	uint32_t known = IOG_AMDVI_ROUTE_LOGICAL | IOG_AMDVI_ROUTE_EOI;

	words[0] = 0;
	words[1] = 0;
	if (!route)
		return 0;
	if (route->flags & ~known || route->delivery > DELIVERY_MAX || route->vector < VECTOR_MIN || route->vector > VECTOR_MAX ||
	    (!is_wide(amdvi) && route->destination > 0xff))
		return -IOG_EINVAL;
	words[0] = IRTE_ENABLED | IRTE_TYPE(route->delivery) | (route->flags & IOG_AMDVI_ROUTE_EOI ? IRTE_EOI : 0) | (route->flags & IOG_AMDVI_ROUTE_LOGICAL ? IRTE_LOGICAL : 0) |
		   (uint64_t)(route->destination & IRTE_DESTINATION_LOW) << IRTE_DESTINATION_SHIFT;
	if (is_wide(amdvi))
		words[1] = route->vector | (uint64_t)(route->destination >> 24) << IRTE_DESTINATION_HIGH_SHIFT;
	else
		words[0] |= (uint64_t)route->vector << IRTE_VECTOR_SHIFT;
	return 0;
}

/* Under tables_lock: nothing passes by the entry from now on, as far as the table goes. */
static void entry_block(const struct iog_amdvi *amdvi, struct amdvi_interrupts *table, uint32_t index)
{
	if (is_wide(amdvi))
		__atomic_store_n(&table->entries[2 * (size_t)index], 0, __ATOMIC_RELEASE);
	else
		__atomic_store_n((uint32_t *)table->entries + index, 0, __ATOMIC_RELEASE);
}

/* Under tables_lock: by one store as hardware sees it. False: this machine has none that wide, and nothing was changed. */
static bool entry_store(const struct iog_amdvi *amdvi, struct amdvi_interrupts *table, uint32_t index, const uint64_t words[2])
{
	uint64_t *entry;

	if (!is_wide(amdvi)) {
		__atomic_store_n((uint32_t *)table->entries + index, (uint32_t)words[0], __ATOMIC_RELEASE);
		return true;
	}
	entry = &table->entries[2 * (size_t)index];
	if (amdvi_store_both(entry, words[0], words[1]))
		return true;
	if (__atomic_load_n(&entry[0], __ATOMIC_RELAXED) & IRTE_ENABLED)
		return false;
	/* Blocked, and hardware has forgotten that it was not: the word that enables it comes last. */
	__atomic_store_n(&entry[1], words[1], __ATOMIC_RELAXED);
	iog_mmio_publish(&amdvi->mmio);
	__atomic_store_n(&entry[0], words[0], __ATOMIC_RELEASE);
	return true;
}

enum change {
	CHANGE_DONE,
	CHANGE_BLOCKED, /* for a moment: hardware has to forget before it can be done */
	CHANGE_NOT_TAKEN,
};

static enum change entry_change(struct iog_amdvi *amdvi, struct amdvi_interrupts *table, uint32_t index, const uint64_t words[2])
{
	uintptr_t flags = spin_lock(&amdvi->tables_lock, amdvi->platform);
	enum change change = CHANGE_NOT_TAKEN;

	if (iog_slots_taken(&table->slots, index, 1)) {
		change = entry_store(amdvi, table, index, words) ? CHANGE_DONE : CHANGE_BLOCKED;
		if (change == CHANGE_BLOCKED)
			entry_block(amdvi, table, index);
	}
	spin_unlock(&amdvi->tables_lock, amdvi->platform, flags);
	return change;
}

int iog_amdvi_interrupt_route(struct iog_amdvi *amdvi, uint32_t device, uint32_t index, const struct iog_amdvi_route *route)
{
	int error = device_check(amdvi, device);
	struct amdvi_interrupts *table;
	uint64_t words[2];
	enum change change;

	if (!error && index >= amdvi->config.interrupts)
		error = -IOG_ERANGE;
	if (!error)
		error = route_words(amdvi, route, words);
	if (error)
		return error;
	table = table_of(amdvi, device);
	if (!table)
		return -IOG_ENOENT;
	change = entry_change(amdvi, table, index, words);
	if (change == CHANGE_NOT_TAKEN)
		return -IOG_ENOENT;
	error = forget(amdvi, device);
	if (change == CHANGE_DONE || error)
		return error;
	(void)entry_change(amdvi, table, index, words);
	return forget(amdvi, device);
}

int iog_amdvi_interrupt_free(struct iog_amdvi *amdvi, uint32_t device, uint32_t index, uint32_t count)
{
	int error = device_check(amdvi, device);
	struct amdvi_interrupts *table;
	uintptr_t flags;
	bool owned;

	if (!error && (!is_run(count) || index & (count - 1)))
		error = -IOG_EINVAL;
	if (!error && index >= amdvi->config.interrupts)
		error = -IOG_ERANGE;
	if (error)
		return error;
	table = table_of(amdvi, device);
	if (!table)
		return -IOG_ENOENT;
	flags = spin_lock(&amdvi->tables_lock, amdvi->platform);
	owned = iog_slots_taken(&table->slots, index, count);
	for (uint32_t n = 0; owned && n < count; n++)
		entry_block(amdvi, table, index + n);
	spin_unlock(&amdvi->tables_lock, amdvi->platform, flags);
	if (!owned)
		return -IOG_ENOENT;
	error = forget(amdvi, device);
	if (error)
		return error;
	flags = spin_lock(&amdvi->tables_lock, amdvi->platform);
	iog_slots_give(&table->slots, index, count);
	spin_unlock(&amdvi->tables_lock, amdvi->platform, flags);
	return 0;
}

static uint32_t wide_destination(const uint64_t words[2])
{
	return ((uint32_t)(words[0] >> IRTE_DESTINATION_SHIFT) & IRTE_DESTINATION_LOW) | (uint32_t)(words[1] >> IRTE_DESTINATION_HIGH_SHIFT) << 24;
}

static int guest_decode(const uint64_t words[2], struct iog_amdvi_interrupt *interrupt)
{
	if (words[0] & IRTE_GUEST_RESERVED || words[1] & IRTE_GUEST_UPPER_RESERVED)
		return -IOG_EINVAL;
	*interrupt = (struct iog_amdvi_interrupt){
		.enabled = true,
		.silent = words[0] & IRTE_SILENT,
		.guest = true,
		.running = words[0] & IRTE_GUEST_RUNNING,
		.logged = words[0] & IRTE_GUEST_LOGGED,
		.route = { .vector = words[1] & 0xff, .destination = wide_destination(words) },
		.apic = words[1] & IRTE_GUEST_APIC,
		.tag = (uint32_t)(words[0] >> 32),
	};
	return 0;
}

int iog_amdvi_interrupt_decode(const uint64_t words[2], bool wide, struct iog_amdvi_interrupt *interrupt)
{
	uint64_t low = words[0];

	if (!(low & IRTE_ENABLED)) {
		*interrupt = (struct iog_amdvi_interrupt){ .enabled = false };
		return 0;
	}
	if (wide && low & IRTE_GUEST)
		return guest_decode(words, interrupt);
	if (low & IRTE_TYPE_UNKNOWN || (wide ? words[1] & IRTE_UPPER_RESERVED : low & IRTE_RESERVED))
		return -IOG_EINVAL;
	*interrupt = (struct iog_amdvi_interrupt){
		.enabled = true,
		.silent = low & IRTE_SILENT,
		.route = {
			.vector = (wide ? words[1] : low >> IRTE_VECTOR_SHIFT) & 0xff,
			.destination = wide ? wide_destination(words) : (uint32_t)(low >> IRTE_DESTINATION_SHIFT) & 0xff,
			.delivery = low >> 2 & 7,
			.flags = (low & IRTE_LOGICAL ? IOG_AMDVI_ROUTE_LOGICAL : 0) | (low & IRTE_EOI ? IOG_AMDVI_ROUTE_EOI : 0),
		},
	};
	return 0;
}

int iog_amdvi_interrupt_read(struct iog_amdvi *amdvi, uint32_t device, uint32_t index, struct iog_amdvi_interrupt *interrupt)
{
	int error = device_check(amdvi, device);
	const struct amdvi_interrupts *table;
	uint64_t words[2] = { 0, 0 };
	uintptr_t flags;

	if (!error && index >= amdvi->config.interrupts)
		error = -IOG_ERANGE;
	if (error)
		return error;
	table = table_of(amdvi, device);
	if (table) {
		flags = spin_lock(&amdvi->tables_lock, amdvi->platform);
		if (is_wide(amdvi)) {
			words[0] = __atomic_load_n(&table->entries[2 * (size_t)index], __ATOMIC_RELAXED);
			words[1] = __atomic_load_n(&table->entries[2 * (size_t)index + 1], __ATOMIC_RELAXED);
		} else {
			words[0] = __atomic_load_n((const uint32_t *)table->entries + index, __ATOMIC_RELAXED);
		}
		spin_unlock(&amdvi->tables_lock, amdvi->platform, flags);
	}
	return iog_amdvi_interrupt_decode(words, is_wide(amdvi), interrupt);
}

void iog_amdvi_interrupt_message(uint32_t index, uint64_t *address, uint32_t *data)
{
	*address = MESSAGE_ADDRESS;
	*data = index;
}
