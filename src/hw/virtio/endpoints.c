/* SPDX-License-Identifier: MIT */
/*
 * Devices, and what they are subject to.
 *
 * Attaching an endpoint that is attached already replaces what it was attached to (5.13.6.3): there is no moment at which it is subject to neither. Refusal is a domain in which nothing is mapped.
 * The library's domains come to be with their first endpoint and cease to be with the last, mappings included.
 *
 *   domain->attached = endpoints that the device knows to be attached to it        domain->told <=> it is there
 *
 * An attachment that was not answered in time has failed, and may be made all the same. Whoever asks next finds that out, and undoes it, before he asks anything: until then, and as long as it cannot be
 * undone, nobody is attached anywhere, so that nobody comes to be in one domain with a device that ought not to be there.
 */
#include "virtio.h"

/* Apart from one another so far that no two domains ever want the same number. */
#define NUMBERS_STRIDE (UINT32_C(1) << 20)
#define NUMBERS_TRIED 16u

/* With control_lock, and nothing on its way: one request, and its answer. -IOG_ETIMEDOUT: it may still be executed, see iog_virtio_catch_up(). */
static int ask(struct iog_virtio *virtio, const struct vio_request *wanted)
{
	struct vio_batch *batch = &virtio->control;
	int error;

	vio_batch_clear(batch);
	*vio_batch_add(batch, wanted->type) = *wanted;
	error = iog_virtio_submit(virtio, batch);
	if (error)
		return error;
	error = iog_virtio_error(batch->requests[0].status);
	vio_batch_clear(batch);
	return error;
}

static uint32_t number_of(const struct iog_virtio *virtio, enum iog_domain_type type, const struct vio_domain *domain)
{
	if (domain)
		return domain->number;
	return type == IOG_DOMAIN_IDENTITY ? vio_number_identity(virtio) : vio_number_refused(virtio);
}

static struct vio_request attach_request(const struct iog_virtio *virtio, uint32_t device, enum iog_domain_type type, const struct vio_domain *domain)
{
	return (struct vio_request){ .type = REQ_ATTACH, .endpoint = device, .domain = number_of(virtio, type, domain), .flags = type == IOG_DOMAIN_IDENTITY ? ATTACH_F_BYPASS : 0 };
}

static struct vio_endpoint **link_of(struct iog_virtio *virtio, uint32_t device)
{
	struct vio_endpoint **link = &virtio->endpoints;

	while (*link && (*link)->device != device)
		link = &(*link)->next;
	return link;
}

/* With the lock of a domain that will come to be: what of its former life was not answered must not be executed in the next. */
static int begin_anew(struct iog_virtio *virtio, struct vio_domain *domain)
{
	int error = domain->batch.n ? iog_virtio_settle(virtio, &domain->batch) : 0;

	if (!error)
		vio_batch_clear(&domain->batch);
	return error;
}

/* The stray goes back to where it is taken to be. A domain that it had been the only one in has ceased to exist with it, and is told again. */
static int put_back(struct iog_virtio *virtio)
{
	const struct vio_endpoint *endpoint = *link_of(virtio, virtio->stray.endpoint);
	struct vio_request request = { .type = REQ_DETACH, .endpoint = virtio->stray.endpoint, .domain = virtio->stray.domain };
	struct vio_domain *domain;
	uintptr_t flags;
	int error;

	if (!endpoint || !endpoint->attached)
		return ask(virtio, &request);
	domain = endpoint->domain;
	request = attach_request(virtio, endpoint->device, endpoint->type, domain);
	if (!domain || domain->attached > 1)
		return ask(virtio, &request);
	flags = spin_lock(&domain->lock, virtio->platform);
	error = begin_anew(virtio, domain);
	if (!error)
		error = ask(virtio, &request);
	if (!error) {
		iog_virtio_domain_forget(domain);
		domain->told = true;
	}
	spin_unlock(&domain->lock, virtio->platform, flags);
	return error ? error : iog_virtio_reconcile_all(domain);
}

int iog_virtio_catch_up(struct iog_virtio *virtio)
{
	struct vio_batch *batch = &virtio->control;
	const struct vio_request *late = &batch->requests[0];
	int error;

	if (batch->n) {
		error = iog_virtio_settle(virtio, batch);
		if (error)
			return error;
		if (batch->n && late->status == S_OK && late->type == REQ_ATTACH) {
			virtio->stray = *late;
			virtio->strays = true;
		} else if (batch->n && late->status == S_OK && late->type == REQ_DETACH) {
			virtio->strays = false;
		}
		vio_batch_clear(batch);
	}
	error = virtio->strays ? put_back(virtio) : 0;
	if (!error)
		virtio->strays = false;
	return error;
}

static int attach(struct iog_virtio *virtio, uint32_t device, enum iog_domain_type type, const struct vio_domain *domain)
{
	const struct vio_request request = attach_request(virtio, device, type, domain);

	return ask(virtio, &request);
}

/*
 * A number for a domain that comes to be: one that the device knows nothing under. So they all are, but for a device that keeps domains over a reset. Where somebody is in one, who need not be ours, it is
 * emptied, and another one taken, if there are more.
 */
static int choose(struct iog_virtio *virtio, struct vio_domain *domain)
{
	uint32_t first = domain ? vio_number(virtio, domain->id) : vio_number_refused(virtio), number = first;

	for (uint32_t n = 0; virtio->inherits && n < NUMBERS_TRIED; n++) {
		int error = ask(virtio, &(struct vio_request){ .type = REQ_UNMAP, .domain = number, .first = virtio->info.input_first, .last = virtio->info.input_last });

		if (error == -IOG_ENOENT || (!error && !domain))
			break;
		/* One in which accesses pass has no mappings to be taken back; nobody of ours gets in there. */
		if (error && (error != -IOG_EINVAL || !domain))
			return error;
		/* The last two have their uses. */
		if (virtio->last_number - 2 - number < NUMBERS_STRIDE || n + 1 == NUMBERS_TRIED)
			number = first;
		else
			number += NUMBERS_STRIDE;
		if (number == first)
			break;
	}
	if (domain)
		domain->number = number;
	return 0;
}

/*
 * Attach it to something else, and follow what that does to domains. One that it is the last endpoint of ceases to exist: requests about it would fail, so that nobody reconciles it meanwhile. After an error the
 * endpoint is where it was, as far as the device has told.
 */
static int move(struct iog_virtio *virtio, struct vio_endpoint *endpoint, enum iog_domain_type type, struct vio_domain *domain)
{
	struct vio_domain *former = endpoint->attached ? endpoint->domain : NULL;
	uintptr_t flags = 0;
	int error = 0;

	if (domain && !domain->attached) {
		flags = spin_lock(&domain->lock, virtio->platform);
		error = begin_anew(virtio, domain);
		spin_unlock(&domain->lock, virtio->platform, flags);
		if (error)
			return error;
	}
	if (former)
		flags = spin_lock(&former->lock, virtio->platform);
	error = attach(virtio, endpoint->device, type, domain);
	if (!error && former && !--former->attached)
		iog_virtio_domain_forget(former);
	if (former)
		spin_unlock(&former->lock, virtio->platform, flags);
	if (error)
		return error;
	if (domain) {
		flags = spin_lock(&domain->lock, virtio->platform);
		domain->attached++;
		domain->told = true;
		spin_unlock(&domain->lock, virtio->platform, flags);
	}
	endpoint->attached = true;
	endpoint->type = type;
	endpoint->domain = domain;
	return 0;
}

/* The same with the mappings. */
static int place(struct iog_virtio *virtio, struct vio_endpoint *endpoint, enum iog_domain_type type, struct vio_domain *domain)
{
	int error = 0;

	if (type == IOG_DOMAIN_BLOCKED || (domain && !domain->attached))
		error = choose(virtio, domain);
	if (!error)
		error = move(virtio, endpoint, type, domain);
	if (!error && domain && domain->attached == 1)
		error = iog_virtio_reconcile_all(domain);
	return error;
}

/* With control_lock. What it was, and is again after an error if the device is well. */
static int set(struct iog_virtio *virtio, struct vio_endpoint *endpoint, enum iog_domain_type type, struct vio_domain *domain)
{
	enum iog_domain_type former_type = endpoint->type;
	struct vio_domain *former = endpoint->domain;
	int error;

	if (!virtio->on) {
		endpoint->type = type;
		endpoint->domain = domain;
		return 0;
	}
	error = iog_virtio_catch_up(virtio);
	if (error)
		return error;
	/* Attached anew it would leave its domain first, and take that along. */
	if (endpoint->attached && type == former_type && domain == former)
		return 0;
	error = place(virtio, endpoint, type, domain);
	/* If it is there, and the mappings are not. */
	if (error && (endpoint->type != former_type || endpoint->domain != former))
		(void)place(virtio, endpoint, former_type, former);
	return error;
}

int iog_virtio_device_set(struct iog_unit *unit, uint32_t device, enum iog_domain_type type, uint32_t id)
{
	struct iog_virtio *virtio = vio_of(unit);
	struct vio_domain *domain = type == IOG_DOMAIN_PAGING ? iog_virtio_domain(virtio, id) : NULL;
	struct vio_endpoint **link = link_of(virtio, device), *endpoint = *link;
	int error;

	if (type == IOG_DOMAIN_PAGING && !domain)
		return -IOG_EINVAL;
	if (type == IOG_DOMAIN_IDENTITY && !virtio->info.identity)
		return -IOG_EOPNOTSUPP;
	if (!endpoint) {
		/* Refused as it is. */
		if (type == IOG_DOMAIN_BLOCKED && !virtio->on)
			return 0;
		endpoint = virtio->platform->object_alloc(virtio->platform->ctx, sizeof(*endpoint));
		if (!endpoint)
			return -IOG_ENOMEM;
		endpoint->device = device;
		endpoint->type = IOG_DOMAIN_BLOCKED;
		*link = endpoint;
	}
	wait_lock(&virtio->control_lock, virtio->platform);
	error = set(virtio, endpoint, type, domain);
	wait_unlock(&virtio->control_lock);
	/* One that the device does not know to be refused is so all the same. */
	if (endpoint->type == IOG_DOMAIN_BLOCKED && !endpoint->attached) {
		*link = endpoint->next;
		virtio->platform->object_free(virtio->platform->ctx, endpoint, sizeof(*endpoint));
	}
	return error;
}

int iog_virtio_endpoints_attach(struct iog_virtio *virtio)
{
	int error = 0;

	wait_lock(&virtio->control_lock, virtio->platform);
	for (struct vio_endpoint *endpoint = virtio->endpoints; endpoint && !error; endpoint = endpoint->next)
		error = place(virtio, endpoint, endpoint->type, endpoint->domain);
	wait_unlock(&virtio->control_lock);
	return error;
}

int iog_virtio_endpoints_detach(struct iog_virtio *virtio)
{
	int error;

	wait_lock(&virtio->control_lock, virtio->platform);
	error = iog_virtio_catch_up(virtio);
	for (struct vio_endpoint *endpoint = virtio->endpoints; endpoint && !error; endpoint = endpoint->next)
		if (endpoint->attached)
			error = ask(virtio, &(struct vio_request){ .type = REQ_DETACH, .endpoint = endpoint->device, .domain = number_of(virtio, endpoint->type, endpoint->domain) });
	wait_unlock(&virtio->control_lock);
	return error;
}

void iog_virtio_endpoints_forget(struct iog_virtio *virtio)
{
	for (struct vio_endpoint *endpoint = virtio->endpoints; endpoint; endpoint = endpoint->next)
		endpoint->attached = false;
	for (struct vio_domain *domain = virtio->domains; domain; domain = domain->next) {
		vio_batch_clear(&domain->batch);
		domain->attached = 0;
		iog_virtio_domain_forget(domain);
	}
	vio_batch_clear(&virtio->control);
	virtio->strays = false;
}

void iog_virtio_endpoints_destroy(struct iog_virtio *virtio)
{
	while (virtio->endpoints) {
		struct vio_endpoint *endpoint = virtio->endpoints;

		virtio->endpoints = endpoint->next;
		virtio->platform->object_free(virtio->platform->ctx, endpoint, sizeof(*endpoint));
	}
}
