/* SPDX-License-Identifier: MIT */
/*
 * See options.h.
 */
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "engine.h"
#include "message.h"
#include "policy.h"
#include "size.h"

/* What getopt_long() found wrong. */
static int option_bad(int option, char **argv)
{
	bool is_long = optind > 0 && !strncmp(argv[optind - 1], "--", 2);
	char name[3] = { '-', (char)optopt, 0 };
	const char *text = is_long ? argv[optind - 1] : name;

	if (option == ':')
		return usage_error("%s: wants a value", text);
	if (is_long && optopt)
		return usage_error("%s: takes no value", text);
	return usage_error("%s: no such option", text);
}

int option_size(const char *option, const char *text, uint64_t bare, uint64_t *size)
{
	uint64_t value;

	if (size_parse(text, bare, &value))
		return usage_error("%s %s: not a size (a number and K, M, G, T, P or E; below 16E)", option, text);
	if (!value)
		return usage_error("%s %s: nothing to do with a size of 0", option, text);
	*size = value;
	return 0;
}

int option_number(const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *number)
{
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (!*text || strspn(text, "0123456789") != strlen(text) || errno || value < least || value > most)
		return usage_error("%s %s: a whole number from %" PRIu64 " to %" PRIu64 " is wanted", option, text, least, most);
	*number = value;
	return 0;
}

/* Any 64-bit number, decimal or 0x. */
static int option_seed(const char *text, uint64_t *seed)
{
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (!*text || *end || errno || !strchr("0123456789", text[0]))
		return usage_error("--seed %s: a number of 64 bits is wanted", text);
	*seed = value;
	return 0;
}

static int option_format(const char *text, const char **format)
{
	if (!format_known(text))
		return usage_error("--format %s: there is no such page-table format in this version; there is %s", text, format_names());
	*format = text;
	return 0;
}

static int option_reclaim(const char *text, enum iog_reclaim *reclaim)
{
	if (reclaim_parse(text, reclaim))
		return usage_error("--reclaim %s: none, rwlock or counted is wanted", text);
	return 0;
}

int option_inval(const char *option, const char *text, enum iog_inval_mode *mode)
{
	if (mode_parse(text, mode))
		return usage_error("%s %s: strict, deferred or held is wanted", option, text);
	return 0;
}

int options_need_4k(const struct common_options *common)
{
	char granule[SIZE_TEXT];

	if (format_granule(common->format) > SIZE_4K)
		return usage_error("--format %s: its smallest page has %s; 4K are wanted here", common->format,
				   size_exact(granule, format_granule(common->format)));
	return 0;
}

/* The help's last part, of what has more names than a line holds. */
static void print_formats(void)
{
	uint32_t column = 0;
	const char *name;

	printf("\nFormats:\n ");
	for (uint32_t i = 0; (name = iog_format_name(i)); i++) {
		if (column + strlen(name) > 90) {
			printf("\n ");
			column = 0;
		}
		column += (uint32_t)printf(" %s", name);
	}
	putchar('\n');
}

/* Returns 0; EXIT_USAGE; or 1 for an option that is not common. */
static int take_common(int option, char **argv, bool own_formats, struct common_options *common)
{
	switch (option) {
	case OPTION_FORMAT:
		if (!own_formats)
			return option_format(optarg, &common->format);
		common->format = optarg;
		return 0;
	case OPTION_RECLAIM:
		return option_reclaim(optarg, &common->reclaim);
	case OPTION_MEMORY_LIMIT:
		return option_size("--memory-limit", optarg, 1, &common->memory_limit);
	case OPTION_SEED:
		return option_seed(optarg, &common->seed);
	case OPTION_JSON:
		common->json = true;
		return 0;
	case '?':
	case ':':
		return option_bad(option, argv);
	default:
		return 1;
	}
}

int options_parse(int argc, char **argv, const struct option_syntax *syntax, struct common_options *common, void *request)
{
	int option, ret;

	opterr = 0;
	while ((option = getopt_long(argc, argv, syntax->letters, syntax->options, NULL)) != -1) {
		if (option == 'h') {
			fputs(syntax->help, stdout);
			if (!syntax->own_formats)
				print_formats();
			return -1;
		}
		ret = take_common(option, argv, syntax->own_formats, common);
		if (ret == 1)
			ret = syntax->take(option, request);
		if (ret)
			return ret;
	}
	return 0;
}
