/* SPDX-License-Identifier: MIT */
/*
 * Devices are set to something else: tables first, then hardware forgets what it knew, and then what is out of use goes back.
 *
 * An access that comes in between is subject to the former binding or to the new one, by what hardware remembers. If hardware does not say that it has forgotten, the change is taken back as
 * far as tables go, and the pages that it may still read are kept.
 */
#include "vtd.h"

static struct vtd_domain *domain_find(const struct iog_vtd *vtd, uint32_t id)
{
	struct vtd_domain *domain = vtd->domains;

	while (domain && domain->id != id)
		domain = domain->next;
	return domain;
}

static uint32_t levels_most(const struct iog_vtd *vtd)
{
	uint32_t sagaw = VTD_CAP_SAGAW(vtd->cap);

	return sagaw & 8 ? 5 : sagaw & 4 ? 4 : 3;
}

static int binding_of(const struct iog_vtd *vtd, uint32_t device, enum iog_domain_type type, uint32_t id, struct vtd_binding *binding)
{
	const struct vtd_domain *domain;

	memset(binding, 0, sizeof(*binding));
	binding->type = type;
	if (type == IOG_DOMAIN_BLOCKED)
		return 0;
	if (type == IOG_DOMAIN_IDENTITY) {
		if (!(vtd->ecap & VTD_ECAP_PT))
			return -IOG_EOPNOTSUPP;
		binding->did = vtd->identity_did;
		binding->levels = levels_most(vtd);
		return 0;
	}
	domain = domain_find(vtd, id);
	if (!domain)
		return -IOG_ENOENT;
	binding->did = id;
	binding->first_stage = domain->first_stage;
	binding->levels = domain->levels;
	binding->root = domain->root;
	binding->ats_depth = vtd_ats_depth(vtd, device);
	return 0;
}

static void spare_free(struct iog_vtd *vtd, struct vtd_spare *spare)
{
	for (uint32_t n = 0; n < 3; n++)
		vtd_page_free(vtd, spare->pages[n]);
}

/* Hardware may still read them: until it has been turned off. What does not find room is given up. */
static void spare_keep(struct iog_vtd *vtd, struct vtd_spare *spare)
{
	uintptr_t flags = spin_lock(&vtd->tables_lock, vtd->platform);

	for (uint32_t n = 0; n < 3; n++)
		if (spare->pages[n] && vtd->nr_lost < VTD_LOST)
			vtd->lost[vtd->nr_lost++] = spare->pages[n];
	spin_unlock(&vtd->tables_lock, vtd->platform, flags);
}

static struct vtd_command iotlb_of(const struct iog_vtd *vtd, const struct vtd_binding *binding)
{
	return binding->first_stage ? vtd_piotlb(binding->did, VTD_RID_PASID) : vtd_iotlb(VTD_DOMAIN, binding->did, vtd->drain);
}

/*
 * Hardware forgets that @device was bound to @former (VT-d 6.5.3.3): context entry, PASID entry, what it was translated to, in this order. What was not present is remembered only in caching mode, under
 * domain id 0 in the context cache. @spare: what the change has put out of use. With a table that the root led to, others' entries may be remembered by where they were, too: the whole of the context
 * cache goes.
 */
static int forget(struct iog_vtd *vtd, uint32_t device, const struct vtd_binding *former, const struct vtd_binding *binding, const struct vtd_spare *spare)
{
	const struct vtd_binding *remembered = former->type == IOG_DOMAIN_BLOCKED ? binding : former;
	struct vtd_command commands[3];
	uint32_t count = 0;

	if (!atomic_load_explicit(&vtd->running, memory_order_acquire) || remembered->type == IOG_DOMAIN_BLOCKED)
		return 0;
	if (former->type == IOG_DOMAIN_BLOCKED && !(vtd->cap & VTD_CAP_CM))
		return iog_vtd_write_buffer_flush(vtd);
	commands[count++] = spare->pages[0] ? vtd_context(VTD_GLOBAL, 0, 0) : vtd_context(VTD_SELECTIVE, former->did, device & 0xffff);
	if (vtd->scalable)
		commands[count++] = vtd_pasid(VTD_PASID_ONE, remembered->did, VTD_RID_PASID);
	commands[count++] = iotlb_of(vtd, remembered);
	return iog_vtd_submit_again(vtd, commands, count);
}

/* The device's own TLB. */
static int forget_device_tlb(struct iog_vtd *vtd, uint32_t device, uint32_t depth)
{
	struct vtd_command command;
	int error = -IOG_EAGAIN;

	if (!depth || !atomic_load_explicit(&vtd->running, memory_order_acquire))
		return 0;
	command = vtd_device_pages(device & 0xffff, depth, 0, 52);
	for (uint32_t n = 0; n < VTD_AGAIN && error == -IOG_EAGAIN; n++)
		error = iog_vtd_submit(vtd, &command, 1, device & 0xffff);
	return error == -IOG_EAGAIN ? -IOG_EIO : error;
}

/* By the setting that is under way. A device that was blocked meanwhile stays so. */
static void tables_set(struct iog_vtd *vtd, uint32_t device, const struct vtd_binding *binding, struct vtd_spare *spare, struct vtd_binding *former)
{
	uintptr_t flags = spin_lock(&vtd->tables_lock, vtd->platform);

	if (former)
		vtd_tables(vtd)->get(vtd, device, former);
	if (!vtd->setting.blocked)
		vtd_tables(vtd)->set(vtd, device, binding, spare);
	spin_unlock(&vtd->tables_lock, vtd->platform, flags);
}

/*
 * The former binding again, and what hardware may have fetched of the other meanwhile is forgotten, under that one's domain id. It needs no more pages than the change has put out of use, and
 * those hardware may read as what they were.
 */
static void take_back(struct iog_vtd *vtd, uint32_t device, const struct vtd_binding *binding, const struct vtd_binding *former, struct vtd_spare *spare)
{
	tables_set(vtd, device, former, spare, NULL);
	(void)forget(vtd, device, binding, former, spare);
	spare_keep(vtd, spare);
}

static int set(struct iog_vtd *vtd, uint32_t device, const struct vtd_binding *binding)
{
	struct vtd_spare spare = { { NULL } };
	struct vtd_binding former;
	uintptr_t flags = spin_lock(&vtd->tables_lock, vtd->platform);
	int error;

	/* Whoever blocks it gives its PASID table back. */
	vtd_tables(vtd)->get(vtd, device, &former);
	spin_unlock(&vtd->tables_lock, vtd->platform, flags);
	/* It may ask for translations from now on: what it had from others goes before. */
	error = former.ats_depth ? 0 : forget_device_tlb(vtd, device, binding->ats_depth);
	if (!error)
		error = vtd_tables(vtd)->prepare(vtd, device, binding, &spare);
	if (error) {
		spare_free(vtd, &spare);
		return error;
	}
	tables_set(vtd, device, binding, &spare, &former);
	error = forget(vtd, device, &former, binding, &spare);
	if (!error)
		error = forget_device_tlb(vtd, device, former.ats_depth);
	if (error)
		take_back(vtd, device, binding, &former, &spare);
	else
		spare_free(vtd, &spare);
	return error;
}

int iog_vtd_device_set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	struct iog_vtd *vtd = vtd_of(unit);
	struct vtd_binding binding;
	int error;

	if (device >> 16 != vtd->config.segment)
		return -IOG_ERANGE;
	error = binding_of(vtd, device, type, id, &binding);
	if (error)
		return error;
	iog_setting_begin(&vtd->setting, &vtd->tables_lock, vtd->platform, device);
	error = set(vtd, device, &binding);
	iog_setting_end(&vtd->setting, &vtd->tables_lock, vtd->platform);
	return error;
}

int iog_vtd_device_block(struct iog_unit *unit, uint32_t device)
{
	static const struct vtd_binding blocked = { .type = IOG_DOMAIN_BLOCKED };
	struct iog_vtd *vtd = vtd_of(unit);
	struct vtd_spare spare = { { NULL } };
	struct vtd_binding former;
	uintptr_t flags;
	int error;

	flags = spin_lock(&vtd->tables_lock, vtd->platform);
	iog_setting_block(&vtd->setting, device);
	vtd_tables(vtd)->get(vtd, device, &former);
	vtd_tables(vtd)->set(vtd, device, &blocked, &spare);
	spin_unlock(&vtd->tables_lock, vtd->platform, flags);
	error = forget(vtd, device, &former, &blocked, &spare);
	if (error)
		spare_keep(vtd, &spare);
	else
		spare_free(vtd, &spare);
	return error;
}

void iog_vtd_tables_free(struct iog_vtd *vtd)
{
	vtd_tables(vtd)->free_all(vtd);
	for (uint32_t n = 0; n < vtd->nr_lost; n++)
		vtd_page_free(vtd, vtd->lost[n]);
	vtd->nr_lost = 0;
}
