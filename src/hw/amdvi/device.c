/* SPDX-License-Identifier: MIT */
/*
 * Devices are set to something else: the device table entry first, and then hardware forgets what it knew.
 *
 * Where a device's accesses go, and under which domain id they are remembered, stand in the entry's first two words; they change together, by one store of 128 bits (2.2.2.2). An access that comes
 * in between is subject to the former entry or to the new one, by what hardware remembers. If hardware does not say that it has forgotten, the change is taken back.
 */
#include "amdvi.h"

struct entry {
	uint64_t words[3]; /* the fourth is always 0 */
};

static uint64_t *entry_at(const struct iog_amdvi *amdvi, uint32_t device)
{
	return amdvi->table + (size_t)DTE_WORDS * (device & 0xffff);
}

static void store(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/* Under tables_lock: bits of the third word that @mask has. The others are not the caller's. */
static void third_word_store(const struct iog_amdvi *amdvi, uint32_t device, uint64_t mask, uint64_t value)
{
	uint64_t *at = &entry_at(amdvi, device)[2];

	store(at, (*at & ~mask) | (value & mask));
}

static void entry_load(const struct iog_amdvi *amdvi, uint32_t device, struct entry *entry)
{
	const uint64_t *at = entry_at(amdvi, device);

	for (uint32_t n = 0; n < 3; n++)
		entry->words[n] = __atomic_load_n(&at[n], __ATOMIC_RELAXED);
}

static bool is_blocked(const struct entry *entry)
{
	return !(entry->words[0] & (DTE_IR | DTE_IW));
}

/* What the firmware has said of interrupts and system messages stays. */
static void entry_block(struct entry *entry)
{
	entry->words[0] = DTE_V | DTE_TV;
	entry->words[1] = (entry->words[1] & DTE_SYSMGT) | AMDVI_BLOCKED_ID;
}

static struct amdvi_domain *domain_find(const struct iog_amdvi *amdvi, uint32_t id)
{
	struct amdvi_domain *domain = amdvi->domains;

	while (domain && domain->id != id)
		domain = domain->next;
	return domain;
}

static void entry_domain(const struct iog_amdvi *amdvi, uint32_t device, const struct amdvi_domain *domain, struct entry *entry)
{
	uint64_t gcr3;

	entry->words[0] = DTE_V | DTE_TV | DTE_IR | DTE_IW;
	entry->words[1] = (entry->words[1] & DTE_SYSMGT) | domain->id | (amdvi_ats_depth(amdvi, device) ? DTE_I : 0);
	if (!domain->gcr3) {
		entry->words[0] |= domain->root | (uint64_t)domain->levels << DTE_MODE_SHIFT;
		return;
	}
	gcr3 = amdvi_paddr(amdvi, domain->gcr3);
	entry->words[0] |= DTE_GV | DTE_GIOV | DTE_GCR3_14_12(gcr3);
	entry->words[1] |= DTE_GCR3_30_15(gcr3) | DTE_GCR3_51_31(gcr3);
	entry->words[2] = (entry->words[2] & ~DTE_GUEST_PAGING) | (domain->levels == 5 ? DTE_GUEST_PAGING_5 : 0);
}

/* @entry holds the present one, and becomes the new one. */
static int entry_make(const struct iog_amdvi *amdvi, uint32_t device, enum iog_domain_type type, uint32_t id, struct entry *entry)
{
	const struct amdvi_domain *domain;

	entry_block(entry);
	if (type == IOG_DOMAIN_BLOCKED)
		return 0;
	if (type == IOG_DOMAIN_IDENTITY) {
		entry->words[0] |= DTE_IR | DTE_IW;
		entry->words[1] |= amdvi->identity_id;
		return 0;
	}
	domain = domain_find(amdvi, id);
	if (!domain)
		return -IOG_ENOENT;
	entry_domain(amdvi, device, domain, entry);
	return 0;
}

/*
 * Hardware forgets the entry, and what it remembers of the device's former domain. The latter is more than the specification asks for, as what is remembered bears the domain's id, and not the device's; but units (and
 * models of them) have been seen to go by the device.
 */
static int forget(struct iog_amdvi *amdvi, uint32_t device, const struct entry *former)
{
	struct amdvi_command commands[2];
	uint32_t count = 0;

	/* Acquire: pairs with the release in iog_amdvi_enable(). */
	if (!atomic_load_explicit(&amdvi->running, memory_order_acquire))
		return 0;
	commands[count++] = amdvi_devtab_entry(device);
	if (!is_blocked(former))
		commands[count++] = iog_amdvi_domain_command(amdvi, DTE_DOMAIN(former->words[1]));
	return iog_amdvi_submit_again(amdvi, commands, count);
}

/* Under tables_lock. */
static void entry_write(struct iog_amdvi *amdvi, uint32_t device, const struct entry *entry)
{
	uint64_t *at = entry_at(amdvi, device);

	iog_mmio_publish(&amdvi->mmio);
	if (amdvi_store_both(at, entry->words[0], entry->words[1]))
		return;
	/* Blocked for a moment: a root must not be remembered under another domain's id. */
	store(&at[0], DTE_V | DTE_TV);
	iog_mmio_publish(&amdvi->mmio);
	store(&at[1], entry->words[1]);
	iog_mmio_publish(&amdvi->mmio);
	store(&at[0], entry->words[0]);
}

/* By the setting that is under way. A device that was blocked meanwhile stays so. */
static void entry_set(struct iog_amdvi *amdvi, uint32_t device, const struct entry *entry)
{
	uintptr_t flags = spin_lock(&amdvi->tables_lock, amdvi->platform);

	if (!amdvi->setting.blocked)
		entry_write(amdvi, device, entry);
	spin_unlock(&amdvi->tables_lock, amdvi->platform, flags);
}

static void guest_levels_set(struct iog_amdvi *amdvi, uint32_t device, uint64_t value)
{
	uintptr_t flags = spin_lock(&amdvi->tables_lock, amdvi->platform);

	third_word_store(amdvi, device, DTE_GUEST_PAGING, value);
	spin_unlock(&amdvi->tables_lock, amdvi->platform, flags);
}

/*
 * The third word says how many levels guest tables have. It changes only while the device is blocked: between domains with four and with five levels there is a moment without access.
 */
static int third_word_change(struct iog_amdvi *amdvi, uint32_t device, const struct entry *former, uint64_t value)
{
	struct entry blocked = *former;
	int error;

	entry_block(&blocked);
	entry_set(amdvi, device, &blocked);
	error = forget(amdvi, device, former);
	if (!error)
		guest_levels_set(amdvi, device, value);
	return error;
}

static int entry_change(struct iog_amdvi *amdvi, uint32_t device, const struct entry *former, const struct entry *entry)
{
	int error = 0;

	if ((entry->words[2] ^ former->words[2]) & DTE_GUEST_PAGING)
		error = third_word_change(amdvi, device, former, entry->words[2]);
	if (error)
		return error;
	entry_set(amdvi, device, entry);
	return forget(amdvi, device, former);
}

/* The former entry again, whatever has been changed. What hardware remembers is not known; it is asked once more to forget. */
static void take_back(struct iog_amdvi *amdvi, uint32_t device, const struct entry *entry, const struct entry *former)
{
	guest_levels_set(amdvi, device, former->words[2]);
	entry_set(amdvi, device, former);
	(void)forget(amdvi, device, entry);
}

static int device_forget_again(struct iog_amdvi *amdvi, uint32_t device)
{
	int error = -IOG_EAGAIN;

	if (!atomic_load_explicit(&amdvi->running, memory_order_acquire))
		return 0;
	for (uint32_t n = 0; n < AMDVI_AGAIN && error == -IOG_EAGAIN; n++)
		error = iog_amdvi_device_forget(amdvi, device);
	return error == -IOG_EAGAIN ? -IOG_EIO : error;
}

static int set(struct iog_amdvi *amdvi, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	struct entry former, entry;
	int error;

	entry_load(amdvi, device, &former);
	entry = former;
	error = entry_make(amdvi, device, type, id, &entry);
	if (error)
		return error;
	/* It may ask for translations from now on: what it had from others goes before. */
	if (entry.words[1] & DTE_I && !(former.words[1] & DTE_I))
		error = device_forget_again(amdvi, device);
	if (!error)
		error = entry_change(amdvi, device, &former, &entry);
	if (!error && former.words[1] & DTE_I)
		error = device_forget_again(amdvi, device);
	if (error)
		take_back(amdvi, device, &entry, &former);
	return error;
}

int iog_amdvi_device_set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	struct iog_amdvi *amdvi = amdvi_of(unit);
	int error;

	if (!amdvi_serves(amdvi, device))
		return -IOG_ERANGE;
	iog_setting_begin(&amdvi->setting, &amdvi->tables_lock, amdvi->platform, device);
	error = set(amdvi, device, type, id);
	iog_setting_end(&amdvi->setting, &amdvi->tables_lock, amdvi->platform);
	return error;
}

int iog_amdvi_device_block(struct iog_unit *unit, uint32_t device)
{
	struct iog_amdvi *amdvi = amdvi_of(unit);
	struct entry former, entry;
	uintptr_t flags;

	if (!amdvi_serves(amdvi, device))
		return -IOG_ERANGE;
	flags = spin_lock(&amdvi->tables_lock, amdvi->platform);
	iog_setting_block(&amdvi->setting, device);
	entry_load(amdvi, device, &former);
	entry = former;
	entry_block(&entry);
	entry_write(amdvi, device, &entry);
	spin_unlock(&amdvi->tables_lock, amdvi->platform, flags);
	return forget(amdvi, device, &former);
}

int iog_amdvi_device_settings(struct iog_amdvi *amdvi, uint32_t device, uint8_t settings)
{
	uint64_t *at;
	uintptr_t flags;
	uint64_t third;

	if (settings & 0x08)
		return -IOG_EINVAL;
	if (!amdvi_serves(amdvi, device))
		return -IOG_ERANGE;
	at = entry_at(amdvi, device);
	third = (uint64_t)(settings & 7) << 56 | (uint64_t)(settings >> 6) << 62;
	flags = spin_lock(&amdvi->tables_lock, amdvi->platform);
	store(&at[1], (at[1] & ~DTE_SYSMGT) | (uint64_t)(settings >> 4 & 3) << DTE_SYSMGT_SHIFT);
	third_word_store(amdvi, device, DTE_PASSES_56 | DTE_PASSES_62, third);
	spin_unlock(&amdvi->tables_lock, amdvi->platform, flags);
	return 0;
}

void iog_amdvi_table_reset(struct iog_amdvi *amdvi)
{
	memset(amdvi->table, 0, amdvi->table_bytes);
	for (size_t n = 0; n < amdvi->table_bytes / (DTE_WORDS * sizeof(uint64_t)); n++) {
		amdvi->table[n * DTE_WORDS] = DTE_V | DTE_TV;
		/* IntCtl is 0: refused. */
		amdvi->table[n * DTE_WORDS + 2] = amdvi->config.interrupts ? DTE_IV : 0;
	}
}

void iog_amdvi_device_interrupts(struct iog_amdvi *amdvi, uint32_t device, iog_paddr_t table, uint32_t count)
{
	uint64_t order = 0;

	while (UINT32_C(1) << order < count)
		order++;
	iog_mmio_publish(&amdvi->mmio);
	third_word_store(amdvi, device, DTE_INTERRUPTS, DTE_IV | order << DTE_INT_TAB_LEN_SHIFT | table | DTE_INT_CTL_REMAP);
}
