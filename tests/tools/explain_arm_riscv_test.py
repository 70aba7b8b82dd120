#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""SMMUv3 and RISC-V: from a device to its tables in every mode, and what the unit says when something is wrong. Usage: explain_arm_riscv_test.py IOGATE"""
import explain_kit as kit
from explain_kit import Memory, faults, listing, ranges_of, says, works
from explain_nested import check_nested, nested
from explain_tables import ArmFirst, ArmSecond, RiscV, RiscVx4, Tree

BDF = '02:03.1'
ID = 2 << 8 | 3 << 3 | 1
TG0 = {12: 0, 14: 2, 16: 1}
TG1 = {12: 2, 14: 1, 16: 3}
PS = {32: 0, 36: 1, 40: 2, 42: 3, 44: 4, 48: 5, 52: 6}


def stream_table(memory, ste, two_level=False, sid=ID):
    """Returns (arguments, address of the entry)."""
    if not two_level:
        table = memory.alloc(64 << 10)
        entry = memory.put(table + 64 * sid, *ste)
        return ['--unit', 'smmuv3', '--root', hex(table), '--strtab-cfg', '0xa', '--device', BDF], entry
    level1, level2 = memory.alloc(8 << 8, 8 << 8), memory.alloc(64 << 8)
    memory.put(level1 + 8 * (sid >> 8), level2 | 9)
    entry = memory.put(level2 + 64 * (sid & 255), *ste)
    return ['--unit', 'smmuv3', '--root', hex(level1 | 1 << 62), '--strtab-cfg', hex(16 | 8 << 6 | 1 << 16), '--device', BDF], entry


def stage1_ste(cd, fmt=0, cdmax=0, dss=0, config=5):
    return [1 | config << 1 | fmt << 4 | cd | cdmax << 59, dss, 0, 0, 0, 0, 0, 0]


def stage2_ste(tree, start, config=6):
    form = tree.form
    sl0 = {12: {2: 0, 1: 1, 0: 2, -1: 0}, 14: {3: 0, 2: 1, 1: 2, 0: 3}, 16: {3: 0, 2: 1, 1: 2}}[form.granule][start]
    two = 7 | 64 - form.ias << 32 | sl0 << 38 | TG0[form.granule] << 46 | PS[form.oas] << 48 | 1 << 51 | 1 << 58
    return [1 | config << 1, 0, two, tree.root | form.wide << 3 | (start == -1) << 2, 0, 0, 0, 0]


def descriptor(lower=None, upper=None, ds=False):
    word = 1 << 31 | 1 << 41 | 5 << 48 | 1 << 45
    form = (lower or upper).form
    word |= PS[form.oas] << 32
    word |= 64 - lower.form.ias | TG0[lower.form.granule] << 6 if lower else 1 << 14
    word |= (64 - upper.form.ias | TG1[upper.form.granule] << 6) << 16 if upper else 1 << 30
    return [word, lower.root if lower else 0, (upper.root if upper else 0) | ds << 58, 0, 0, 0, 0, 0]


def test_smmu_stage1():
    for granule, ias, oas in ((12, 39, 48), (12, 48, 44), (12, 52, 52), (14, 36, 40), (14, 47, 48), (14, 52, 52), (16, 42, 48), (16, 48, 52), (16, 52, 52)):
        memory = Memory()
        form = ArmFirst(granule, ias, oas)
        lower, upper = Tree(memory, form), Tree(memory, form)
        page = 1 << granule
        paddr = (1 << oas) - page
        lower.map(3 * page, paddr)
        upper.map((1 << ias) - page, 0x10000000, prot='r')
        cd = memory.put(memory.alloc(), *descriptor(lower, upper, form.wide))
        args, entry = stream_table(memory, stage1_ste(cd), two_level=granule != 12)
        works(memory, args, 3 * page + 5, paddr + 5, page)
        works(memory, args, (1 << 64) - page + 5, 0x10000005, page, 'r')
        faults(memory, args, (1 << 64) - page, None, 0x13, 'a write faults with F_PERMISSION (event 0x13), because Level 3 descriptor', 'AP[2] is 1')
        faults(memory, args, 4 * page, 0x10, 0x10, 'F_TRANSLATION (event 0x10)', 'not valid')
        if ias < 55:
            faults(memory, args, 1 << ias, 0x10, 0x10, 'beyond the %d bits' % ias)
        got = ranges_of(listing(memory, args), BDF)
        kit.check(got == [[3 * page, paddr, page, 'rw'], [(1 << 64) - page, 0x10000000, page, 'r']], 'the list differs', got)


def test_smmu_ste():
    memory = Memory()
    tree = Tree(memory, ArmFirst(12, 39, 48))
    at = tree.map(0x1000, 0x5000)
    cd = memory.put(memory.alloc(), *descriptor(tree))
    args, entry = stream_table(memory, stage1_ste(cd))
    report = says(memory, args, 0x1234, 'A DMA read or write by 02:03.1 at 0x1234 works: it reaches 0x5234, in a page of 4K.')
    kit.check([s['name'] for s in report['steps']][:4] == ['SMMU_STRTAB_BASE', 'SMMU_STRTAB_BASE_CFG', 'Stream table entry', 'Context descriptor'], 'steps')
    kit.check([s['name'] for s in report['steps']][4:] == ['Level 1 descriptor', 'Level 2 descriptor', 'Level 3 descriptor'], 'steps', report['steps'])
    faults(memory, args, 0xffff000000001000, 0x10, 0x10, 'EPD1 is 1')
    works(memory, args, 0x1000, 0x5000)
    # Top byte ignored.
    faults(memory, args, 0xab00000000001000, 0x10, 0x10)
    memory.set_bit(cd, 38)
    works(memory, args, 0xab00000000001000, 0x5000)
    memory.set_bit(at, 10, 0)
    faults(memory, args, 0x1000, 0x12, 0x12, 'F_ACCESS', 'AF is 0')
    for bit in (35, 43):
        memory.set_bit(cd, bit)
        works(memory, args, 0x1000, 0x5000)
        memory.set_bit(cd, bit, 0)
    memory.set_bit(at, 10)
    # Dirty state by hardware: read-only and DBM is writable, if HA and HD are on.
    memory.set_bit(at, 7)
    memory.set_bit(at, 51)
    faults(memory, args, 0x1000, None, 0x13)
    memory.set_bit(cd, 42)
    faults(memory, args, 0x1000, None, 0x13)
    memory.set_bit(cd, 43)
    works(memory, args, 0x1000, 0x5000)
    # Privileged transactions.
    memory.set_bit(at, 6, 0)
    faults(memory, args, 0x1000, 0x13, 0x13, 'AP[1] is 0')
    memory.put(entry + 8, 3 << 48)
    works(memory, args, 0x1000, 0x5000)
    memory.put(entry + 8, 0)
    memory.set_bit(at, 6)
    # Hierarchical permissions, and how to be rid of them.
    memory.set_bit(tree.root, 62)
    faults(memory, args, 0x1000, None, 0x13, 'APTable[1]')
    memory.set_bit(cd + 8, 1)
    works(memory, args, 0x1000, 0x5000)
    memory.set_bit(tree.root, 62, 0)
    memory.put(at, memory.get(at) & ~(0xfffff << 28) | 1 << 47)
    memory.put(cd, memory.get(cd) & ~(7 << 32) | 2 << 32)
    faults(memory, args, 0x1000, 0x11, 0x11, 'F_ADDR_SIZE')
    memory.put(cd, memory.get(cd) & ~(3 << 6) | 3 << 6)
    faults(memory, args, 0x1000, 0xa, 0xa, 'C_BAD_CD', 'T0SZ or TG0')
    memory.set_bit(cd, 31, 0)
    faults(memory, args, 0x1000, 0xa, 0xa, 'V = 0')
    for config, code, words in ((0, 0, 'abort'), (3, 0, 'abort'), (4, None, 'untranslated')):
        memory.put(entry, 1 | config << 1)
        faults(memory, args, 0x1000, code, code, words)
    memory.put(entry, 1 | 5 << 1 | 0x123456780000)
    faults(memory, args, 0x1000, 9, 9, 'Context descriptor 0x0 at 0x123456780000 is not in the dump', code=1)
    memory.put(entry, 0)
    faults(memory, args, 0x1000, 4, 4, 'C_BAD_STE', 'V = 0')
    faults(memory, args[:-1] + ['04:00.0'], 0, 2, 2, 'C_BAD_STREAMID', 'StreamID 0x400 is beyond')
    faults(memory, args[:3] + ['0xfffff0000000'] + args[4:], 0, 3, 3, 'F_STE_FETCH', code=1)
    report = kit.ask(memory, args[:4] + args[6:], 0)
    kit.check(report['steps'][1]['note'] == 'assumed; --strtab-cfg tells', 'the assumption is not told', report['steps'][1])
    # Two levels: no second table, or one that is too short.
    args, entry = stream_table(memory, stage1_ste(cd), two_level=True)
    faults(memory, args[:-1] + ['05:00.0'], 0, 2, 2, 'Span = 0')
    level1 = int(args[3], 16) & (1 << 52) - 1
    memory.put(level1 + 16, memory.get(level1 + 16) & ~31 | 4)
    faults(memory, args, 0, 2, 2, 'Span = 4')


def test_smmu_substreams():
    for fmt, leaf_bits in ((0, 20), (1, 6), (2, 10)):
        memory = Memory()
        trees = [Tree(memory, ArmFirst(12, 39, 48)) for _ in range(2)]
        for number, tree in enumerate(trees):
            tree.map(0x1000, 0x100000 * (number + 1))
        ssid = 0x7f3 if fmt else 7
        if fmt:
            table = memory.alloc()
            for number in (0, ssid):
                leaf = memory.alloc(64 << leaf_bits, 65536)
                memory.put(table + 8 * (number >> leaf_bits), leaf | 1)
                memory.put(leaf + 64 * (number & (1 << leaf_bits) - 1), *descriptor(trees[number > 0]))
        else:
            table = memory.alloc()
            for number in (0, ssid):
                memory.put(table + 64 * number, *descriptor(trees[number > 0]))
        args, entry = stream_table(memory, stage1_ste(table, fmt, 11 if fmt else 3, 2))
        works(memory, args, 0x1000, 0x100000)
        works(memory, args + ['--pasid', ssid], 0x1000, 0x200000)
        faults(memory, args + ['--pasid', 0], 0x1000, 8, 8, 'C_BAD_SUBSTREAMID')
        faults(memory, args + ['--pasid', 2048], 0x1000, 8, 8, 'C_BAD_SUBSTREAMID')
        code = 8 if fmt == 1 else 10
        faults(memory, args + ['--pasid', ssid - 64 if fmt == 1 else ssid - 1], 0x1000, code, code, 'V = 0')
        got = listing(memory, args)
        kit.check([d.get('pasid') for d in got['devices']] == [None, ssid], 'substreams', got['devices'])
        memory.put(entry + 8, 0)
        faults(memory, args, 0x1000, 6, 6, 'F_STREAM_DISABLED')
        works(memory, args + ['--pasid', 0], 0x1000, 0x100000)
        memory.put(entry + 8, 1)
        says(memory, args, 0x1000, 'untranslated', 'S1DSS is 1')


def test_smmu_endless():
    """A thousand devices, each with a million substreams, in memory that has room for neither: the list ends all the same."""
    memory = Memory()
    tree = Tree(memory, ArmFirst(12, 39, 48))
    cds = memory.alloc(64 << 10)
    for number in range(1024):
        memory.put(cds + 64 * number, *descriptor(tree))
    args, entry = stream_table(memory, stage1_ste(cds, 0, 20, 2))
    ste = [memory.get(entry + 8 * i) for i in range(8)]
    for number in range(1024):
        memory.put(entry + 64 * (number - ID), *ste)
    report = listing(memory, args[:-2], code=1)
    kit.check(report['partial'] and 'not complete' in report['error'], 'no end is told', report.get('error'))


def test_smmu_stage2():
    # Roots of several tables: the walk starts a level further down than the address has.
    for granule, ias, oas, start in ((12, 39, 48, 1), (12, 40, 48, 1), (12, 43, 48, 1), (12, 32, 36, 1), (12, 34, 36, 2), (12, 48, 48, 0), (12, 52, 52, -1),
                                     (14, 40, 48, 2), (14, 47, 48, 1), (16, 42, 48, 2), (16, 46, 48, 2), (16, 52, 52, 1)):
        memory = Memory()
        form = ArmSecond(granule, ias, oas)
        form.levels = 4 - start
        tree = Tree(memory, form)
        page = 1 << granule
        iova, paddr = (1 << ias) - page, (1 << oas) - page
        tree.map(iova, paddr, prot='w')
        tree.map(0, 0x10000000)
        args, entry = stream_table(memory, stage2_ste(tree, start))
        works(memory, args, 5, 0x10000005, page)
        works(memory, args, iova + 7, paddr + 7, page, 'w')
        faults(memory, args, iova, 0x13, None, 'F_PERMISSION (event 0x13) of stage 2', 'S2AP[0] is 0')
        faults(memory, args, page, 0x10, 0x10, 'F_TRANSLATION (event 0x10) of stage 2')
        got = ranges_of(listing(memory, args), BDF)
        kit.check(got == [[0, 0x10000000, page, 'rw'], [iova, paddr, page, 'w']], 'the list differs', got)
    # More than 16 tables, or a start beyond the address.
    memory = Memory()
    tree = Tree(memory, ArmSecond(12, 48, 48))
    args, entry = stream_table(memory, stage2_ste(tree, 1))
    faults(memory, args, 0, 4, 4, 'C_BAD_STE', 'do not go together')


def test_smmu_nested():
    memory = Memory()
    form = ArmSecond(12, 40, 48)
    form.levels = 3
    first, second = nested(memory, ArmFirst(12, 39, 48), form)
    cd = memory.put(memory.alloc(), *descriptor(first))
    second.map(0x30000000, cd)
    ste = stage2_ste(second, 1, config=7)
    ste[0] |= 0x30000000
    args, entry = stream_table(memory, ste)
    check_nested(memory, args, (0x10, 0x10), 0x13)
    memory.put(entry, memory.get(entry) + 0x1000)
    faults(memory, args, 0x1000, 0x10, 0x10, 'Context descriptor 0x0 cannot be read through stage 2')


def directory(memory, device_id, context, mode, extended):
    """A device directory of mode 2 to 4. Returns (arguments, address of the device context)."""
    low, size = (6, 64) if extended else (7, 32)
    memory.alloc(4096, 4096)
    table = leaf = memory.alloc()
    shifts = {2: [], 3: [low], 4: [low + 9, low]}[mode]
    for shift in shifts:
        leaf = memory.alloc()
        memory.put(table + 8 * (device_id >> shift & 511), leaf >> 12 << 10 | 1) if shift == shifts[0] else memory.put(above + 8 * (device_id >> shift & 511),
                                                                                                                     leaf >> 12 << 10 | 1)
        above = leaf
    at = memory.put(leaf + size * (device_id & (1 << low) - 1), *(context + [0] * (size // 8 - len(context))))
    return ['--unit', 'riscv', '--root', hex(table >> 12 << 10 | mode), '--capability', hex(extended << 22), '--device', hex(device_id)], at


def atp(mode, tree):
    return mode << 60 | tree.root >> 12


def test_riscv_directory():
    for mode, extended, device_id in ((2, 0, 0x7f), (2, 1, 0x3f), (3, 0, 0xff81), (3, 1, 0x7fc1), (4, 0, 0xabcdef), (4, 1, 0xabcdef)):
        memory = Memory()
        tree = Tree(memory, RiscV(39))
        tree.map(0x1000, 0x5000, prot='r')
        args, at = directory(memory, device_id, [1, 0, 3 << 12, atp(8, tree)], mode, extended)
        works(memory, args, 0x1000, 0x5000, 4096, 'r')
        faults(memory, args, 0x1000, None, 15, 'cause 15 (write/AMO page fault)', 'W is 0')
        faults(memory, args, 0x2000, 13, 15, 'a read with cause 13', 'a write with cause 15', 'V is 0')
        got = listing(memory, args[:-2])
        name = got['devices'][0]['device']
        kit.check(len(got['devices']) == 1 and ranges_of(got, name) == [[0x1000, 0x5000, 4096, 'r']], 'the list differs', got)
        faults(memory, args[:-1] + [hex(device_id ^ 1)], 0, 258, 258, 'cause 258 (DDT entry not valid)')
        limit = {2: 7 - extended, 3: 16 - extended, 4: 24}[mode]
        faults(memory, args[:-1] + [hex(1 << limit)], 0, 260, 260, 'wider than the %d bits' % limit)
        if mode > 2:
            faults(memory, args[:-1] + [hex(device_id ^ 0x400)], 0, 258, 258, 'has no device context')
        for bit in (12, 33):
            memory.set_bit(at, bit)
            faults(memory, args, 0, 259, 259, 'cause 259 (DDT entry misconfigured)')
            memory.set_bit(at, bit, 0)
        memory.put(at + 24, 0)
        says(memory, args, 0x1000, 'both stages are Bare', 'untranslated')
        memory.put(at + 24, 5 << 60)
        faults(memory, args, 0x1000, 259, 259, 'iosatp.MODE = 5')
        memory.put(at, 1 | 1 << 11)
        says(memory, args, 0, 'SXL = 1', 'Sv32', code=1)
        root = int(args[3], 16)
        says(memory, args[:3] + [hex(root & ~15)] + args[4:], 0, 'cause 256', 'Off')
        says(memory, args[:3] + [hex(root & ~15 | 1)] + args[4:], 0, 'iommu_mode is Bare', 'untranslated')
        faults(memory, args[:3] + [hex(0xfffffffff << 14 | mode)] + args[4:], 0, 257, 257, 'not in the dump', code=1)


def test_riscv_stages():
    memory = Memory()
    tree = Tree(memory, RiscV(57))
    at = tree.map(0x1000, 0x5000)
    tree.map((1 << 57) - 0x200000, 0x40000000, 1)
    args, dc = directory(memory, ID, [1, 0, 0, atp(10, tree)], 3, 1)
    args[-1] = BDF
    works(memory, args, (1 << 64) - 0x1fffff, 0x40000001, 0x200000)
    faults(memory, args, 1 << 56, 13, 15, 'not canonical')
    memory.set_bit(at, 6, 0)
    memory.set_bit(at, 7, 0)
    faults(memory, args, 0x1000, 13, 15, 'A is 0')
    memory.set_bit(dc, 8)
    works(memory, args, 0x1000, 0x5000)
    faults(memory, args + ['--pasid', 1], 0x1000, 260, 260, 'PDTV = 0')
    # The second stage alone, with its large root.
    second = Tree(memory, RiscVx4(41))
    memory.put(second.slot(0x1ffffff0000, 0), second.form.leaf(0, 0x6000, 'rw'))
    at = second.slot(0x1ffffff0000, 0)
    memory.put(dc, 1, atp(8, second), 0, 0)
    works(memory, args, 0x1ffffff0123, 0x6123, 4096)
    faults(memory, args, 0x1fffffe0000, 21, 23, 'cause 21 (read guest-page fault)', 'cause 23')
    faults(memory, args, 1 << 41, 21, 23, 'beyond the 41 bits')
    memory.set_bit(at, 7, 0)
    faults(memory, args, 0x1ffffff0000, None, 23, 'D is 0')
    memory.set_bit(dc, 7)
    works(memory, args, 0x1ffffff0000, 0x6000)
    memory.put(dc + 8, atp(8, second) | 1)
    faults(memory, args, 0, 259, 259)
    memory = Memory()
    first, second = nested(memory, RiscV(39), RiscVx4(50))
    args, dc = directory(memory, ID, [1, atp(9, second), 0, atp(8, first)], 3, 1)
    args[-1] = BDF
    check_nested(memory, args, (21, 23), 23)


def test_riscv_process():
    for mode, process_id in ((1, 0xa5), (2, 0x1a5a5), (3, 0x9a5a5)):
        memory = Memory()
        tree = Tree(memory, RiscV(39))
        tree.map(0x1000, 0x5000)
        table = root = memory.alloc()
        for shift in {1: [], 2: [8], 3: [17, 8]}[mode]:
            below = memory.alloc()
            memory.put(table + 8 * (process_id >> shift & 511), below >> 12 << 10 | 1)
            table = below
        entry = memory.put(table + 16 * (process_id & 255), 1, atp(8, tree))
        args, dc = directory(memory, ID, [1 | 1 << 5, 0, 0, mode << 60 | root >> 12], 3, 1)
        args[-1] = BDF
        says(memory, args, 0x1000, 'untranslated')
        works(memory, args + ['--pasid', process_id], 0x1000, 0x5000)
        faults(memory, args + ['--pasid', process_id ^ 1], 0x1000, 266, 266, 'cause 266', 'process context')
        if mode < 3:
            faults(memory, args + ['--pasid', 1 << (9 * mode - 1)], 0x1000, 260, 260, 'beyond the process directory')
        if mode > 1:
            faults(memory, args + ['--pasid', process_id ^ 0x200], 0x1000, 266, 266, 'process directory entry')
        got = listing(memory, args)
        kit.check([d.get('pasid') for d in got['devices']] == [None, process_id], 'processes', got['devices'])
        memory.set_bit(entry, 5)
        faults(memory, args + ['--pasid', process_id], 0x1000, 267, 267)
        memory.set_bit(dc, 9)
        faults(memory, args, 0x1000, 266, 266)


def test_riscv_msi():
    memory = Memory()
    tree = Tree(memory, RiscVx4(41))
    tree.map(0x28000000, 0x9000)
    files = memory.alloc()
    memory.put(files + 16 * 3, 1 | 3 << 1 | 0x44444 << 10, 0)
    args, dc = directory(memory, ID, [1, atp(8, tree), 0, 0, 1 << 60 | files >> 12, 0x5, 0x28000], 3, 1)
    args[-1] = BDF
    says(memory, args, 0x28005678, 'goes through the MSI page table to the interrupt file at 0x44444678')
    faults(memory, args, 0x28000000, 262, 262, 'cause 262', 'MSI PTE 0x0: V is 0')
    faults(memory, args, 0x28002000, 21, 23)
    memory.put(files, 1 | 1 << 1 | 0x123 << 7)
    says(memory, args, 0x28000000, 'the interrupt file at 0x24600')
    memory.put(files, 1)
    faults(memory, args, 0x28000000, 263, 263, 'MSI PTE 0x0: M is 0')


print('seed %d' % kit.seed)
for test in (test_smmu_stage1, test_smmu_ste, test_smmu_substreams, test_smmu_endless, test_smmu_stage2, test_smmu_nested, test_riscv_directory, test_riscv_stages, test_riscv_process, test_riscv_msi):
    test()
kit.finish()
