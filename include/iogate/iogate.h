/* SPDX-License-Identifier: MIT */
/*
 * All of the freestanding core. What a host supplies has headers of its own under <iogate/host/>.
 */
#ifndef IOGATE_IOGATE_H
#define IOGATE_IOGATE_H

#include <iogate/discover.h>
#include <iogate/dma.h>
#include <iogate/domain.h>
#include <iogate/error.h>
#include <iogate/fault.h>
#include <iogate/gather.h>
#include <iogate/iova.h>
#include <iogate/pci.h>
#include <iogate/pgtable.h>
#include <iogate/platform.h>
#include <iogate/tablemem.h>
#include <iogate/types.h>
#include <iogate/unit.h>
#include <iogate/version.h>

#endif
