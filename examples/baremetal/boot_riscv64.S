/* SPDX-License-Identifier: MIT */
/*
 * Machine mode, no translation, one hart.
 */
	.text
	.globl start
start:
	la sp, stack_end
	mv a0, a1
	call kernel_main

	.bss
	.balign 16
	.skip 65536
stack_end:

	.section .note.GNU-stack, "", @progbits
