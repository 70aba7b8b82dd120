/* SPDX-License-Identifier: MIT */
/*
 * RISC-V Sv39x4, Sv48x4, Sv57x4 (second stage, iohgatp): two bits more, all in the root, which is 16 KiB.
 */
#include "fmt_riscv.h"

#define FMT_SIGN_EXTENDS false
#define FMT_IAS_ALLOWED (IAS(41) | IAS(50) | IAS(59))
#define FMT_ROOT_BITS 2

#define PT_FORMAT riscv_x4
#include "variants.h"
