/* SPDX-License-Identifier: MIT */
/*
 * What each error means, in words. A switch rather than a table: no relocations, no gaps to guard.
 */
#include <iogate/error.h>

const char *iog_strerror(int error)
{
	/* Negation in unsigned arithmetic: INT_MIN has no positive counterpart and must not be undefined. */
	unsigned int number = error < 0 ? 0u - (unsigned int)error : (unsigned int)error;

	switch (number) {
	case 0:
		return "success";
	case IOG_EPERM:
		return "the object was not granted this right";
	case IOG_ENOENT:
		return "nothing is mapped there";
	case IOG_EIO:
		return "hardware reported an error";
	case IOG_EAGAIN:
		return "a bounded resource is taken at the moment";
	case IOG_ENOMEM:
		return "the platform gave no memory";
	case IOG_EFAULT:
		return "a device access was refused by translation";
	case IOG_EBUSY:
		return "the object is in use";
	case IOG_EEXIST:
		return "something is mapped there already";
	case IOG_EINVAL:
		return "an argument is malformed";
	case IOG_ENOSPC:
		return "no address or slot is left";
	case IOG_ERANGE:
		return "an argument lies outside what the object covers";
	case IOG_EOPNOTSUPP:
		return "this format or variant has no such operation";
	case IOG_ETIMEDOUT:
		return "hardware did not answer before its deadline";
	default:
		return "unknown error";
	}
}
