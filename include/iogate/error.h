/* SPDX-License-Identifier: MIT */
/*
 * Error codes. Every call that can fail returns 0 or one of these, negated. The numbers are those of Linux's errno, so
 * that a host which has an errno may pass them through; the names are iogate's own, so that a host without one needs none.
 */
#ifndef IOGATE_ERROR_H
#define IOGATE_ERROR_H

#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

enum iog_error {
	IOG_EPERM = 1,       /* the object was not granted this right */
	IOG_ENOENT = 2,      /* nothing is mapped there */
	IOG_EIO = 5,         /* hardware reported an error */
	IOG_EAGAIN = 11,     /* a bounded resource is taken at the moment; the same call may succeed later */
	IOG_ENOMEM = 12,     /* the platform gave no memory */
	IOG_EFAULT = 14,     /* a device access was refused by translation */
	IOG_EBUSY = 16,      /* in use */
	IOG_EEXIST = 17,     /* something is mapped there already */
	IOG_EINVAL = 22,     /* an argument is malformed: zero, misaligned, unknown bits */
	IOG_ENOSPC = 28,     /* no address or slot left */
	IOG_ERANGE = 34,     /* a well-formed argument lies outside what the object covers */
	IOG_EOPNOTSUPP = 95, /* this format or variant has no such operation */
	IOG_ETIMEDOUT = 110, /* hardware did not answer before its deadline */
};

/**
 * iog_strerror() - one English sentence fragment for an error.
 * @error: 0, a member of enum iog_error, or its negative.
 *
 * Context: any; does not allocate or wait.
 * Return: a constant string; "unknown error" for numbers that iogate never returns. Never NULL.
 */
IOG_API const char *iog_strerror(int error);

#ifdef __cplusplus
}
#endif

#endif
