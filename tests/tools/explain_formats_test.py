#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Page tables of every format by themselves: random mappings against a model, and the corners of each format. Usage: explain_formats_test.py IOGATE"""
import explain_kit as kit
from explain_kit import Memory, faults, listing, merged, ranges_of, rng, says, works
from explain_tables import AmdV1, ArmFirst, ArmSecond, RiscV, RiscVx4, Tree, VtdSecond, X86

FORMATS = [VtdSecond(39), VtdSecond(48), VtdSecond(57), X86(48), X86(57), AmdV1(30), AmdV1(48), AmdV1(64)]
FORMATS += [cls(ias) for cls, sizes in ((RiscV, (39, 48, 57)), (RiscVx4, (41, 50, 59))) for ias in sizes]
FORMATS += [cls(*sizes) for cls in (ArmFirst, ArmSecond) for sizes in (
    (12, 32, 40), (12, 39, 48), (12, 48, 48), (12, 52, 52), (14, 36, 40), (14, 47, 48), (14, 48, 48), (14, 52, 52), (16, 42, 44), (16, 48, 48), (16, 52, 52))]


def arguments(tree):
    return ['--table', hex(tree.root), *tree.form.arguments()]


def overlaps(taken, iova, size):
    return any(iova < other + length and other < iova + size for other, length in taken)


def test_random(form):
    memory = Memory()
    tree = Tree(memory, form)
    taken, model = [], []
    for number in range(max(6, 12 * kit.scale // 100)):
        level = rng.choice([0, 0, 0] + list(range(min(form.most_leaf_level, form.levels - 1) + 1)))
        shift = form.shift(level)
        if shift >= form.ias or shift >= form.oas:
            continue
        # Neighbours, the first and the last page, and anywhere.
        place = rng.randrange(4)
        if place == 0 and model:
            iova = (model[-1][0] + model[-1][2]) >> shift << shift
        else:
            iova = [0, (1 << form.ias) - (1 << shift), rng.randrange(1 << form.ias), rng.randrange(1 << form.ias)][place] >> shift << shift
        if iova >= 1 << form.ias or overlaps(taken, iova, 1 << shift):
            continue
        if rng.randrange(3):
            paddr = rng.randrange(1 << form.oas) >> shift << shift
        else:
            paddr = (1 << form.oas) - (1 << shift)
        if place == 0 and model and not rng.randrange(2):
            paddr = (model[-1][1] + model[-1][2]) % (1 << form.oas) >> shift << shift
        prot = rng.choice(form.prots)
        taken.append((iova, 1 << shift))
        model.append((iova, paddr, 1 << shift, prot))
        tree.map(iova, paddr, level, prot)
    wanted = merged([(form.upper(iova), paddr, size, prot) for iova, paddr, size, prot in model])
    got = sorted(ranges_of(listing(memory, arguments(tree))))
    kit.check(got == wanted, '%s %d: --dump differs' % (form.name, form.ias), got[:6], wanted[:6])
    for iova, paddr, size, prot in model[:3]:
        offset = rng.randrange(size)
        works(memory, arguments(tree), form.upper(iova + offset), paddr + offset, size, prot)
        after = iova + size
        if after < 1 << form.ias and not overlaps(taken, after, 1):
            says(memory, arguments(tree), form.upper(after), 'faults with not present')


def test_x86():
    memory = Memory()
    tree = Tree(memory, X86(48))
    at = tree.map(0x1000, 0x5000)
    tree.map(0xffff800000000000 & (1 << 48) - 1, 0x7000, prot='r')
    args = arguments(tree)
    works(memory, args, 0xffff800000000123, 0x7123, 4096, 'r')
    says(memory, args, 0x800000000000, 'not canonical', 'faults')
    says(memory, args, 0x1000000001000, 'not canonical')
    memory.set_bit(at, 2, 0)
    says(memory, args, 0x1000, 'U/S is 0', 'PTE 0x1')
    memory.set_bit(at, 2)
    memory.set_bit(at, 51)
    works(memory, args, 0x1000, 0x8000000005000)
    says(memory, args + ['--address-bits', 46], 0x1000, 'reserved', 'beyond the machine')
    # A read-only table entry above a writable page; but what is not present below goes before it.
    memory.set_bit(at, 51, 0)
    memory.set_bit(tree.root, 1, 0)
    says(memory, args, 0x1000, 'a write faults', 'PML4E 0x0: R/W is 0')
    says(memory, args, 0x2000, 'read or write', 'faults with not present', 'P is 0')
    # PS at the root, and a large page with a low address bit; PAT, bit 12, is none.
    memory.set_bit(tree.root, 7)
    says(memory, args, 0x1000, 'PS is 1, which is reserved at this level')
    memory = Memory()
    tree = Tree(memory, X86(48))
    at = tree.map(0x40000000, 0x200000, 1)
    memory.set_bit(at, 12)
    works(memory, arguments(tree), 0x40012345, 0x212345, 0x200000)
    memory.set_bit(at, 13)
    says(memory, arguments(tree), 0x40012345, 'below the page size')


def test_loops():
    memory = Memory()
    tree = Tree(memory, X86(48))
    memory.put(tree.root + 8 * 511, tree.root | 7)
    # Hardware walks a loop like any other table: each level takes another entry, and the last takes this one for a page.
    iova = 0xffffffffffffffff & ~0xfff
    report = says(memory, arguments(tree), iova, 'works')
    kit.check(report['result']['paddr'] == hex(tree.root), 'a loop maps the root itself', report['result'])
    kit.check('a loop' in report['steps'][0]['note'], 'the loop is not noted', report['steps'])
    report = listing(memory, arguments(tree), code=1)
    kit.check(report['partial'] and 'a loop, not followed' in report['problems'][0]['why'], 'the loop is not listed', report['problems'])
    # Tables that share theirs: 512 to the power of four pages, and no table its own ancestor.
    memory = Memory()
    tables = [memory.alloc() for level in range(4)]
    for above, below in zip(tables, tables[1:]):
        memory.put(above, *[below | 3] * 512)
    memory.put(tables[3], *[0x1003] * 512)
    args = ['--table', hex(tables[0]), '--format', 'vtdss']
    report = listing(memory, args, code=1)
    kit.check(report['partial'] and 'point to each other' in report['error'], 'the budget does not end it', report['error'])


def test_vtdss():
    memory = Memory()
    tree = Tree(memory, VtdSecond(48))
    at = tree.map(0x3000, 0x9000, prot='r')
    args = arguments(tree)
    says(memory, args, 0x3456, 'A DMA read at 0x3456 works: it reaches 0x9456, in a page of 4K', 'a write faults', 'SS-PTE 0x3: W is 0')
    says(memory, args, 0x1000000000000, 'beyond the 48 bits')
    # The first denial ends it: a read-only pointer, whatever is below.
    memory.set_bit(tree.root, 1, 0)
    says(memory, args, 0x4000, 'a read with not present, because SS-PTE 0x4', 'a write with no permission, because SS-PML4E 0x0: W is 0')
    memory.set_bit(tree.root, 1)
    memory.set_bit(tree.root, 62)
    says(memory, args, 0x3000, 'bit 62 is 1')
    memory.set_bit(tree.root, 62, 0)
    memory.set_bit(tree.root, 11)
    says(memory, args, 0x3000, 'bit 11 is 1')
    memory.set_bit(tree.root, 11, 0)
    # Snooping and the access bits are no errors.
    for bit in (8, 9, 11):
        memory.set_bit(at, bit)
    works(memory, args, 0x3000, 0x9000, 4096, 'r')
    memory.put(at, 4)
    says(memory, args, 0x3000, 'R and W are 0')


def test_amdv1():
    memory = Memory()
    form = AmdV1(48)
    tree = Tree(memory, form)
    args = arguments(tree)
    model = []
    for bits in list(range(13, 21)) + list(range(22, 30)) + list(range(31, 39)):
        level = (bits - 12) // 9
        iova, paddr, entry_bits = bits << 40, bits << 41, form.shift(level)
        for part in range(1 << (bits - entry_bits)):
            memory.put(tree.slot(iova + (part << entry_bits), level), form.encoded(bits, paddr, 'rw'))
        model.append((iova, paddr, 1 << bits, 'rw'))
        works(memory, args, iova + (1 << bits) - 1, paddr + (1 << bits) - 1, 1 << bits)
    kit.check(ranges_of(listing(memory, args)) == merged(model), 'encoded sizes are not listed')
    at = tree.slot(0, 0)
    memory.put(at, form.encoded(30, 0, 'rw'))
    says(memory, args, 0, 'does not belong to this level')
    memory.put(at, form.table(0x1000, 2))
    says(memory, args, 0, "NextLevel is not below this table's level")
    memory.put(at, form.leaf(0, 0x1000, 'rw') | 1 << 55)
    says(memory, args, 0, 'bits 58:52')
    # From level 4 straight to the last.
    table = memory.alloc()
    memory.put(tree.root + 8 * 100, form.table(table, 0))
    memory.put(table + 8 * 7, form.leaf(0, 0x77000, 'r'))
    works(memory, args, (100 << 39) + 0x7123, 0x77123, 4096, 'r')
    says(memory, args, (100 << 39) + 0x200000 + 0x7123, 'NextLevel skips levels')
    report = listing(memory, args, 1)
    kit.check([(100 << 39) + 0x7000, 0x77000, 4096, 'r'] in ranges_of(report), 'skipped levels are not listed', ranges_of(report))


def test_arm():
    for granule, first in ((12, ArmFirst(12, 48, 48)), (16, ArmFirst(16, 48, 48))):
        memory = Memory()
        tree = Tree(memory, first)
        args = arguments(tree)
        page = 1 << granule
        at = tree.map(page, 0x40000000)
        memory.set_bit(at, 52)
        report = kit.ask(memory, args, page)
        kit.check('Contiguous' in report['steps'][-1]['note'], 'Contiguous is not noted', report['steps'][-1])
        memory.set_bit(at, 10, 0)
        says(memory, args, page, 'AF is 0')
        memory.set_bit(at, 10)
        memory.set_bit(at, 6, 0)
        says(memory, args, page, 'AP[1] is 0')
        memory.set_bit(at, 6)
        memory.set_bit(at, 1, 0)
        says(memory, args, page, 'reserved at level 3')
        memory.set_bit(at, 1)
        memory.set_bit(tree.root, 62)
        says(memory, args, page, 'a write faults', 'APTable[1] is 1')
        says(memory, args, 2 * page, 'bit 0 is 0: not valid', 'read or write')
        memory.set_bit(tree.root, 61)
        says(memory, args, page, 'APTable[0] is 1')
    # A block where there is none, and an address beyond the output size.
    memory = Memory()
    tree = Tree(memory, ArmFirst(12, 48, 48))
    memory.put(tree.root, tree.form.leaf(3, 0, 'rw'))
    says(memory, arguments(tree), 0, 'a block, which this level does not have')
    memory = Memory()
    tree = Tree(memory, ArmSecond(12, 40, 48))
    tree.map(0, 1 << 45)
    works(memory, arguments(tree), 0, 1 << 45)
    says(memory, ['--table', hex(tree.root), '--format', 'arm_s2', '--bits', 40, '--address-bits', 44], 0, 'address size', 'beyond the output')


def test_riscv():
    memory = Memory()
    form = RiscV(48)
    tree = Tree(memory, form)
    args = arguments(tree)
    for part in range(16):
        memory.put(tree.slot(0x20000 + part * 4096, 0), form.napot(0x730000, 'rw'))
    works(memory, args, 0x2fabc, 0x73fabc, 0x10000)
    kit.check(ranges_of(listing(memory, args)) == [[0x20000, 0x730000, 0x10000, 'rw']], 'a page of 64K is not listed')
    at = tree.map(0x1000, 0x5000)
    for bit, value, words in ((6, 0, 'A is 0'), (4, 0, 'U is 0'), (0, 0, 'V is 0'), (54, 1, 'bits 60:54'), (63, 1, 'N is 1')):
        memory.set_bit(at, bit, value)
        says(memory, args, 0x1000, words)
        memory.set_bit(at, bit, 1 - value)
    memory.set_bit(at, 7, 0)
    says(memory, args, 0x1000, 'a write faults', 'D is 0')
    memory.set_bit(at, 7)
    memory.set_bit(at, 1, 0)
    says(memory, args, 0x1000, 'W is 1 and R is 0')
    memory.put(at, form.table(0x80000000))
    says(memory, args, 0x1000, 'there is no further level')
    at = tree.slot(0x40000000, 1)
    memory.put(at, form.leaf(1, 0x201000, 'rw'))
    says(memory, args, 0x40000000, 'not aligned to the page size')
    memory.put(tree.root, memory.get(tree.root) | 1 << 7)
    says(memory, args, 0x1000, 'in an entry that points to a table')
    says(memory, args, 0x800000000000, 'not canonical')


def test_missing():
    memory = Memory()
    tree = Tree(memory, VtdSecond(48))
    tree.map(0, 0x1000)
    tree.map(0x40000000, 0x2000)
    memory.put(tree.root, tree.form.table(0x123456789000))
    says(memory, arguments(tree), 0, 'not known from this dump', 'at 0x123456789000 is not in the dump', code=1)
    report = listing(memory, arguments(tree), code=1)
    kit.check(report['partial'] and 'is not in the dump' in report['problems'][0]['why'], 'a missing table is not listed', report['problems'])
    faults(memory, arguments(tree), 1 << 39, 3, 3)


print('seed %d' % kit.seed)
for form in FORMATS:
    test_random(form)
for test in (test_x86, test_loops, test_vtdss, test_amdv1, test_arm, test_riscv, test_missing):
    test()
kit.finish()
