/* SPDX-License-Identifier: MIT */
/*
 * What somebody's first program looks like, as C and as C++: compiled against the installed library with what pkg-config says.
 */
#include <stdio.h>

#include <iogate/iogate.h>
#include <iogate/host/posix.h>

int main(void)
{
	struct iog_posix *posix;
	int error = iog_posix_create(NULL, &posix);

	if (error || iog_version() != IOG_VERSION) {
		fprintf(stderr, "%s\n", iog_strerror(error));
		return 1;
	}
	printf("iogate %d.%d.%d\n", IOG_VERSION_MAJOR, IOG_VERSION_MINOR, IOG_VERSION_PATCH);
	iog_posix_destroy(posix);
	return 0;
}
