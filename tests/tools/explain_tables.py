# SPDX-License-Identifier: MIT
"""Page tables of every format, built entry by entry; levels count from 0, which holds only leaves."""


class Format:
    granule = 12
    extra = 0
    signed = False
    prots = ('r', 'w', 'rw')
    most_leaf_level = 2

    def __init__(self, ias, oas=48):
        self.ias = ias
        self.oas = oas
        self.per_level = self.granule - 3
        self.levels = 1
        while self.granule + self.per_level * self.levels + self.extra < ias:
            self.levels += 1

    def shift(self, level):
        return self.granule + self.per_level * level

    def arguments(self):
        return ['--format', self.name, '--bits', self.ias]

    def root_size(self):
        return max(64, 8 << (self.ias - self.shift(self.levels - 1)))

    def upper(self, iova):
        """The address with its upper bits as the unit wants them."""
        if self.signed and iova >> (self.ias - 1):
            return iova | (1 << 64) - (1 << self.ias)
        return iova


class VtdSecond(Format):
    name = 'vtdss'

    def leaf(self, level, paddr, prot):
        return paddr | ('r' in prot) | ('w' in prot) << 1 | (level > 0) << 7

    def table(self, address):
        return address | 3


class X86(Format):
    name = 'x86_64'
    signed = True
    prots = ('r', 'rw')

    def leaf(self, level, paddr, prot):
        return paddr | 1 | ('w' in prot) << 1 | 4 | (level > 0) << 7 | 1 << 63

    def table(self, address):
        return address | 7


class AmdV1(Format):
    name = 'amdv1'
    most_leaf_level = 3

    def leaf(self, level, paddr, prot):
        return paddr | 1 | ('r' in prot) << 61 | ('w' in prot) << 62 | 1 << 60

    def table(self, address, level):
        """@level is that of the table pointed to; AMD's own counts from 1."""
        return address | 1 | (level + 1) << 9 | 3 << 61

    def encoded(self, bits, paddr, prot):
        """A page of 2^bits bytes: zeros and ones from bit 12 on tell the size."""
        return self.leaf(0, paddr | (1 << (bits - 1)) - 4096, prot) | 7 << 9


class Arm(Format):
    def __init__(self, granule, ias, oas):
        self.granule = granule
        super().__init__(ias, oas)
        self.wide = granule < 16 and (ias > 48 or oas > 48)
        if granule == 12:
            self.most_leaf_level = 3 if self.wide else 2
        elif granule == 14:
            self.most_leaf_level = 2 if self.wide else 1
        else:
            self.most_leaf_level = 2 if oas > 48 else 1

    def arguments(self):
        return super().arguments() + ['--granule', 1 << self.granule, '--address-bits', self.oas]

    def address(self, paddr):
        if self.granule == 16:
            return paddr & (1 << 48) - 1 | (paddr >> 48) << 12
        if self.wide:
            return paddr & (1 << 50) - 1 | (paddr >> 50) << 8
        return paddr

    def table(self, address):
        return self.address(address) | 3

    def base(self, level, paddr):
        return self.address(paddr) | 1 | (level == 0) << 1 | 1 << 10


class ArmFirst(Arm):
    name = 'arm_s1'
    prots = ('r', 'rw')

    def leaf(self, level, paddr, prot):
        return self.base(level, paddr) | 1 << 6 | ('w' not in prot) << 7 | 1 << 11 | 1 << 54


class ArmSecond(Arm):
    name = 'arm_s2'

    def leaf(self, level, paddr, prot):
        return self.base(level, paddr) | 0xf << 2 | ('r' in prot) << 6 | ('w' in prot) << 7


class RiscV(Format):
    name = 'riscv'
    signed = True
    prots = ('r', 'rw')
    most_leaf_level = 3

    def __init__(self, ias):
        super().__init__(ias, 56)
        self.most_leaf_level = min(3, self.levels - 1)

    def leaf(self, level, paddr, prot):
        return paddr >> 12 << 10 | 1 | ('r' in prot) << 1 | ('w' in prot) << 2 | 1 << 4 | 3 << 6

    def napot(self, paddr, prot):
        return self.leaf(0, paddr | 0x8000, prot) | 1 << 63

    def table(self, address):
        return address >> 12 << 10 | 1


class RiscVx4(RiscV):
    name = 'riscvx4'
    signed = False
    extra = 2


class Tree:
    """A page table in memory."""

    def __init__(self, memory, form):
        self.memory = memory
        self.form = form
        self.root = memory.alloc(form.root_size(), max(form.root_size(), 4096))
        self.tables = {}

    def slot(self, iova, level):
        """Where the entry for @iova in the table of @level is; tables above are made."""
        form = self.form
        table = self.root
        for above in range(form.levels - 1, level, -1):
            index = iova >> form.shift(above)
            key = (above, index)
            at = table + (index & ((1 << form.per_level) - 1 if above < form.levels - 1 else -1)) * 8
            if key not in self.tables:
                self.tables[key] = self.memory.alloc(1 << form.granule)
                pointer = form.table(self.tables[key], above - 1) if form.name == 'amdv1' else form.table(self.tables[key])
                self.memory.put(at, pointer)
            table = self.tables[key]
        index = iova >> form.shift(level)
        if level < form.levels - 1:
            index &= (1 << form.per_level) - 1
        return table + index * 8

    def map(self, iova, paddr, level=0, prot='rw'):
        return self.memory.put(self.slot(iova, level), self.form.leaf(level, paddr, prot))
