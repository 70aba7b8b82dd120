/* SPDX-License-Identifier: MIT */
/*
 * Map a buffer for a device, let the (simulated) device write to it, unmap it, and see the device refused.
 *
 *   cc examples/map.c $(pkg-config --cflags --libs iogate) -o map && ./map
 */
#include <stdio.h>

#include <iogate/host/posix.h>
#include <iogate/host/sim.h>
#include <iogate/iogate.h>

#define IOVA UINT64_C(0x40000000)
#define SIZE 4096

int main(void)
{
	static struct iog_gather gather;
	struct iog_posix *posix;
	struct iog_platform platform;
	struct iog_sim *sim;
	struct iog_sim_domain *domain;
	struct iog_tablemem *tables;
	struct iog_pgtable *pgtable;
	struct iog_pgtable_root root;
	struct iog_pgtable_config config = { .ops = &iog_vtdss_counted };
	char *buffer, word[] = "hello";
	int error = iog_posix_create(NULL, &posix);

	if (error)
		goto failed;

	/* A unit that watches all tables, tables for it to watch, and a page table that it walks. */
	platform = *iog_posix_platform(posix);
	if ((error = iog_sim_create(&platform, NULL, &sim)))
		goto failed;
	iog_sim_observe(sim, &platform);
	if ((error = iog_tablemem_create(&platform, NULL, &tables)))
		goto failed;
	config.tablemem = tables;
	if ((error = iog_pgtable_create(&config, &pgtable)))
		goto failed;
	iog_pgtable_root(pgtable, &root);
	if ((error = iog_sim_domain_create(sim, 1, &root, &domain)))
		goto failed;
	if ((error = iog_gather_init(&gather, pgtable, 0, iog_sim_flush, domain)))
		goto failed;

	/* A page of memory, mapped for reading and writing. */
	buffer = platform.pages_alloc(platform.ctx, SIZE);
	error = buffer ? 0 : -IOG_ENOMEM;
	if (error)
		goto failed;
	error = iog_pgtable_map(pgtable, IOVA, (uint64_t)(uintptr_t)buffer - platform.direct_map_offset, SIZE, IOG_PROT_READ | IOG_PROT_WRITE, &gather);
	if (error)
		goto failed;
	iog_sim_note_map(domain, IOVA, (uint64_t)(uintptr_t)buffer - platform.direct_map_offset, SIZE, IOG_PROT_READ | IOG_PROT_WRITE);
	error = iog_sim_dma(domain, IOVA, word, sizeof(word), IOG_PROT_WRITE, NULL);
	printf("mapped:   device wrote \"%s\" (%d)\n", buffer, error);

	/* Unmapped: after the flush, nobody may reach it any more. */
	iog_sim_note_unmap(domain, IOVA, SIZE);
	if ((error = iog_pgtable_unmap(pgtable, IOVA, SIZE, &gather, NULL)))
		goto failed;
	if ((error = iog_gather_flush(&gather)))
		goto failed;
	error = iog_sim_dma(domain, IOVA, word, sizeof(word), IOG_PROT_WRITE, NULL);
	printf("unmapped: device got \"%s\" (%d)\n", iog_strerror(error), error);

	platform.pages_free(platform.ctx, buffer, SIZE);
	iog_sim_domain_destroy(domain);
	iog_pgtable_destroy(pgtable, 0);
	error = iog_tablemem_destroy(tables);
	iog_sim_destroy(sim);
	iog_posix_destroy(posix);
	return error ? 1 : 0;

failed:
	fprintf(stderr, "failed: %s\n", iog_strerror(error));
	return 1;
}
