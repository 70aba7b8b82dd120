#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""VT-d and AMD-Vi: from a device to its tables in every mode, and what the unit says when something is wrong. Usage: explain_x86_test.py IOGATE"""
import explain_kit as kit
from explain_kit import Memory, faults, listing, ranges_of, says, works
from explain_nested import check_nested, nested
from explain_tables import AmdV1, Tree, VtdSecond, X86

BDF = '02:03.1'
DEVFN = 3 << 3 | 1
ID = 2 << 8 | DEVFN


def test_vtd_legacy():
    memory = Memory()
    root, context = memory.alloc(), memory.alloc()
    tree = Tree(memory, VtdSecond(48))
    page = tree.map(0x5000, 0x9000)
    tree.map(0x6000, 0xa000, prot='r')
    tree.map(0x40000000, 0x80000000, 2)
    memory.put(root + 16 * 2, context | 1, 0)
    entry = memory.put(context + 16 * DEVFN, tree.root | 1, 2 | 77 << 8)
    unit = ['--unit', 'vtd', '--root', hex(root)]
    args = unit + ['--device', BDF]
    report = says(memory, args, 0x5678, 'A DMA read or write by 02:03.1 at 0x5678 works: it reaches 0x9678, in a page of 4K.')
    steps = report['steps']
    kit.check([s['name'] for s in steps] == ['RTADDR_REG', 'Root entry', 'Context entry', 'SS-PML4E', 'SS-PDPE', 'SS-PDE', 'SS-PTE'], 'steps', steps)
    kit.check([s['level'] for s in steps] == [None, None, None, 3, 2, 1, 0], 'levels', steps)
    kit.check(steps[2]['fields']['DID'] == 77 and steps[2]['index'] == DEVFN and steps[2]['fields']['SSPTPTR'] == hex(tree.root), 'fields', steps[2])
    kit.check(int(steps[2]['entry'], 16) == (2 | 77 << 8) << 64 | tree.root | 1, 'entry', steps[2])
    works(memory, args, 0x40001234, 0x80001234, 1 << 30)
    faults(memory, args, 0x6000, None, 5, 'A DMA read by 02:03.1 at 0x6000 works', 'a write faults with reason 5h', 'SS-PTE 0x6: W is 0')
    faults(memory, args, 0x7000, 6, 5, 'a read with reason 6h', 'a write with reason 5h', 'SS-PTE 0x7: R and W are 0')
    faults(memory, args, 1 << 48, 4, 4, 'beyond the 48 bits')
    faults(memory, unit + ['--device', '03:00.0'], 0x5000, 1, 1, 'reason 1h', 'root entry 0x3 has P = 0', 'bus 0x03')
    faults(memory, unit + ['--device', '02:00.0'], 0x5000, 2, 2, 'reason 2h', 'the device has no context entry')
    faults(memory, args + ['--pasid', 1], 0x5000, 0x31, 0x31, 'legacy mode')
    report = kit.ask(memory, args, 0xfee00000)
    kit.check(report['result']['interrupt'], 'an interrupt is not told')
    kit.check(ranges_of(listing(memory, unit), BDF) == [[0x5000, 0x9000, 4096, 'rw'], [0x6000, 0xa000, 4096, 'r'], [1 << 30, 1 << 31, 1 << 30, 'rw']], 'the list differs')
    # What the unit can do: no leaves of 1G (SSLPS), 39 bits (MGAW), no width of 48 bits (SAGAW).
    cap = 1 << 34 | 47 << 16 | 4 << 8
    faults(memory, args + ['--capability', hex(cap)], 0x40000000, 0xc, 0xc, 'no leaves of 1G')
    works(memory, args + ['--capability', hex(cap | 1 << 35)], 0x40000000, 0x80000000, 1 << 30)
    faults(memory, args + ['--capability', hex(cap & ~(63 << 16) | 39 << 16)], 1 << 40, 4, 4)
    faults(memory, args + ['--capability', hex(2 << 8)], 0x5000, 3, 3, 'AW = 2')
    # Entries with something wrong.
    memory.set_bit(page, 40)
    faults(memory, args + ['--address-bits', 40], 0x5000, 0xc, 0xc, 'reserved')
    memory.set_bit(page, 40, 0)
    for address, bit, code, words in ((root + 32, 64, 0xa, 'root entry 0x2 has a reserved bit'), (root + 32, 5, 0xa, 'reserved'), (entry, 4, 0xb, 'context entry'),
                                      (entry, 71, 0xb, 'context entry'), (entry, 100, 0xb, 'context entry'), (entry, 66, 3, 'AW = 6')):
        memory.set_bit(address, bit)
        faults(memory, args, 0x5000, code, code, words)
        memory.set_bit(address, bit, 0)
    memory.put(entry, tree.root | 1 | 2 << 2)
    says(memory, args, 0x5000, 'works: it reaches 0x5000 untranslated', 'pass-through')
    memory.put(entry, tree.root | 1 | 3 << 2)
    faults(memory, args, 0x5000, 3, 3, 'TT = 3')
    memory.put(entry, 0x123456000 | 1, 2)
    faults(memory, args, 0x5000, 7, 7, 'not known', 'SS-PML4E 0x0 at 0x123456000 is not in the dump', code=1)
    memory.put(root + 32, 0x123456000 | 1, 0)
    faults(memory, args, 0x5000, 9, 9, 'context entry 0x19 is not in the dump', code=1)
    faults(memory, ['--unit', 'vtd', '--root', 0x1000, '--device', BDF], 0, 8, 8, 'root entry 0x2, of bus 0x02, is not in the dump', code=1)
    says(memory, ['--unit', 'vtd', '--root', hex(root | 3 << 10), '--device', BDF], 0, 'all DMA is aborted')


def scalable(memory, pgtt, first=None, second=None, pasid=0, rid_pasid=0, levels5=False):
    """Root to PASID table entry for the device. Returns (arguments, context entry, directory entry, PASID table entry)."""
    root, context, directory, table = memory.alloc(), memory.alloc(), memory.alloc(), memory.alloc()
    upper = DEVFN >> 7
    memory.put(root + 16 * 2 + 8 * upper, context | 1)
    context_entry = memory.put(context + 32 * (DEVFN & 127), directory | 1 | 1 << 3 | 0 << 9, rid_pasid, 0, 0)
    directory_entry = memory.put(directory + 8 * (pasid >> 6), table | 1)
    pasid_entry = memory.put(table + 64 * (pasid & 63), (second or 0) | 1 | 2 << 2 | pgtt << 6, 5, (first or 0) | levels5 << 2)
    return ['--unit', 'vtd', '--root', hex(root | 1 << 10), '--device', BDF], context_entry, directory_entry, pasid_entry


def test_vtd_scalable():
    memory = Memory()
    tree = Tree(memory, X86(48))
    at = tree.map(0x1000, 0x5000)
    tree.map(0x7ff000, 0x6000, prot='r')
    tree.map(0xffffffe00000, 0x400000, 1)
    args, context, directory, entry = scalable(memory, 1, first=tree.root)
    report = says(memory, args, 0x1234, 'works: it reaches 0x5234')
    kit.check([s['name'] for s in report['steps']] == ['RTADDR_REG', 'Root entry', 'Context entry', 'PASID directory entry', 'PASID table entry', 'FS-PML4E', 'FS-PDPE',
                                                      'FS-PDE', 'FS-PTE'], 'steps', report['steps'])
    works(memory, args, 0xffffffffffe12345, 0x412345, 0x200000)
    faults(memory, args, 0x7ff000, None, 0x85, 'reason 85h', 'R/W is 0')
    faults(memory, args, 0x2000, 0x71, 0x71, 'reason 71h', 'FS-PTE 0x2: P is 0')
    faults(memory, args, 0x800000000000, 0x80, 0x80, 'reason 80h')
    memory.set_bit(at, 2, 0)
    faults(memory, args, 0x1000, 0x81, 0x81, 'reason 81h', 'U/S is 0')
    # A supervisor's request: RID_PRIV, and SRE in the PASID table entry.
    memory.set_bit(context, 84)
    faults(memory, args, 0x1000, 0x81, 0x81)
    memory.set_bit(entry, 128)
    works(memory, args, 0x1000, 0x5000, 4096)
    memory.set_bit(at, 2)
    memory.set_bit(at, 45)
    faults(memory, args + ['--address-bits', 45], 0x1000, 0x72, 0x72, 'reason 72h')
    memory.set_bit(at, 45, 0)
    works(memory, args + ['--pasid', 0], 0x1000, 0x5000)
    faults(memory, args + ['--pasid', 1], 0x1000, 0x59, 0x59, 'PASID table entry 0x1 has P = 0')
    faults(memory, args + ['--pasid', 64], 0x1000, 0x51, 0x51, 'PASID directory entry 0x1 has P = 0')
    faults(memory, args + ['--pasid', 8192], 0x1000, 0x46, 0x46, 'PASID 0x2000 is beyond the directory')
    got = listing(memory, args)
    kit.check([d.get('pasid') for d in got['devices']] == [None, 0], 'devices', got['devices'])
    memory.set_bit(context, 3, 0)
    faults(memory, args + ['--pasid', 0], 0x1000, 0x45, 0x45, 'PASIDE = 0')
    memory.set_bit(context, 3)
    for address, bit, value, code in ((directory, 5, 1, 0x52), (entry, 0, 0, 0x59), (context, 0, 0, 0x41), (entry, 8, 1, 0x5b), (entry, 131, 1, 0x5b), (directory, 0, 0, 0x51)):
        memory.set_bit(address, bit, value)
        faults(memory, args, 0x1000, code, code)
        memory.set_bit(address, bit, 1 - value)
    memory.put(context + 8, 8192)
    faults(memory, args, 0x1000, 0x48, 0x48, 'RID_PASID 0x2000 is beyond')
    faults(memory, args[:-1] + ['07:00.0'], 0, 0x39, 0x39, 'LP = 0')
    faults(memory, args[:-1] + ['02:10.0'], 0, 0x39, 0x39, 'UP = 0')


def test_vtd_scalable_second():
    memory = Memory()
    tree = Tree(memory, VtdSecond(48))
    at = tree.map(0x1000, 0x5000, prot='w')
    args, _, _, entry = scalable(memory, 2, second=tree.root, pasid=0x45, rid_pasid=0x45)
    works(memory, args, 0x1000, 0x5000, 4096, 'w')
    faults(memory, args, 0x1000, 0x86, None, 'a read faults with reason 86h')
    faults(memory, args, 0x2000, 0x79, 0x79, 'reason 79h')
    faults(memory, args, 1 << 48, 0x84, 0x84)
    memory.set_bit(at, 50)
    faults(memory, args + ['--address-bits', 48], 0x1000, 0x7a, 0x7a)
    memory.put(entry, memory.get(entry) & ~(7 << 6) | 4 << 6)
    says(memory, args, 0x1000, 'untranslated', 'PGTT = 4')


def test_vtd_nested():
    memory = Memory()
    first, second = nested(memory, X86(48), VtdSecond(48))
    args, _, _, entry = scalable(memory, 3, first=first.root, second=second.root)
    memory.set_bit(entry - entry % 4096, 0)
    check_nested(memory, args, (0x79, 0x79), 0x85)
    # A first-stage table that the second stage does not map, and one that it cannot address.
    memory.put(entry + 16, 0x30000000)
    faults(memory, args, 0x1000, 0x75, 0x75, 'reason 75h', 'R and W are 0')
    memory.put(entry + 16, 1 << 50)
    faults(memory, args, 0x1000, 0x74, 0x74, 'reason 74h')


def amd(memory, qword0, qword1=0, qword2=0, size=7):
    table = memory.alloc((size + 1) * 4096, 4096)
    entry = memory.put(table + 32 * ID, qword0, qword1 | 9, qword2, 0)
    return ['--unit', 'amdvi', '--root', hex(table | size), '--device', BDF], entry


def test_amd_v1():
    memory = Memory()
    tree = Tree(memory, AmdV1(48))
    at = tree.map(0x1000, 0x5000)
    tree.map(0x2000, 0x6000, prot='r')
    args, entry = amd(memory, 3 | 4 << 9 | tree.root | 3 << 61)
    report = says(memory, args, 0x1234, 'works: it reaches 0x5234, in a page of 4K')
    kit.check(report['steps'][1]['fields']['Mode'] == 4 and report['steps'][1]['fields']['DomainID'] == 9, 'fields', report['steps'][1])
    faults(memory, args, 0x2000, None, 2, 'IO_PAGE_FAULT (event 2h, PR=1 RW=1 PE=1 RZ=0)', 'IW is 0')
    faults(memory, args, 0x3000, 2, 2, 'PR=0 RW=0 PE=0', 'PTE 0x3: PR is 0')
    faults(memory, args, 1 << 48, 2, 2, 'beyond the 48 bits')
    memory.set_bit(at, 55)
    faults(memory, args, 0x1000, 2, 2, 'RZ=1', 'reserved')
    memory.set_bit(at, 55, 0)
    got = listing(memory, args[:-2])
    kit.check(ranges_of(got, BDF) == [[0x1000, 0x5000, 4096, 'rw'], [0x2000, 0x6000, 4096, 'r']] and got['bypasses'] == 1023, 'the list differs', got['mappings'], got['bypasses'])
    # IR and IW of the device table entry come before those of the tables.
    memory.set_bit(entry, 62, 0)
    faults(memory, args, 0x1000, None, 2, 'IW is 0 in the device table entry')
    kit.check(ranges_of(listing(memory, args), BDF)[0][3] == 'r', 'IW of the device does not count in the list')
    memory.set_bit(entry, 62)
    for bit, value, code, words in ((0, 0, None, 'V is 0'), (1, 0, 2, 'TV = 0'), (3, 1, 1, 'ILLEGAL_DEV_TABLE_ENTRY'), (63, 1, 1, 'reserved bit')):
        memory.set_bit(entry, bit, value)
        faults(memory, args, 0x1000, code, code, words)
        memory.set_bit(entry, bit, 1 - value)
    memory.put(entry, memory.get(entry) | 7 << 9)
    faults(memory, args, 0x1000, 1, 1, 'Mode = 7')
    memory.put(entry, memory.get(entry) & ~(7 << 9 | 1 << 61))
    faults(memory, args, 0x1000, 2, None, 'IR is 0', 'untranslated')
    faults(memory, args[:-1] + ['40:00.0'], 0x1000, 1, 1, 'beyond the device table')
    faults(memory, args + ['--pasid', 3], 0, 2, 2, 'GV = 0')
    memory.put(entry, 3 | 4 << 9 | 0x777777777000 | 3 << 61)
    faults(memory, args, 0x1000, 4, 4, 'PAGE_TAB_HARDWARE_ERROR', code=1)
    faults(memory, ['--unit', 'amdvi', '--root', 0x1000, '--device', BDF], 0, 1, 1)
    faults(memory, ['--unit', 'amdvi', '--root', 0x11ff, '--device', BDF], 0, 3, 3, 'not in the dump', code=1)


def gcr3(address):
    return (address >> 12 & 7) << 58, (address >> 15 & 0xffff) << 16 | (address >> 31 & 0x1fffff) << 43


def test_amd_v2():
    for levels in (1, 2, 3):
        memory = Memory()
        tree = Tree(memory, X86(57 if levels == 2 else 48))
        tree.map(0x1000, 0x5000, prot='r')
        pasid = {1: 5, 2: 5 << 9 | 6, 3: 1 << 18 | 5 << 9 | 6}[levels]
        tables = [memory.alloc() for _ in range(levels)]
        for number in (0, pasid):
            for level in range(levels):
                below = tree.root if level == levels - 1 else tables[level + 1]
                memory.put(tables[level] + 8 * (number >> 9 * (levels - 1 - level) & 511), below | 1)
        low, high = gcr3(tables[0])
        args, entry = amd(memory, 3 | 1 << 54 | 1 << 55 | (levels - 1) << 56 | 3 << 61 | low, high, (levels == 2) << 54)
        works(memory, args, 0x1000, 0x5000, 4096, 'r')
        works(memory, args + ['--pasid', pasid], 0x1000, 0x5000, 4096, 'r')
        faults(memory, args, 0x1000, None, 2, 'R/W is 0')
        faults(memory, args + ['--pasid', pasid + 1], 0x1000, 2, 2, 'has V = 0')
        got = listing(memory, args)
        wanted = [None, 0, pasid] if levels < 3 else [None, pasid]
        kit.check({d.get('pasid') for d in got['devices']} >= set(wanted), 'PASIDs', got['devices'][:5])
        memory.set_bit(entry, 54, 0)
        says(memory, args, 0x1000, 'untranslated', 'Mode is 0')
    memory = Memory()
    first, second = nested(memory, X86(48), AmdV1(48))
    table = memory.alloc()
    memory.put(table, first.root | 1)
    low, high = gcr3(table)
    args, _ = amd(memory, 3 | 4 << 9 | second.root | 1 << 54 | 1 << 55 | 3 << 61 | low, high)
    check_nested(memory, args, (2, 2), 2)


print('seed %d' % kit.seed)
for test in (test_vtd_legacy, test_vtd_scalable, test_vtd_scalable_second, test_vtd_nested, test_amd_v1, test_amd_v2):
    test()
kit.finish()
