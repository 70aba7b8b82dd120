/* SPDX-License-Identifier: MIT */
/*
 * Fault reasons (VT-d 7.1.3, 7.2.3; legacy mode 1 to Dh, interrupt remapping 20h to 26h, scalable mode from 30h on).
 */
#include "vtd.h"

struct reason {
	uint8_t code;
	uint8_t reason;
	const char *text;
};

/* In ascending order of the code. */
static const struct reason reasons[] = {
	{ 0x01, IOG_FAULT_REASON_NO_DEVICE, "the root entry of the bus is not present" },
	{ 0x02, IOG_FAULT_REASON_NO_DEVICE, "the context entry of the device is not present" },
	{ 0x03, IOG_FAULT_REASON_MALFORMED, "the context entry holds what the unit does not have" },
	{ 0x04, IOG_FAULT_REASON_ADDRESS_SIZE, "the address is beyond what the unit translates" },
	{ 0x05, IOG_FAULT_REASON_PERMISSION, "a write where the second stage permits none" },
	{ 0x06, IOG_FAULT_REASON_PERMISSION, "a read where the second stage permits none" },
	{ 0x07, IOG_FAULT_REASON_WALK, "a second-stage table could not be read" },
	{ 0x08, IOG_FAULT_REASON_WALK, "the root entry could not be read" },
	{ 0x09, IOG_FAULT_REASON_WALK, "the context entry could not be read" },
	{ 0x0a, IOG_FAULT_REASON_MALFORMED, "a reserved field of the root entry is not 0" },
	{ 0x0b, IOG_FAULT_REASON_MALFORMED, "a reserved field of the context entry is not 0" },
	{ 0x0c, IOG_FAULT_REASON_MALFORMED, "a reserved field of a second-stage entry is not 0" },
	{ 0x0d, IOG_FAULT_REASON_PERMISSION, "a translated request, or one for a translation, which the context entry does not permit" },
	{ 0x20, IOG_FAULT_REASON_INTERRUPT, "an interrupt request with a reserved field that is not 0" },
	{ 0x21, IOG_FAULT_REASON_INTERRUPT, "an interrupt index beyond the remapping table" },
	{ 0x22, IOG_FAULT_REASON_INTERRUPT, "the interrupt remapping entry is not present" },
	{ 0x23, IOG_FAULT_REASON_INTERRUPT, "the interrupt remapping table could not be read" },
	{ 0x24, IOG_FAULT_REASON_INTERRUPT, "a reserved field of the interrupt remapping entry is not 0" },
	{ 0x25, IOG_FAULT_REASON_INTERRUPT, "an interrupt in compatibility format, which is blocked" },
	{ 0x26, IOG_FAULT_REASON_INTERRUPT, "the interrupt remapping entry is another device's" },
	{ 0x27, IOG_FAULT_REASON_INTERRUPT, "the posted-interrupt descriptor could not be read or written" },
	{ 0x28, IOG_FAULT_REASON_INTERRUPT, "a reserved field of the posted-interrupt descriptor is not 0" },
	{ 0x30, IOG_FAULT_REASON_MALFORMED, "the root table address register holds what the unit does not have" },
	{ 0x31, IOG_FAULT_REASON_PERMISSION, "a request with PASID, and the unit is in legacy mode" },
	{ 0x32, IOG_FAULT_REASON_PERMISSION, "a page request, and the unit is in legacy mode" },
	{ 0x38, IOG_FAULT_REASON_WALK, "the root entry could not be read" },
	{ 0x39, IOG_FAULT_REASON_NO_DEVICE, "the root entry of this half of the bus is not present" },
	{ 0x3a, IOG_FAULT_REASON_MALFORMED, "a reserved field of the root entry is not 0" },
	{ 0x40, IOG_FAULT_REASON_WALK, "the context entry could not be read" },
	{ 0x41, IOG_FAULT_REASON_NO_DEVICE, "the context entry of the device is not present" },
	{ 0x42, IOG_FAULT_REASON_MALFORMED, "a reserved field of the context entry is not 0" },
	{ 0x43, IOG_FAULT_REASON_MALFORMED, "the context entry holds what the unit does not have" },
	{ 0x44, IOG_FAULT_REASON_PERMISSION, "a translated request, or one for a translation, which the context entry does not permit" },
	{ 0x45, IOG_FAULT_REASON_PERMISSION, "a request with PASID, which the context entry does not permit" },
	{ 0x46, IOG_FAULT_REASON_NO_DEVICE, "a PASID beyond the directory" },
	{ 0x47, IOG_FAULT_REASON_PERMISSION, "a page request, which the context entry does not permit" },
	{ 0x48, IOG_FAULT_REASON_MALFORMED, "the PASID for requests without one is beyond the directory" },
	{ 0x50, IOG_FAULT_REASON_WALK, "the PASID directory entry could not be read" },
	{ 0x51, IOG_FAULT_REASON_NO_DEVICE, "the PASID directory entry is not present" },
	{ 0x52, IOG_FAULT_REASON_MALFORMED, "a reserved field of the PASID directory entry is not 0" },
	{ 0x58, IOG_FAULT_REASON_WALK, "the PASID table entry could not be read" },
	{ 0x59, IOG_FAULT_REASON_NO_DEVICE, "the PASID table entry is not present" },
	{ 0x5a, IOG_FAULT_REASON_MALFORMED, "a reserved field of the PASID table entry is not 0" },
	{ 0x5b, IOG_FAULT_REASON_MALFORMED, "the PASID table entry holds what the unit does not have" },
	{ 0x5c, IOG_FAULT_REASON_PERMISSION, "an execute request, which the PASID table entry does not permit" },
	{ 0x5d, IOG_FAULT_REASON_PERMISSION, "a supervisor's request, which the PASID table entry does not permit" },
	{ 0x70, IOG_FAULT_REASON_WALK, "a first-stage entry could not be read" },
	{ 0x71, IOG_FAULT_REASON_NOT_PRESENT, "a first-stage entry is not present" },
	{ 0x72, IOG_FAULT_REASON_MALFORMED, "a reserved field of a first-stage entry is not 0" },
	{ 0x73, IOG_FAULT_REASON_WALK, "an entry of the first stage's root table could not be read" },
	{ 0x74, IOG_FAULT_REASON_ADDRESS_SIZE, "a first-stage table is beyond what the second stage translates" },
	{ 0x75, IOG_FAULT_REASON_PERMISSION, "the second stage does not let the first stage's root table be read" },
	{ 0x76, IOG_FAULT_REASON_PERMISSION, "the second stage does not let a first-stage table be read" },
	{ 0x77, IOG_FAULT_REASON_PERMISSION, "the second stage does not let a first-stage entry be updated" },
	{ 0x78, IOG_FAULT_REASON_WALK, "a second-stage entry could not be read" },
	{ 0x79, IOG_FAULT_REASON_NOT_PRESENT, "a second-stage entry is not present" },
	{ 0x7a, IOG_FAULT_REASON_MALFORMED, "a reserved field of a second-stage entry is not 0" },
	{ 0x7b, IOG_FAULT_REASON_WALK, "an entry of the second stage's root table could not be read" },
	{ 0x7c, IOG_FAULT_REASON_WALK, "an accessed or dirty bit of a second-stage entry was to be set, and the unit's own accesses are not snooped" },
	{ 0x80, IOG_FAULT_REASON_ADDRESS_SIZE, "the address is not canonical" },
	{ 0x81, IOG_FAULT_REASON_PERMISSION, "a user's request to a page of the supervisor's" },
	{ 0x82, IOG_FAULT_REASON_PERMISSION, "a supervisor's execute request to a page of the user's" },
	{ 0x83, IOG_FAULT_REASON_ADDRESS_SIZE, "the first stage leads to where interrupt messages are" },
	{ 0x84, IOG_FAULT_REASON_ADDRESS_SIZE, "the address is beyond what the second stage translates" },
	{ 0x85, IOG_FAULT_REASON_PERMISSION, "a write where none is permitted" },
	{ 0x86, IOG_FAULT_REASON_PERMISSION, "a read where none is permitted" },
	{ 0x87, IOG_FAULT_REASON_ADDRESS_SIZE, "the second stage leads to where interrupt messages are" },
	{ 0x90, IOG_FAULT_REASON_WALK, "an accessed or dirty bit of a first-stage entry was to be set, and the unit's own accesses are not snooped" },
	{ 0x91, IOG_FAULT_REASON_WALK, "an accessed or dirty bit of a first-stage entry could not be set" },
};

enum iog_fault_reason iog_vtd_reason(uint32_t code, const char **text)
{
	for (uint32_t n = 0; n < sizeof(reasons) / sizeof(reasons[0]); n++) {
		if (reasons[n].code == code) {
			*text = reasons[n].text;
			return reasons[n].reason;
		}
	}
	*text = "a reason that this version does not know";
	return IOG_FAULT_REASON_OTHER;
}
