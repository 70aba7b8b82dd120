# SPDX-License-Identifier: MIT
"""Two stages of tables, and what has to be said of them, whatever the unit."""
import explain_kit as kit
from explain_kit import Memory, faults, listing, merged, ranges_of, works
from explain_tables import Tree


def nested(memory, first_form, second_form):
    """Two stages: the first's tables and pages are where the second says, which is elsewhere."""
    guest = Memory(0x10000000)
    first = Tree(guest, first_form)
    first.map(0x1000, 0x20001000)
    first.map(0x2000, 0x20002000, prot='r')
    first.map(0x3000, 0x20003000)
    first.map(0x5000, 0x2ffff000)
    first.map(0x200000, 0x20200000, 1)
    second = Tree(memory, second_form)
    size = len(guest.bytes)
    host = memory.alloc((size + 4095) // 4096 * 4096, 4096)
    memory.bytes[host - memory.base:host - memory.base + size] = guest.bytes
    for offset in range(0, size, 4096):
        second.map(0x10000000 + offset, host + offset)
    second.map(0x20001000, 0x71000)
    second.map(0x20002000, 0x72000)
    second.map(0x20003000, 0x73000, prot='r')
    for part in range(0, 0x200000, 4096):
        second.map(0x20200000 + part, 0x800000 + part)
    return first, second


NESTED = [(0x1000, 0x71000, 4096, 'rw'), (0x2000, 0x72000, 4096, 'r'), (0x3000, 0x73000, 4096, 'r'), (0x200000, 0x800000, 0x200000, 'rw')]


def check_nested(memory, args, absent, write, device='02:03.1'):
    works(memory, args, 0x1abc, 0x71abc, 4096)
    report = kit.ask(memory, args, 0x1abc)
    kit.check(sum(s['nested'] for s in report['steps']) >= 3 * 4, 'nested steps', report['steps'])
    works(memory, args, 0x2000, 0x72000, 4096, 'r')
    works(memory, args, 0x3000, 0x73000, 4096, 'r')
    works(memory, args, 0x2fabcd, 0x8fabcd, 4096)
    faults(memory, args, 0x3000, None, write)
    faults(memory, args, 0x5000, *absent)
    got = ranges_of(listing(memory, args), device)
    kit.check(got == merged(NESTED), 'the nested list differs', got)
