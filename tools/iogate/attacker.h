/* SPDX-License-Identifier: MIT */
/*
 * A device that does not keep to what it was told: it goes on using every address that it has ever seen, at random. What it reaches is the judge's to say.
 *
 * One per thread.
 */
#ifndef IOGATE_TOOL_ATTACKER_H
#define IOGATE_TOOL_ATTACKER_H

#include <stdint.h>

#include <iogate/host/sim.h>

#include "random.h"
#include "users.h"

struct attacker {
	struct users known; /* first pages */
	struct {
		uint64_t iova, pages;
	} *seen;
	uint64_t nr_seen, room;
	struct random random;
	uint64_t accesses, landed;
};

void attacker_init(struct attacker *attacker, uint64_t seed);
void attacker_fini(struct attacker *attacker);

/* The device is told of an address. */
void attacker_sees(struct attacker *attacker, uint64_t iova, uint64_t size);

/* It reads or writes at some of those, @count times. */
void attacker_strikes(struct attacker *attacker, struct iog_sim *sim, uint32_t device, uint32_t count);

#endif
