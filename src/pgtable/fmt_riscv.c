/* SPDX-License-Identifier: MIT */
/*
 * RISC-V Sv39, Sv48, Sv57 (first stage, iosatp): addresses sign-extended on request. Level 0 is the specification's level 0, and so on up.
 */
#include "fmt_riscv.h"

#define FMT_SIGN_EXTENDS true
#define FMT_IAS_ALLOWED (IAS(39) | IAS(48) | IAS(57))

#define PT_FORMAT riscv
#include "variants.h"
