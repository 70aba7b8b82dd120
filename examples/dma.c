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
	struct iog_domain_config domain_config = { .pgtable.ops = &iog_vtdss_counted };
	struct iog_device_config device_config = { .id = DEVICE_ID };
	char message[2 * PAGE] = "hello", *buffer;
	struct iog_platform platform;
	struct iog_tablemem *tables;
	struct iog_domain *domain;
	struct iog_device *device;
	struct iog_posix *posix;
	struct iog_sim *sim;
	struct iog_sg sg[2];
	iog_iova_t iova;
	uint32_t pairs;
	int refused;

	/* A platform, and a simulated IOMMU that watches its tables. */
	CHECK(iog_posix_create(NULL, &posix));
	platform = *iog_posix_platform(posix);
	CHECK(iog_sim_create(&platform, NULL, &sim));
	iog_sim_observe(sim, &platform);

	/* A domain, and a device in it. */
	CHECK(iog_tablemem_create(&platform, NULL, &tables));
	domain_config.platform = device_config.platform = &platform;
	domain_config.pgtable.tablemem = tables;
	CHECK(iog_domain_create(&domain_config, &domain));
	device_config.unit = iog_sim_unit(sim);
	CHECK(device_config.unit ? iog_device_create(&device_config, &device) : -IOG_ENOMEM);
	CHECK(iog_domain_attach(domain, device));

	/* Two pages that are not neighbours in memory, as one range of addresses for the device. */
	buffer = platform.pages_alloc(platform.ctx, 4 * PAGE);
	CHECK(buffer ? 0 : -IOG_ENOMEM);
	sg[0] = (struct iog_sg){ .paddr = (uint64_t)(uintptr_t)buffer + 3 * PAGE - platform.direct_map_offset, .size = PAGE };
	sg[1] = (struct iog_sg){ .paddr = (uint64_t)(uintptr_t)buffer - platform.direct_map_offset, .size = PAGE };
	CHECK(iog_dma_map_sg(device, 0, sg, 2, IOG_DMA_FROM_DEVICE, 0, &iova, &pairs));

	/* The device writes there. The judge is told what should work. */
	iog_sim_note_map(iog_sim_device_domain(sim, DEVICE_ID), iova, sg[0].paddr, PAGE, IOG_PROT_WRITE);
	iog_sim_note_map(iog_sim_device_domain(sim, DEVICE_ID), iova + PAGE, sg[1].paddr, PAGE, IOG_PROT_WRITE);
	message[PAGE] = '!';
	CHECK(iog_sim_device_dma(sim, DEVICE_ID, iova, message, sizeof(message), IOG_PROT_WRITE, NULL));
	printf("mapped:   %u segments as %u; the device wrote \"%s%c\"\n", 2u, (unsigned int)pairs, buffer + 3 * PAGE, buffer[0]);

	/* Unmapped: hardware has forgotten, and the same DMA faults. */
	iog_sim_note_unmap(iog_sim_device_domain(sim, DEVICE_ID), iova, 2 * PAGE);
	CHECK(iog_dma_unmap_sg(device, 0, sg, 2, IOG_DMA_FROM_DEVICE, 0));
	refused = iog_sim_device_dma(sim, DEVICE_ID, iova, message, sizeof(message), IOG_PROT_WRITE, NULL);
	printf("unmapped: the device got \"%s\"\n", iog_strerror(refused));

	platform.pages_free(platform.ctx, buffer, 4 * PAGE);
	CHECK(iog_device_destroy(device));
	CHECK(iog_domain_destroy(domain));
	CHECK(iog_tablemem_destroy(tables));
	iog_sim_destroy(sim);
	iog_posix_destroy(posix);
	return refused == -IOG_EFAULT ? 0 : 1;
}
