/* SPDX-License-Identifier: MIT */
/*
 * JSON reports. Everything is put into an object that takes the reference; running out of memory ends the process as in memory.h.
 */
#ifndef IOGATE_TOOL_JSON_H
#define IOGATE_TOOL_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/* A report of @command: "schema", "command", "version". */
json_t *json_report(const char *command);

void json_put(json_t *object, const char *key, json_t *value);
void json_put_number(json_t *object, const char *key, uint64_t value);
/* At most a thousandth of precision where the value is above 1. */
void json_put_real(json_t *object, const char *key, double value);
void json_put_bool(json_t *object, const char *key, bool value);
/* NULL becomes null; bytes that are no UTF-8 become "?". */
void json_put_string(json_t *object, const char *key, const char *value);
void json_append(json_t *array, json_t *value);
json_t *json_checked(json_t *value);

/* What every report says of its run. @error: what kept it from being complete, or NULL; it is partial then, too. */
void json_put_end(json_t *report, uint64_t seed, bool partial, const char *error);

/* Print a report on stdout and let go of it. Returns 0, or -1 with a message when stdout takes no more. */
int json_print(json_t *report);

#endif
