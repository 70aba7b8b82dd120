/* SPDX-License-Identifier: MIT */
/*
 * Version and error texts.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <iogate/error.h>
#include <iogate/version.h>

static const int errors[] = {
	0,          IOG_EPERM,  IOG_ENOENT, IOG_EIO,    IOG_EAGAIN,     IOG_ENOMEM,    IOG_EFAULT,
	IOG_EBUSY,  IOG_EEXIST, IOG_EINVAL, IOG_ENOSPC, IOG_ERANGE, IOG_EOPNOTSUPP, IOG_ETIMEDOUT,
};

static void test_version(void **state)
{
	(void)state;
	assert_int_equal(iog_version(), IOG_VERSION);
	assert_int_equal(IOG_VERSION >> 16, IOG_VERSION_MAJOR);
	assert_int_equal((IOG_VERSION >> 8) & 0xff, IOG_VERSION_MINOR);
	assert_int_equal(IOG_VERSION & 0xff, IOG_VERSION_PATCH);
}

static void test_every_error_has_its_own_text(void **state)
{
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		const char *text = iog_strerror(errors[i]);

		assert_non_null(text);
		assert_string_not_equal(text, "");
		assert_string_not_equal(text, "unknown error");
		assert_string_equal(text, iog_strerror(-errors[i]));
		for (j = 0; j < i; j++)
			assert_string_not_equal(text, iog_strerror(errors[j]));
	}
}

static void test_all_other_numbers_are_unknown(void **state)
{
	int error, known = 0;

	(void)state;
	for (error = 0; error < 4096; error++)
		known += strcmp(iog_strerror(-error), "unknown error") != 0;
	assert_int_equal(known, sizeof(errors) / sizeof(errors[0]));
	assert_string_equal(iog_strerror(INT_MAX), "unknown error");
	assert_string_equal(iog_strerror(INT_MIN), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_every_error_has_its_own_text),
		cmocka_unit_test(test_all_other_numbers_are_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
