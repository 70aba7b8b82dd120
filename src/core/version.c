/* SPDX-License-Identifier: MIT */
/*
 * The version this library was compiled as.
 */
#include <iogate/version.h>

unsigned int iog_version(void)
{
	return IOG_VERSION;
}
