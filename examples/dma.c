/* SPDX-License-Identifier: MIT */
/*
 * Let a (simulated) device fill a scatter list, take the list back, and see the device refused.
 *
 *   cc examples/dma.c $(pkg-config --cflags --libs iogate) -o dma && ./dma
 */
#include <stdio.h>

#include <iogate/host/posix.h>
#include <iogate/host/sim.h>
#include <iogate/iogate.h>

#define PAGE 4096
#define DEVICE_ID 7
#define CHECK(call) do { int error_ = (call); if (error_) { fprintf(stderr, "%s: %s\n", #call, iog_strerror(error_)); return 1; } } while (0)

int main(void)
{
	struct iog_posix *posix;
	struct iog_sim *sim;
	struct iog_tablemem *tables;
	struct iog_domain *domain;
	struct iog_device *device;
	iog_iova_t iova;
	uint32_t pairs;

	/* What the host supplies, an IOMMU, a domain, and a device in it. */
	CHECK(iog_posix_create(NULL, &posix));
	const struct iog_platform *platform = iog_posix_platform(posix);
	CHECK(iog_sim_create(platform, &(struct iog_sim_config){ .flags = IOG_SIM_NO_ORACLE }, &sim));
	CHECK(iog_tablemem_create(platform, NULL, &tables));
	CHECK(iog_domain_create(&(struct iog_domain_config){ .platform = platform, .pgtable = { .ops = &iog_vtdss_counted, .tablemem = tables } }, &domain));
	CHECK(iog_device_create(&(struct iog_device_config){ .platform = platform, .unit = iog_sim_unit(sim), .id = DEVICE_ID }, &device));
	CHECK(iog_domain_attach(domain, device));

	/* Two pages that are not neighbours in memory, as one range of addresses for the device. */
	char *buffer = platform->pages_alloc(platform->ctx, 4 * PAGE);
	CHECK(buffer ? 0 : -IOG_ENOMEM);
	iog_paddr_t paddr = (uint64_t)(uintptr_t)buffer - platform->direct_map_offset;
	struct iog_sg sg[] = { { .paddr = paddr + 3 * PAGE, .size = PAGE }, { .paddr = paddr, .size = PAGE } };
	CHECK(iog_dma_map_sg(device, 0, sg, 2, IOG_DMA_FROM_DEVICE, 0, &iova, &pairs));

	/* The device writes there; "world" begins the second page of the range. */
	CHECK(iog_sim_device_dma(sim, DEVICE_ID, iova, "hello", 6, IOG_PROT_WRITE, NULL));
	CHECK(iog_sim_device_dma(sim, DEVICE_ID, iova + PAGE, "world", 6, IOG_PROT_WRITE, NULL));
	printf("mapped:   two segments as %u; the device wrote \"%s %s\"\n", (unsigned int)pairs, buffer + 3 * PAGE, buffer);

	/* Unmapped: hardware has forgotten, and the same DMA faults. */
	CHECK(iog_dma_unmap_sg(device, 0, sg, 2, IOG_DMA_FROM_DEVICE, 0));
	int refused = iog_sim_device_dma(sim, DEVICE_ID, iova, "again", 6, IOG_PROT_WRITE, NULL);
	printf("unmapped: the device got \"%s\"\n", iog_strerror(refused));

	platform->pages_free(platform->ctx, buffer, 4 * PAGE);
	CHECK(iog_device_destroy(device));
	CHECK(iog_domain_destroy(domain));
	CHECK(iog_tablemem_destroy(tables));
	iog_sim_destroy(sim);
	iog_posix_destroy(posix);
	return refused == -IOG_EFAULT ? 0 : 1;
}
