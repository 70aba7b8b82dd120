/* SPDX-License-Identifier: MIT */
/*
 * "iogate explain": its options.
 */
#include "explain.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "interrupt.h"
#include "json.h"
#include "message.h"
#include "options.h"
#include "size.h"
#include "walk/formats.h"

static const char help[] =
	"Usage: iogate explain --memory FILE --unit UNIT --root VALUE --device BDF IOVA\n"
	"       iogate explain --memory FILE --table ADDR --format NAME IOVA\n"
	"       iogate explain --memory FILE ... --dump\n"
	"Walk the tables of an IOMMU in a dump of a machine's memory, step by step as hardware does, and\n"
	"say why a DMA works or faults. IOVA and all addresses are numbers, 0x for hexadecimal.\n"
	"\n"
	"      --memory FILE     an ELF core: QEMU's dump-guest-memory, kdump's vmcore; or with --base a raw\n"
	"                        image; plain or compressed (gzip, xz, zstd, bzip2, lz4)\n"
	"      --base ADDR       FILE is a raw image, and this is the address of its first byte\n"
	"      --unit UNIT       vtd, amdvi, smmuv3, riscv\n"
	"      --root VALUE      the unit's register that holds the root table's address, as it reads: RTADDR_REG,\n"
	"                        Device Table Base Address Register, SMMU_STRTAB_BASE, ddtp\n"
	"      --strtab-cfg VALUE\n"
	"                        smmuv3: SMMU_STRTAB_BASE_CFG, as it reads (0x10: linear, 16 bits)\n"
	"      --capability VALUE\n"
	"                        vtd: CAP_REG; riscv: capabilities; as it reads (everything that there is)\n"
	"      --address-bits N  physical address bits of the machine (the format's most)\n"
	"      --device BDF      bus:device.function, or a device's number (StreamID, device_id)\n"
	"      --pasid N         of requests with PASID (SubstreamID, process_id)\n"
	"      --table ADDR      no unit: a page table by itself, of\n"
	"      --format NAME     vtdss, x86_64, amdv1, arm_s1, arm_s2, riscv, riscvx4, with\n"
	"      --bits N          input address bits (48; 50 for riscvx4) and\n"
	"      --granule SIZE    Arm: 4K, 16K, 64K (4K)\n"
	"      --dump            list every mapping, of --device or of all devices\n"
	"      --json            one JSON object on stdout\n"
	"      --seed N          for uniformity: nothing here is random\n"
	"  -h, --help\n"
	"\n"
	"Exit: 0 explained, also where the answer is a fault; 1 an error in FILE, or it does not hold what\n"
	"the answer needs; 2 usage.\n"
	"\n"
	"Example: a guest's memory by QEMU's monitor, then what the device 00:01.0 reaches at 0xfffc0000:\n"
	"  (qemu) dump-guest-memory guest.elf\n"
	"  (qemu) xp /1gx 0xfed90020                  # RTADDR_REG of a VT-d unit at 0xfed90000\n"
	"  iogate explain --memory guest.elf --unit vtd --root 0x261e000 --device 00:01.0 0xfffc0000\n";

enum {
	OPTION_MEMORY = OPTION_OWN,
	OPTION_BASE,
	OPTION_UNIT,
	OPTION_ROOT,
	OPTION_STRTAB_CFG,
	OPTION_CAPABILITY,
	OPTION_ADDRESS_BITS,
	OPTION_DEVICE,
	OPTION_PASID,
	OPTION_TABLE,
	OPTION_BITS,
	OPTION_GRANULE,
	OPTION_DUMP,
};

static const struct option long_options[] = {
	{ "memory", required_argument, NULL, OPTION_MEMORY },
	{ "base", required_argument, NULL, OPTION_BASE },
	{ "unit", required_argument, NULL, OPTION_UNIT },
	{ "root", required_argument, NULL, OPTION_ROOT },
	{ "strtab-cfg", required_argument, NULL, OPTION_STRTAB_CFG },
	{ "capability", required_argument, NULL, OPTION_CAPABILITY },
	{ "address-bits", required_argument, NULL, OPTION_ADDRESS_BITS },
	{ "device", required_argument, NULL, OPTION_DEVICE },
	{ "pasid", required_argument, NULL, OPTION_PASID },
	{ "table", required_argument, NULL, OPTION_TABLE },
	{ "bits", required_argument, NULL, OPTION_BITS },
	{ "granule", required_argument, NULL, OPTION_GRANULE },
	{ "dump", no_argument, NULL, OPTION_DUMP },
	OPTIONS_COMMON,
};

/* What has been said, before it is known whether it goes together. */
struct arguments {
	struct explain_request *request;
	bool has_root;
	bool has_table;
	struct common_options common;
	struct bare_table bare;
};

static int number_parse(const char *text, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 0);
	return !isdigit((unsigned char)text[0]) || *end || errno ? -1 : 0;
}

static int option_value(const char *option, const char *text, uint64_t *value)
{
	return number_parse(text, value) ? usage_error("%s %s: a number of 64 bits is wanted, 0x for hexadecimal", option, text) : 0;
}

const char *device_name(char text[DEVICE_TEXT], uint32_t device)
{
	if (device > 0xffff)
		snprintf(text, DEVICE_TEXT, "0x%" PRIx32, device);
	else
		snprintf(text, DEVICE_TEXT, "%02x:%02x.%x", device >> 8, device >> 3 & 0x1f, device & 7);
	return text;
}

/* The next part of a BDF: at most @most, ended by @end. */
static bool part(const char **at, uint32_t most, char end, uint32_t *value)
{
	char *behind;

	if (!isxdigit((unsigned char)**at))
		return false;
	*value = (uint32_t)strtoul(*at, &behind, 16);
	if (*behind != end || behind - *at > 4 || *value > most)
		return false;
	*at = behind + (end != 0);
	return true;
}

int device_parse(const char *text, uint32_t *device)
{
	uint32_t segment = 0, bus, slot, function;
	const char *at = text, *colon = strchr(text, ':');
	uint64_t number;

	if (!colon) {
		if (number_parse(text, &number) || number > UINT32_MAX)
			return -1;
		*device = (uint32_t)number;
		return 0;
	}
	if (strchr(colon + 1, ':') && !part(&at, 0xffff, ':', &segment))
		return -1;
	if (!part(&at, 0xff, ':', &bus) || !part(&at, 0x1f, '.', &slot) || !part(&at, 7, 0, &function))
		return -1;
	*device = segment << 16 | bus << 8 | slot << 3 | function;
	return 0;
}

static int parse_granule(const char *text, uint32_t *granule_bits)
{
	uint64_t size;

	if (option_size("--granule", text, 1, &size))
		return EXIT_USAGE;
	if (size != SIZE_4K && size != 4 * SIZE_4K && size != 16 * SIZE_4K)
		return usage_error("--granule %s: 4K, 16K or 64K is wanted", text);
	*granule_bits = size == SIZE_4K ? 12 : size == 4 * SIZE_4K ? 14 : 16;
	return 0;
}

static int parse_small(const char *option, const char *text, uint64_t least, uint64_t most, uint32_t *number)
{
	uint64_t value;

	if (number_parse(text, &value) || value < least || value > most)
		return usage_error("%s %s: a number from %" PRIu64 " to %" PRIu64 " is wanted", option, text, least, most);
	*number = (uint32_t)value;
	return 0;
}

static int take_option(int option, void *ctx)
{
	struct arguments *arguments = ctx;
	struct explain_request *request = arguments->request;
	struct unit_config *config = &request->config;

	switch (option) {
	case OPTION_MEMORY:
		request->path = optarg;
		return 0;
	case OPTION_BASE:
		request->raw = true;
		return option_value("--base", optarg, &request->base);
	case OPTION_UNIT:
		request->unit = unit_find(optarg);
		return request->unit ? 0 : usage_error("--unit %s: vtd, amdvi, smmuv3 or riscv is wanted", optarg);
	case OPTION_ROOT:
		arguments->has_root = true;
		return option_value("--root", optarg, &config->root);
	case OPTION_STRTAB_CFG:
		config->has_strtab_cfg = true;
		return option_value("--strtab-cfg", optarg, &config->strtab_cfg);
	case OPTION_CAPABILITY:
		config->has_capability = true;
		return option_value("--capability", optarg, &config->capability);
	case OPTION_ADDRESS_BITS:
		if (parse_small("--address-bits", optarg, 32, 56, &config->oas))
			return EXIT_USAGE;
		arguments->bare.oas = config->oas;
		return 0;
	case OPTION_DEVICE:
		request->has_device = true;
		return device_parse(optarg, &request->device) ? usage_error("--device %s: bus:device.function or a number is wanted", optarg) : 0;
	case OPTION_PASID:
		return parse_small("--pasid", optarg, 0, 0xfffff, &request->pasid);
	case OPTION_TABLE:
		arguments->has_table = true;
		return option_value("--table", optarg, &arguments->bare.root);
	case OPTION_BITS:
		return parse_small("--bits", optarg, 16, 64, &arguments->bare.ias);
	case OPTION_GRANULE:
		return parse_granule(optarg, &arguments->bare.granule_bits);
	default: /* OPTION_DUMP */
		request->dump = true;
		return 0;
	}
}

static int check_table(const struct arguments *arguments)
{
	struct explain_request *request = arguments->request;
	struct problem problem;

	if (arguments->common.format && format_table(arguments->common.format, &arguments->bare, &request->table, &problem))
		return usage_error("--format %s: %s", arguments->common.format, problem.text);
	if (!arguments->has_table || !arguments->common.format)
		return usage_error("--table ADDR and --format NAME go together");
	if (request->unit || arguments->has_root || request->has_device || request->pasid != NO_PASID)
		return usage_error("--table is a page table by itself: --unit, --root, --device and --pasid do not go with it");
	if (request->config.has_capability || request->config.has_strtab_cfg)
		return usage_error("--table is a page table by itself: --capability and --strtab-cfg are a unit's");
	return 0;
}

static int check_unit(const struct arguments *arguments)
{
	const struct explain_request *request = arguments->request;

	if (!request->unit)
		return usage_error("--unit or --table is wanted: whose tables are they?");
	if (!arguments->has_root)
		return usage_error("--root is wanted: what does %s read?", request->unit->root_register);
	if (arguments->bare.ias || arguments->bare.granule_bits)
		return usage_error("--bits and --granule are for --table; a unit's tables tell their own");
	if (request->config.has_strtab_cfg && request->unit != &unit_smmuv3)
		return usage_error("--strtab-cfg: only smmuv3 has that register");
	if (request->config.has_capability && !request->unit->capability_register)
		return usage_error("--capability: not for %s; its tables are explained without", request->unit->name);
	if (request->config.oas > 52 && request->unit != &unit_riscv)
		return usage_error("--address-bits %" PRIu32 ": %s has at most 52", request->config.oas, request->unit->name);
	if (!request->has_device && !request->dump)
		return usage_error("--device is wanted: whose DMA?");
	if (!request->has_device && request->pasid != NO_PASID)
		return usage_error("--pasid is one device's; --device is wanted");
	if (request->has_device && request->device > 0xffff && (request->unit == &unit_vtd || request->unit == &unit_amdvi))
		return usage_error("--device: a unit of %s serves one PCI segment; leave the segment out", request->unit->name);
	return 0;
}

static int parse(int argc, char **argv, struct explain_request *request)
{
	static const struct option_syntax syntax = { .help = help, .letters = ":h", .options = long_options, .own_formats = true, .take = take_option };
	struct arguments arguments = { .request = request };
	int ret;

	*request = (struct explain_request){ .pasid = NO_PASID };
	ret = options_parse(argc, argv, &syntax, &arguments.common, &arguments);
	if (ret)
		return ret;
	request->json = arguments.common.json;
	/* Before anything else: a format that does not exist is the likelier mistake. */
	ret = arguments.has_table || arguments.common.format ? check_table(&arguments) : check_unit(&arguments);
	if (ret)
		return ret;
	if (!request->path)
		return usage_error("--memory is wanted: which dump?");
	if (optind + 1 < argc)
		return usage_error("%s: one IOVA at a time", argv[optind + 1]);
	request->has_iova = optind < argc;
	if (request->has_iova == request->dump)
		return usage_error(request->dump ? "--dump lists all addresses; leave the IOVA out" : "no IOVA named");
	return request->has_iova ? option_value("IOVA", argv[optind], &request->iova) : 0;
}

void explain_table_context(const struct explain_request *request, struct context *context)
{
	*context = (struct context){ .ids = 1, .pasids = 1, .nr_spaces = 1 };
	context->spaces[0].first = request->table;
}

/* A file that cannot be used, as JSON too. */
static int refuse(const struct explain_request *request, const struct problem *problem)
{
	json_t *report;

	message("%s: %s", request->path, problem->text);
	if (request->json) {
		report = json_report("explain");
		json_put_bool(report, "partial", true);
		json_put_string(report, "error", problem->text);
		json_print(report);
	}
	return EXIT_FOUND;
}

int command_explain(int argc, char **argv)
{
	struct explain_request request;
	struct problem problem;
	struct image *image;
	int ret;

	ret = parse(argc, argv, &request);
	if (ret)
		return ret < 0 ? EXIT_DONE : ret;
	interrupt_catch();
	image = image_open(request.path, request.raw, request.base, &problem);
	if (!image)
		return refuse(&request, &problem);
	ret = request.dump ? explain_dump(&request, image) : explain_address(&request, image);
	if (image_error(image)) {
		message("%s: cannot be read: %s", request.path, strerror(image_error(image)));
		ret = EXIT_FOUND;
	}
	image_close(image);
	return ret;
}
