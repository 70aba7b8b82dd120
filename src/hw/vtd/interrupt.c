/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping (VT-d 5.1, 9.10, 9.11): a table of entries, each of which lets one device raise one interrupt. An entry that is not present blocks; messages in compatibility format are blocked
 * always.
 *
 * An entry has 128 bits. Its owner, the upper word, is written while it is not present and no interrupt of it can be remembered; where it goes is the lower word, and changes by one store.
 *
 * Locking: tables_lock over the entries and over which are taken. Hardware forgets outside of it; an entry that is being freed is taken until it has.
 */
#include "vtd.h"

/* Lower word */
#define IRTE_LOGICAL VTD_BIT(2)
#define IRTE_REDIRECT VTD_BIT(3)
#define IRTE_LEVEL VTD_BIT(4)
#define IRTE_DELIVERY(mode) ((uint64_t)(mode) << 5)
#define IRTE_VECTOR(vector) ((uint64_t)(vector) << 16)
#define IRTE_DESTINATION(id) ((uint64_t)(id) << 32)
#define IRTE_XAPIC_SHIFT 8
#define IRTE_SILENT VTD_BIT(1)
#define IRTE_POSTED VTD_BIT(15)
#define IRTE_RESERVED UINT64_C(0xff007000)
#define IRTE_RESERVED_XAPIC UINT64_C(0xffff00ff00000000)
/* Lower word, posted: the descriptor's address from bit 6 to 31 in the highest bits; the rest is in the upper word's */
#define IRTE_URGENT VTD_BIT(14)
#define IRTE_POSTED_RESERVED UINT64_C(0x3fff0030fc)
#define IRTE_DESCRIPTOR_LOW(low) ((low) >> 32 & 0xffffffc0)
#define IRTE_DESCRIPTOR_HIGH(high) ((high) & UINT64_C(0xffffffff00000000))
/* Upper word: the whole requester id is compared */
#define IRTE_OWNER(sid) ((uint64_t)(sid) | UINT64_C(1) << 18)
#define IRTE_UPPER_RESERVED(posted) ((posted) ? UINT64_C(0xfff00000) : UINT64_C(0xfffffffffff00000))
#define IRTE_VERIFY(high) ((uint32_t)((high) >> 18 & 3))
#define IRTE_IGNORED(high) ((uint32_t)((high) >> 16 & 3))

#define MESSAGE_ADDRESS UINT64_C(0xfee00000)
#define MESSAGE_REMAPPABLE UINT64_C(0x10)
#define MESSAGE_SUBHANDLE UINT64_C(0x8)

#define INTERRUPTS_MIN 256
#define INTERRUPTS_MAX 65536
#define COUNT_MAX 32
#define VECTOR_MIN 16
#define VECTOR_MAX 254
#define DELIVERY_FIXED 0
#define DELIVERY_LOWEST 1
#define DELIVERY_KNOWN UINT32_C(0xb7) /* 0 to 2, 4, 5, 7 */

static size_t table_bytes(const struct iog_vtd *vtd)
{
	return (size_t)vtd->config.interrupts * 16;
}

int iog_vtd_interrupts_create(struct iog_vtd *vtd)
{
	const struct iog_platform *platform = vtd->platform;
	uint32_t count = vtd->config.interrupts;

	if (!count)
		return 0;
	if (count < INTERRUPTS_MIN || count > INTERRUPTS_MAX || count & (count - 1))
		return -IOG_EINVAL;
	if (!(vtd->ecap & VTD_ECAP_IR) || !vtd->queued || (vtd->config.flags & IOG_VTD_X2APIC && !(vtd->ecap & VTD_ECAP_EIM)))
		return -IOG_EOPNOTSUPP;
	vtd->interrupts.count = count;
	vtd->interrupts.taken = platform->object_alloc(platform->ctx, slots_bytes(count));
	vtd->untold = platform->object_alloc(platform->ctx, slots_bytes(count));
	vtd->entries = platform->pages_alloc(platform->ctx, table_bytes(vtd));
	if (!vtd->interrupts.taken || !vtd->untold || !vtd->entries)
		return -IOG_ENOMEM;
	memset(vtd->entries, 0, table_bytes(vtd));
	vtd_clean(vtd, vtd->entries, table_bytes(vtd));
	return 0;
}

void iog_vtd_interrupts_destroy(struct iog_vtd *vtd)
{
	const struct iog_platform *platform = vtd->platform;

	if (vtd->interrupts.taken)
		platform->object_free(platform->ctx, vtd->interrupts.taken, slots_bytes(vtd->config.interrupts));
	if (vtd->untold)
		platform->object_free(platform->ctx, vtd->untold, slots_bytes(vtd->config.interrupts));
	if (vtd->entries)
		platform->pages_free(platform->ctx, vtd->entries, table_bytes(vtd));
}

int iog_vtd_interrupts_start(struct iog_vtd *vtd)
{
	struct vtd_command command = vtd_interrupt_all();
	uint32_t order = 0;
	int error;

	if (!vtd->entries)
		return 0;
	while (UINT32_C(2) << order < vtd->config.interrupts)
		order++;
	iog_mmio_publish(&vtd->mmio);
	iog_mmio_write64(&vtd->mmio, VTD_IRTA, vtd_paddr(vtd, vtd->entries) | (vtd->config.flags & IOG_VTD_X2APIC ? VTD_IRTA_EIME : 0) | order);
	error = iog_vtd_command_once(vtd, VTD_SIRTP);
	if (!error)
		error = iog_vtd_submit_again(vtd, &command, 1);
	/* No message passes that is not remapped. */
	if (!error)
		error = iog_vtd_command(vtd, VTD_CFI, false);
	return error ? error : iog_vtd_command(vtd, VTD_IRE, true);
}

int iog_vtd_interrupts_stop(struct iog_vtd *vtd)
{
	return vtd->entries ? iog_vtd_command(vtd, VTD_IRE, false) : 0;
}

static uint64_t *entry_of(const struct iog_vtd *vtd, uint32_t index)
{
	return vtd->entries + (size_t)index * 2;
}

int iog_vtd_interrupt_alloc(struct iog_vtd *vtd, uint32_t device, uint32_t count, uint32_t *index)
{
	uintptr_t flags;
	bool found;

	if (!vtd->entries)
		return -IOG_EOPNOTSUPP;
	if (!count || count > COUNT_MAX || count & (count - 1))
		return -IOG_EINVAL;
	if (device >> 16 != vtd->config.segment)
		return -IOG_ERANGE;
	flags = spin_lock(&vtd->tables_lock, vtd->platform);
	found = iog_slots_take(&vtd->interrupts, count, index);
	for (uint32_t n = 0; found && n < count; n++) {
		uint64_t *entry = entry_of(vtd, *index + n);

		__atomic_store_n(&entry[1], IRTE_OWNER(device & 0xffff), __ATOMIC_RELAXED);
		vtd_clean(vtd, &entry[1], sizeof(entry[1]));
	}
	spin_unlock(&vtd->tables_lock, vtd->platform, flags);
	return found ? 0 : -IOG_ENOSPC;
}

static int route_word(const struct iog_vtd *vtd, const struct iog_vtd_route *route, uint64_t *word)
{
	bool wide = vtd->config.flags & IOG_VTD_X2APIC;

	*word = 0;
	if (!route)
		return 0;
	if (route->flags & ~(uint32_t)(IOG_VTD_ROUTE_LOGICAL | IOG_VTD_ROUTE_REDIRECT | IOG_VTD_ROUTE_LEVEL) || route->delivery > 7 || !(DELIVERY_KNOWN >> route->delivery & 1))
		return -IOG_EINVAL;
	/* Others take no notice of it. */
	if (route->delivery <= DELIVERY_LOWEST && (route->vector < VECTOR_MIN || route->vector > VECTOR_MAX))
		return -IOG_EINVAL;
	if (route->vector > 0xff || (!wide && route->destination > 0xff))
		return -IOG_EINVAL;
	*word = VTD_PRESENT | IRTE_DELIVERY(route->delivery) | IRTE_VECTOR(route->vector) | IRTE_DESTINATION(wide ? route->destination : route->destination << IRTE_XAPIC_SHIFT) |
		(route->flags & IOG_VTD_ROUTE_LOGICAL ? IRTE_LOGICAL : 0) | (route->flags & IOG_VTD_ROUTE_REDIRECT ? IRTE_REDIRECT : 0) |
		(route->flags & IOG_VTD_ROUTE_LEVEL ? IRTE_LEVEL : 0);
	return 0;
}

/* Hardware forgets 2^@order entries. */
static int forget(struct iog_vtd *vtd, uint32_t index, uint32_t order)
{
	struct vtd_command command = vtd_interrupt_entries(index, order);
	uintptr_t flags;
	int error;

	error = atomic_load_explicit(&vtd->running, memory_order_acquire) ? iog_vtd_submit_again(vtd, &command, 1) : 0;
	if (error)
		return error;
	flags = spin_lock(&vtd->tables_lock, vtd->platform);
	for (uint32_t n = index; n < index + (UINT32_C(1) << order); n++)
		vtd->untold[n / 64] &= ~(UINT64_C(1) << n % 64);
	spin_unlock(&vtd->tables_lock, vtd->platform, flags);
	return 0;
}

int iog_vtd_interrupt_route(struct iog_vtd *vtd, uint32_t index, const struct iog_vtd_route *route)
{
	bool untold = false;
	uintptr_t flags;
	uint64_t word;
	int error;

	if (!vtd->entries)
		return -IOG_EOPNOTSUPP;
	if (index >= vtd->config.interrupts)
		return -IOG_ERANGE;
	error = route_word(vtd, route, &word);
	if (error)
		return error;
	flags = spin_lock(&vtd->tables_lock, vtd->platform);
	if (iog_slots_taken(&vtd->interrupts, index, 1)) {
		/* What was not present is remembered in caching mode only. */
		if (vtd_entry_load(entry_of(vtd, index)) & VTD_PRESENT || vtd->cap & VTD_CAP_CM)
			vtd->untold[index / 64] |= UINT64_C(1) << index % 64;
		untold = vtd->untold[index / 64] >> index % 64 & 1;
		vtd_entry_store(vtd, entry_of(vtd, index), word);
	} else {
		error = -IOG_ENOENT;
	}
	spin_unlock(&vtd->tables_lock, vtd->platform, flags);
	return error || !untold ? error : forget(vtd, index, 0);
}

int iog_vtd_interrupt_free(struct iog_vtd *vtd, uint32_t index, uint32_t count)
{
	uintptr_t flags;
	uint32_t order = 0;
	bool owned;
	int error;

	if (!vtd->entries)
		return -IOG_EOPNOTSUPP;
	if (!count || count > COUNT_MAX || count & (count - 1) || index & (count - 1))
		return -IOG_EINVAL;
	if (index >= vtd->config.interrupts)
		return -IOG_ERANGE;
	while (UINT32_C(1) << order < count)
		order++;
	flags = spin_lock(&vtd->tables_lock, vtd->platform);
	owned = iog_slots_taken(&vtd->interrupts, index, count);
	for (uint32_t n = 0; owned && n < count; n++)
		vtd_entry_store(vtd, entry_of(vtd, index + n), 0);
	spin_unlock(&vtd->tables_lock, vtd->platform, flags);
	if (!owned)
		return -IOG_ENOENT;
	error = forget(vtd, index, order);
	if (error)
		return error;
	flags = spin_lock(&vtd->tables_lock, vtd->platform);
	iog_slots_give(&vtd->interrupts, index, count);
	spin_unlock(&vtd->tables_lock, vtd->platform, flags);
	return 0;
}

int iog_vtd_interrupt_decode(const uint64_t words[2], bool x2apic, struct iog_vtd_interrupt *interrupt)
{
	/* Function bits that are not compared, by SQ: none, 2, 2 and 1, all three. */
	static const uint8_t ignored[] = { 0, 4, 6, 7 };
	uint64_t low = words[0], high = words[1];
	bool posted = low & IRTE_POSTED;
	struct iog_vtd_route route = { .vector = low >> 16 & 0xff };

	if (!(low & VTD_PRESENT)) {
		*interrupt = (struct iog_vtd_interrupt){ .present = false };
		return 0;
	}
	if (low & (posted ? IRTE_POSTED_RESERVED : IRTE_RESERVED | (x2apic ? 0 : IRTE_RESERVED_XAPIC)) || high & IRTE_UPPER_RESERVED(posted) ||
	    IRTE_VERIFY(high) > IOG_VTD_VERIFY_BUS)
		return -IOG_EINVAL;
	if (!posted) {
		route.destination = x2apic ? (uint32_t)(low >> 32) : (uint32_t)(low >> 40) & 0xff;
		route.delivery = low >> 5 & 7;
		route.flags = (low & IRTE_LOGICAL ? IOG_VTD_ROUTE_LOGICAL : 0) | (low & IRTE_REDIRECT ? IOG_VTD_ROUTE_REDIRECT : 0) | (low & IRTE_LEVEL ? IOG_VTD_ROUTE_LEVEL : 0);
		if (!(DELIVERY_KNOWN >> route.delivery & 1))
			return -IOG_EINVAL;
	}
	*interrupt = (struct iog_vtd_interrupt){
		.present = true,
		.silent = low & IRTE_SILENT,
		.posted = posted,
		.urgent = posted && low & IRTE_URGENT,
		.verify = IRTE_VERIFY(high),
		.source = high & 0xffff,
		.ignored = IRTE_VERIFY(high) == IOG_VTD_VERIFY_ID ? ignored[IRTE_IGNORED(high)] : 0,
		.route = route,
		.descriptor = posted ? IRTE_DESCRIPTOR_HIGH(high) | IRTE_DESCRIPTOR_LOW(low) : 0,
	};
	return 0;
}

int iog_vtd_interrupt_read(struct iog_vtd *vtd, uint32_t index, struct iog_vtd_interrupt *interrupt)
{
	uint64_t words[2];
	uintptr_t flags;

	if (!vtd->entries)
		return -IOG_EOPNOTSUPP;
	if (index >= vtd->config.interrupts)
		return -IOG_ERANGE;
	flags = spin_lock(&vtd->tables_lock, vtd->platform);
	words[0] = vtd_entry_load(entry_of(vtd, index));
	words[1] = vtd_entry_load(entry_of(vtd, index) + 1);
	spin_unlock(&vtd->tables_lock, vtd->platform, flags);
	return iog_vtd_interrupt_decode(words, vtd->config.flags & IOG_VTD_X2APIC, interrupt);
}

void iog_vtd_interrupt_message(uint32_t index, uint64_t *address, uint32_t *data)
{
	/* The subhandle, which a device with several messages adds to, comes with the data. */
	*address = MESSAGE_ADDRESS | (uint64_t)(index & 0x7fff) << 5 | MESSAGE_REMAPPABLE | MESSAGE_SUBHANDLE | (index >> 15 & 1) << 2;
	*data = 0;
}
