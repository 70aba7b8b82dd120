/* SPDX-License-Identifier: MIT */
/*
 * Version of the headers (macros) and of the library that was linked (function), and the mark that exports a symbol.
 */
#ifndef IOGATE_VERSION_H
#define IOGATE_VERSION_H

#define IOG_VERSION_MAJOR 0
#define IOG_VERSION_MINOR 1
#define IOG_VERSION_PATCH 0

/* Comparable as a number: 0xMMmmpp. */
#define IOG_VERSION ((IOG_VERSION_MAJOR << 16) | (IOG_VERSION_MINOR << 8) | IOG_VERSION_PATCH)

#if defined(__GNUC__)
#define IOG_API __attribute__((visibility("default")))
#else
#define IOG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/**
 * iog_version() - the version of the library that was linked.
 *
 * Context: any.
 * Return: a number that compares with IOG_VERSION.
 */
IOG_API unsigned int iog_version(void);

#ifdef __cplusplus
}
#endif

#endif
