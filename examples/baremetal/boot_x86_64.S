/* SPDX-License-Identifier: MIT */
/*
 * PVH: 32 bits, no paging, the start information in %ebx. From there to 64 bits, the first 4 GiB mapped 1:1.
 */
	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad start

	.text
	.code32
	.globl start
start:
	cli
	cld
	mov $stack_end, %esp
	mov $directories, %edi
	mov $0x83, %eax /* present, writable, 2 MiB */
	mov $2048, %ecx
1:	mov %eax, (%edi)
	movl $0, 4(%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b

	mov $root, %eax
	mov %eax, %cr3
	mov %cr4, %eax
	or $0x20, %eax /* PAE */
	mov %eax, %cr4
	mov $0xc0000080, %ecx /* EFER */
	rdmsr
	or $0x100, %eax /* LME */
	wrmsr
	mov %cr0, %eax
	or $0x80000001, %eax /* PG, PE */
	mov %eax, %cr0
	lgdt descriptor
	ljmp $8, $2f

	.code64
2:	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %ebx, %edi
	xor %ebp, %ebp
	call kernel_main

	.data
	.balign 4096
root:
	.quad directory_pointers + 3
	.fill 511, 8, 0
directory_pointers:
	.quad directories + 3, directories + 0x1003, directories + 0x2003, directories + 0x3003
	.fill 508, 8, 0
descriptors:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
descriptor:
	.word 23
	.quad descriptors

	.bss
	.balign 4096
directories:
	.skip 4 * 4096
	.skip 65536
stack_end:

	.section .note.GNU-stack, "", @progbits
