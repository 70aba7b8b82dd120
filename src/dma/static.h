/* SPDX-License-Identifier: MIT */
/*
 * Static 1:1: memory that is mapped once, where it is.
 */
#ifndef IOG_DMA_STATIC_H
#define IOG_DMA_STATIC_H

#include "domain.h"

/**
 * iog_domain_map_memory() - map memory 1:1, with the largest leaves that the page table allows.
 * @domain: new; its page table and its lanes are there.
 * @memory: what to map.
 * @nr: how many.
 *
 * Return: 0; -IOG_EINVAL for what is misaligned, empty or named twice; -IOG_ERANGE for what the page table cannot express; -IOG_ENOMEM. What was mapped is left to the
 *         destruction of the domain.
 */
int iog_domain_map_memory(struct iog_domain *domain, const struct iog_memory *memory, uint32_t nr);

#endif
