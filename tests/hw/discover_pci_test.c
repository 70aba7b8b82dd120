/* SPDX-License-Identifier: MIT */
/*
 * Isolation groups and requester ids: machines as they are built, each with the groups that must come out. Where the expectations are those of other systems' group code (Linux), they hold for
 * topologies that both treat alike; where they are stricter the test says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <iogate/error.h>
#include <iogate/pci.h>

#define ACS 0x1d
#define EXPRESS IOG_PCI_EXPRESS

#define GOOD .flags = EXPRESS | IOG_PCI_ACS, .acs_capability = ACS, .acs_control = ACS
#define POOR .flags = EXPRESS | IOG_PCI_ACS, .acs_capability = ACS, .acs_control = 0
#define NONE .flags = EXPRESS
#define PORT(kind, first, last) .header = 1, .port = IOG_PCI_##kind, .secondary = first, .subordinate = last

static void group(struct iog_pci_function *functions, uint32_t count, uint32_t expected)
{
	const struct iog_pci_topology topology = { functions, count };
	uint32_t groups = UINT32_MAX;

	assert_int_equal(iog_pci_group(&topology, &groups), 0);
	if (groups != expected)
		for (uint32_t n = 0; n < count; n++)
			print_error("%02x:%02x.%u group %u requester %04x\n", functions[n].bdf >> 8, functions[n].bdf >> 3 & 31, functions[n].bdf & 7u,
				    functions[n].group, functions[n].requester);
	assert_int_equal(groups, expected);
	for (uint32_t n = 0; n < count; n++)
		assert_true(functions[n].group < groups);
}

#define GROUP(functions, expected) group(functions, sizeof(functions) / sizeof((functions)[0]), expected)

/* Root ports, switch and endpoints with ACS: each alone. */
static void isolated(void **state)
{
	struct iog_pci_function machine[] = {
		{ .bdf = IOG_BDF(0, 1, 0), GOOD, PORT(ROOT_PORT, 1, 3) },
		{ .bdf = IOG_BDF(1, 0, 0), NONE, PORT(UPSTREAM, 2, 4) },
		{ .bdf = IOG_BDF(2, 0, 0), GOOD, PORT(DOWNSTREAM, 3, 3) },
		{ .bdf = IOG_BDF(2, 1, 0), GOOD, PORT(DOWNSTREAM, 4, 4) },
		{ .bdf = IOG_BDF(3, 0, 0), NONE },
		{ .bdf = IOG_BDF(4, 0, 0), NONE },
		{ .bdf = IOG_BDF(0, 2, 0), .flags = EXPRESS, .port = IOG_PCI_INTEGRATED },
	};

	(void)state;
	GROUP(machine, 7);
	assert_int_equal(machine[4].requester, IOG_BDF(3, 0, 0));
}

/* A root port without ACS: all behind it are one with it. */
static void open_root_port(void **state)
{
	struct iog_pci_function machine[] = {
		{ .bdf = IOG_BDF(0, 1, 0), POOR, PORT(ROOT_PORT, 1, 4) },
		{ .bdf = IOG_BDF(1, 0, 0), NONE, PORT(UPSTREAM, 2, 4) },
		{ .bdf = IOG_BDF(2, 0, 0), GOOD, PORT(DOWNSTREAM, 3, 3) },
		{ .bdf = IOG_BDF(2, 1, 0), GOOD, PORT(DOWNSTREAM, 4, 4) },
		{ .bdf = IOG_BDF(3, 0, 0), NONE },
		{ .bdf = IOG_BDF(4, 0, 0), NONE },
		{ .bdf = IOG_BDF(0, 2, 0), GOOD, PORT(ROOT_PORT, 5, 5) },
		{ .bdf = IOG_BDF(5, 0, 0), NONE },
	};

	(void)state;
	GROUP(machine, 3);
	assert_int_equal(machine[4].group, machine[5].group);
	assert_int_equal(machine[4].group, machine[0].group);
	assert_int_not_equal(machine[7].group, machine[6].group);
	/* Each bit is needed. */
	for (uint32_t bit = 0; bit < 5; bit++) {
		if (bit == 1)
			continue;
		machine[0].acs_control = (uint16_t)(ACS & ~(1u << bit));
		GROUP(machine, 3);
	}
	/* One that the port cannot turn off is not. */
	machine[0].acs_capability = machine[0].acs_control;
	GROUP(machine, 8);
}

/* One downstream port without ACS sends to its neighbours: stricter than grouping only what is behind it. */
static void open_switch(void **state)
{
	struct iog_pci_function machine[] = {
		{ .bdf = IOG_BDF(3, 0, 0), NONE }, /* before its bridge: the order does not matter */
		{ .bdf = IOG_BDF(0, 1, 0), GOOD, PORT(ROOT_PORT, 1, 4) },
		{ .bdf = IOG_BDF(1, 0, 0), NONE, PORT(UPSTREAM, 2, 4) },
		{ .bdf = IOG_BDF(2, 0, 0), POOR, PORT(DOWNSTREAM, 3, 3) },
		{ .bdf = IOG_BDF(2, 1, 0), GOOD, PORT(DOWNSTREAM, 4, 4) },
		{ .bdf = IOG_BDF(4, 0, 0), NONE },
	};

	(void)state;
	GROUP(machine, 2);
	assert_int_equal(machine[0].group, machine[5].group);
	assert_int_equal(machine[0].group, machine[2].group);
	assert_int_not_equal(machine[0].group, machine[1].group);
	/* Known to isolate all the same. */
	machine[3].flags |= IOG_PCI_ISOLATES;
	GROUP(machine, 6);
}

/* Functions of one device without ACS reach one another; so do root ports in one. */
static void functions_of_one(void **state)
{
	struct iog_pci_function machine[] = {
		{ .bdf = IOG_BDF(0, 0x1f, 0), .header = 0x80 },
		{ .bdf = IOG_BDF(0, 0x1f, 2) },
		{ .bdf = IOG_BDF(0, 0x1f, 3) },
		{ .bdf = IOG_BDF(0, 0x1e, 0) },
		{ .bdf = IOG_BDF(0, 0x1c, 0), NONE, PORT(ROOT_PORT, 1, 1) },
		{ .bdf = IOG_BDF(0, 0x1c, 4), GOOD, PORT(ROOT_PORT, 2, 2) },
		{ .bdf = IOG_BDF(1, 0, 0), NONE },
		{ .bdf = IOG_BDF(2, 0, 0), NONE },
	};

	(void)state;
	/* 00:1f.*, 00:1e.0, and all of 00:1c: what is behind the good port can be reached through the other. */
	GROUP(machine, 3);
	assert_int_equal(machine[0].group, machine[2].group);
	assert_int_equal(machine[6].group, machine[7].group);
	assert_int_equal(machine[4].group, machine[5].group);
	machine[4].flags |= IOG_PCI_ACS;
	machine[4].acs_capability = machine[4].acs_control = ACS;
	GROUP(machine, 6);
}

/* Two functions of an endpoint; with ARI their numbers go beyond 7. */
static void endpoint_functions(void **state)
{
	struct iog_pci_function machine[] = {
		{ .bdf = IOG_BDF(0, 1, 0), GOOD, PORT(ROOT_PORT, 1, 1) },
		{ .bdf = IOG_BDF(1, 0, 0), NONE },
		{ .bdf = IOG_BDF(1, 0, 0) + 9, NONE },
	};

	(void)state;
	GROUP(machine, 2);
	assert_int_equal(machine[1].group, machine[2].group);
	machine[1].flags = machine[2].flags = EXPRESS | IOG_PCI_ACS;
	machine[1].acs_capability = machine[2].acs_capability = ACS;
	GROUP(machine, 2);
	machine[1].acs_control = ACS;
	GROUP(machine, 2);
	machine[2].acs_control = ACS;
	GROUP(machine, 3);
}

/* Behind a PCI Express to PCI bridge all have its ids; behind a bridge of conventional PCI, the bridge's own. */
static void conventional(void **state)
{
	struct iog_pci_function machine[] = {
		{ .bdf = IOG_BDF(0, 1, 0), GOOD, PORT(ROOT_PORT, 1, 2) },
		{ .bdf = IOG_BDF(1, 0, 0), NONE, PORT(TO_CONVENTIONAL, 2, 3) },
		{ .bdf = IOG_BDF(2, 3, 0) },
		{ .bdf = IOG_BDF(2, 4, 0), .header = 1, .secondary = 3, .subordinate = 3 },
		{ .bdf = IOG_BDF(3, 0, 0) },
		{ .bdf = IOG_BDF(0, 0x1e, 0), .header = 1, .secondary = 5, .subordinate = 5 },
		{ .bdf = IOG_BDF(5, 0, 0) },
		{ .bdf = IOG_BDF(0, 2, 0), .flags = EXPRESS, .port = IOG_PCI_INTEGRATED },
	};
	const struct iog_pci_topology topology = { machine, sizeof(machine) / sizeof(machine[0]) };
	uint16_t ids[IOG_PCI_IDS_MAX];
	uint32_t count;

	(void)state;
	GROUP(machine, 4);
	for (uint32_t n = 2; n < 5; n++) {
		assert_int_equal(machine[n].group, machine[1].group);
		assert_int_equal(machine[n].requester, IOG_BDF(2, 0, 0));
	}
	assert_int_equal(machine[1].requester, IOG_BDF(1, 0, 0));
	assert_int_equal(machine[6].group, machine[5].group);
	assert_int_equal(machine[6].requester, IOG_BDF(0, 0x1e, 0));
	assert_int_equal(iog_pci_ids(&topology, 4, ids, &count), 0);
	assert_int_equal(count, 3);
	assert_int_equal(ids[0], IOG_BDF(3, 0, 0));
	assert_int_equal(ids[1], IOG_BDF(2, 4, 0));
	assert_int_equal(ids[2], IOG_BDF(2, 0, 0));
	/* However well it isolates, it is its id that counts. */
	machine[1].flags |= IOG_PCI_ISOLATES;
	GROUP(machine, 4);
	assert_int_equal(machine[2].group, machine[1].group);
	/* A bridge that hides what it is. */
	machine[5].flags = IOG_PCI_HIDDEN_EXPRESS;
	GROUP(machine, 4);
	assert_int_equal(machine[6].requester, IOG_BDF(5, 0, 0));
}

/* A device that uses another function's id, and two that share one nobody has. */
static void aliases(void **state)
{
	struct iog_pci_function machine[] = {
		{ .bdf = IOG_BDF(0, 1, 0), GOOD, PORT(ROOT_PORT, 1, 1) },
		{ .bdf = IOG_BDF(1, 0, 0), .flags = EXPRESS | IOG_PCI_ALIAS, .alias = IOG_BDF(1, 0, 1) },
		{ .bdf = IOG_BDF(0, 4, 0), .flags = EXPRESS | IOG_PCI_ALIAS, .port = IOG_PCI_INTEGRATED, .alias = IOG_BDF(0, 4, 4) },
		{ .bdf = IOG_BDF(0, 5, 0), .flags = EXPRESS | IOG_PCI_ALIAS, .port = IOG_PCI_INTEGRATED, .alias = IOG_BDF(0, 4, 4) },
		{ .bdf = IOG_BDF(0, 6, 0), .flags = EXPRESS | IOG_PCI_ALIAS, .port = IOG_PCI_INTEGRATED, .alias = IOG_BDF(0, 7, 0) },
		{ .bdf = IOG_BDF(0, 7, 0), .flags = EXPRESS, .port = IOG_PCI_INTEGRATED },
	};

	(void)state;
	GROUP(machine, 4);
	assert_int_equal(machine[2].group, machine[3].group);
	assert_int_equal(machine[4].group, machine[5].group);
	assert_int_equal(machine[1].requester, IOG_BDF(1, 0, 1));
}

/* Virtual functions: apart, on a bus of their own too, unless an ACS that is there is off. */
static void virtual_functions(void **state)
{
	struct iog_pci_function machine[] = {
		{ .bdf = IOG_BDF(0, 1, 0), GOOD, PORT(ROOT_PORT, 1, 2) },
		{ .bdf = IOG_BDF(1, 0, 0), NONE },
		{ .bdf = IOG_BDF(1, 0, 1), .flags = EXPRESS | IOG_PCI_VIRTUAL, .physical = IOG_BDF(1, 0, 0) },
		{ .bdf = IOG_BDF(2, 0, 0), .flags = EXPRESS | IOG_PCI_VIRTUAL, .physical = IOG_BDF(1, 0, 0) },
	};
	const struct iog_pci_topology topology = { machine, 4 };

	(void)state;
	GROUP(machine, 4);
	assert_int_equal(iog_pci_parent(&topology, 3), 0);
	/* The port in front of them counts for them as for the physical one. */
	machine[0].acs_control = 0;
	GROUP(machine, 1);
}

/* Segments have nothing in common, the numbers of their groups aside. */
static void segments(void **state)
{
	struct iog_pci_function machine[] = {
		{ .bdf = IOG_BDF(0, 1, 0), .header = 0x80 },
		{ .bdf = IOG_BDF(0, 1, 1), .segment = 1, .header = 0x80 },
		{ .bdf = IOG_BDF(0, 1, 0), .segment = 1, .header = 0x80 },
	};

	(void)state;
	GROUP(machine, 2);
	assert_int_equal(machine[0].group, 0);
	assert_int_equal(machine[1].group, 1);
}

static void refused(void **state)
{
	struct iog_pci_function machine[] = {
		{ .bdf = IOG_BDF(0, 1, 0), NONE, PORT(ROOT_PORT, 1, 1) },
		{ .bdf = IOG_BDF(0, 2, 0), NONE, PORT(ROOT_PORT, 2, 2) },
	};
	const struct iog_pci_topology topology = { machine, 2 };
	uint16_t ids[IOG_PCI_IDS_MAX];
	uint32_t count;

	(void)state;
	assert_int_equal(iog_pci_group(&topology, NULL), 0);
	machine[1].secondary = 1;
	assert_int_equal(iog_pci_group(&topology, NULL), -IOG_EINVAL);
	machine[1].secondary = 3; /* above subordinate */
	assert_int_equal(iog_pci_group(&topology, NULL), -IOG_EINVAL);
	machine[1].secondary = 0;
	assert_int_equal(iog_pci_group(&topology, NULL), -IOG_EINVAL);
	machine[1].secondary = 2;
	machine[1].bdf = machine[0].bdf;
	assert_int_equal(iog_pci_group(&topology, NULL), -IOG_EINVAL);
	machine[1].bdf = IOG_BDF(3, 0, 0);
	machine[1].flags |= IOG_PCI_VIRTUAL;
	machine[1].header = 0;
	machine[1].physical = IOG_BDF(4, 0, 0);
	assert_int_equal(iog_pci_group(&topology, NULL), -IOG_EINVAL);
	/* Bridges in a circle, which iog_pci_group() would have refused. */
	machine[0] = (struct iog_pci_function){ .bdf = IOG_BDF(1, 0, 0), NONE, PORT(DOWNSTREAM, 2, 2) };
	machine[1] = (struct iog_pci_function){ .bdf = IOG_BDF(2, 0, 0), NONE, PORT(DOWNSTREAM, 1, 1) };
	assert_int_equal(iog_pci_ids(&topology, 0, ids, &count), -IOG_EINVAL);
	assert_int_equal(iog_pci_ids(&topology, 2, ids, &count), -IOG_EINVAL);
	assert_int_equal(iog_pci_group(&(struct iog_pci_topology){ NULL, 0 }, &count), 0);
	assert_int_equal(count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(isolated),	      cmocka_unit_test(open_root_port),	   cmocka_unit_test(open_switch), cmocka_unit_test(functions_of_one),
		cmocka_unit_test(endpoint_functions), cmocka_unit_test(conventional),	   cmocka_unit_test(aliases),	  cmocka_unit_test(virtual_functions),
		cmocka_unit_test(segments),	      cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
