/* SPDX-License-Identifier: MIT */
/*
 * See json.h.
 */
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iogate/version.h>

#include "command.h"
#include "memory.h"
#include "message.h"

json_t *json_checked(json_t *value)
{
	if (!value) {
		message("the system gave no more memory");
		exit(EXIT_FOUND);
	}
	return value;
}

json_t *json_report(const char *command)
{
	unsigned int version = iog_version();
	char text[48];
	json_t *report = json_checked(json_object());

	snprintf(text, sizeof(text), "%u.%u.%u", version >> 16, version >> 8 & 0xff, version & 0xff);
	json_put_number(report, "schema", JSON_SCHEMA);
	json_put_string(report, "command", command);
	json_put_string(report, "version", text);
	return report;
}

void json_put(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, json_checked(value)))
		json_checked(NULL);
}

void json_put_number(json_t *object, const char *key, uint64_t value)
{
	/* JSON's integers end at 2^63 - 1 here. What lies above is a seed, and keeps its digits as a string. */
	char text[24];

	if (value <= INT64_MAX) {
		json_put(object, key, json_integer((json_int_t)value));
	} else {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
		json_put_string(object, key, text);
	}
}

void json_put_real(json_t *object, const char *key, double value)
{
	char text[48];

	snprintf(text, sizeof(text), value >= 1 || value <= -1 ? "%.3f" : "%.6g", value);
	json_put(object, key, json_real(strtod(text, NULL)));
}

void json_put_bool(json_t *object, const char *key, bool value)
{
	json_put(object, key, json_boolean(value));
}

void json_put_string(json_t *object, const char *key, const char *value)
{
	json_t *string = value ? json_string(value) : json_null();
	char *ascii;

	if (!string) {
		ascii = memory_string(value);
		for (char *at = ascii; *at; at++) {
			if (*at & 0x80)
				*at = '?';
		}
		string = json_string(ascii);
		free(ascii);
	}
	json_put(object, key, string);
}

void json_append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, json_checked(value)))
		json_checked(NULL);
}

void json_put_end(json_t *report, uint64_t seed, bool partial, const char *error)
{
	json_put_number(report, "seed", seed);
	json_put_bool(report, "partial", partial || error);
	if (error)
		json_put_string(report, "error", error);
}

int json_print(json_t *report)
{
	int ret = json_dumpf(report, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));

	if (!ret && (putchar('\n') == EOF || fflush(stdout)))
		ret = -1;
	if (ret)
		message("the report could not be written: %s", strerror(errno));
	json_decref(report);
	return ret;
}
