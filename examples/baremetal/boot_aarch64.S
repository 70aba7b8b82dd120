/* SPDX-License-Identifier: MIT */
/*
 * From EL1 with the MMU off to EL1 with it on, 1:1 by blocks of 1 GiB: atomics and caches work on normal memory only.
 */
	.text
	.globl start
start:
	mov x19, x0
	adrp x1, stack_end
	add x1, x1, :lo12:stack_end
	mov sp, x1

	adrp x1, table
	msr ttbr0_el1, x1
	mov x1, #0xff00 /* attribute 0: device, 1: normal, write-back */
	msr mair_el1, x1
	ldr x1, =0x200803519 /* 40 bits out; EPD1; inner shareable, write-back; T0SZ 25: 39 bits in */
	msr tcr_el1, x1
	tlbi vmalle1
	dsb sy
	isb
	mrs x1, sctlr_el1
	mov x2, #0x1005 /* I, C, M */
	orr x1, x1, x2
	msr sctlr_el1, x1
	isb

	mov x0, x19
	bl kernel_main

	.data
	.balign 4096
table:
	.quad 0x0060000000000401 /* registers, not executable */
	.quad 0x0000000040000705 /* memory */
	.fill 254, 8, 0
	.quad 0x0060004000000401 /* PCI configuration space */
	.fill 255, 8, 0

	.bss
	.balign 16
	.skip 65536
stack_end:

	.section .note.GNU-stack, "", @progbits
