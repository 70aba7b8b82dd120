#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Dumps of every kind, and files that are none: what is said of each, and the command line's own errors. Usage: explain_files_test.py IOGATE"""
import bz2
import gzip
import lzma
import os
import struct

import explain_kit as kit
from explain_kit import Memory, run
from explain_tables import Tree, VtdSecond

memory = Memory(0x1000)
tree = Tree(memory, VtdSecond(48))
tree.map(0x7000, 0x123000)
TABLE = ['--table', hex(tree.root), '--format', 'vtdss']
CONTENTS = bytes(memory.bytes)


def elf(segments, wide=True, kind=4, phnum=None, phentsize=None, data=1, xnum=False, note=True):
    """An ELF core; @segments are (paddr, bytes, size that the header claims or None)."""
    ehsize, phsize, shsize = (64, 56, 64) if wide else (52, 32, 40)
    headers = ([(4, 0, b'CORE', None)] if note else []) + [(1,) + segment for segment in segments]
    count = len(headers) if phnum is None else phnum
    offset = ehsize + len(headers) * phsize + (shsize if xnum else 0)
    program, contents = b'', b''
    for number, (ptype, paddr, body, claim) in enumerate(headers):
        size = len(body) if claim is None else claim
        at = offset + len(contents)
        if wide:
            program += struct.pack('<IIQQQQQQ', ptype, 0, at, 0xffff888000000000 + paddr & (1 << 64) - 1, paddr, size, size, 0)
        else:
            program += struct.pack('<IIIIIIII', ptype, at, 0, paddr, size, size, 0, 0)
        contents += body
    shoff = ehsize + len(headers) * phsize if xnum else 0
    header = b'\x7fELF' + bytes([2 if wide else 1, data, 1]) + bytes(9)
    header += struct.pack('<HHIQQQIHHHHHH' if wide else '<HHIIIIIHHHHHH', kind, 62, 1, 0, ehsize, shoff, 0, ehsize, phentsize or phsize, 0xffff if xnum else count,
                          shsize if xnum else 0, 1 if xnum else 0, 0)
    section = b''
    if xnum:
        section = struct.pack('<IIQQQQIIQQ', 0, 0, 0, 0, 0, 0, 0, count, 0, 0) if wide else struct.pack('<10I', 0, 0, 0, 0, 0, 0, 0, count, 0, 0)
    return header + program + section + contents


def save(contents, name='dump'):
    path = os.path.join(kit.work.name, name)
    with open(path, 'wb') as file:
        file.write(contents)
    return path


def good(contents, what, *arguments):
    code, out, err = run('--memory', save(contents), *arguments, *TABLE, '0x7123')
    kit.check(code == 0 and 'reaches 0x123123' in out, what, out, err)


def bad(contents, what, *words, arguments=TABLE + ['0x7123']):
    path = save(contents)
    code, out, err = run('--memory', path, *arguments)
    kit.check(code == 1 and not out and path in err and all(word in err for word in words), '%s: "%s" is not said' % (what, words), code, out, err)


def usage(*arguments, says):
    code, out, err = run(*arguments)
    kit.check(code == 2 and not out and says in err, 'usage %s: "%s" is not said' % (arguments, says), code, out, err)


def test_good():
    whole = elf([(0x1000, CONTENTS, None)])
    good(whole, '64 bits')
    good(elf([(0x1000, CONTENTS, None)], wide=False), '32 bits')
    good(elf([(0x1000, CONTENTS, None)], xnum=True), 'many program headers')
    good(elf([(0x1000, CONTENTS, None)], xnum=True, wide=False), 'many program headers, 32 bits')
    good(CONTENTS, 'raw', '--base', '0x1000')
    good(elf([((1 << 64) - 1, CONTENTS, None), (0x1000, CONTENTS, None)]), 'no physical address')
    # In pieces of no size that tables have, in any order, overlapping.
    pieces = [(0x1000 + at, CONTENTS[at:at + 1001], None) for at in range(0, len(CONTENTS), 1001)]
    good(elf(pieces), 'pieces')
    good(elf(pieces[::-1]), 'pieces backwards')
    good(elf([(0x1000, CONTENTS[:9000], None), (0x3000, CONTENTS[0x2000:], None), (0x1000, CONTENTS[:100], None)]), 'overlapping pieces')
    good(elf([(1 << 63, b'x' * 10, None), (0x1000, CONTENTS, None), ((1 << 64) - 1, b'x', None)]), 'the last byte of all')
    for name, pack in (('gzip', gzip.compress), ('xz', lzma.compress), ('bzip2', bz2.compress)):
        good(pack(whole), name)
        good(pack(CONTENTS), name + ', raw', '--base', '0x1000')
    code, out, err = run('--memory', save(CONTENTS), '--base', '0x1000', '--table', '0xfffffffffffff000', '--format', 'vtdss', '0xffffffff8000')
    kit.check(code == 1 and 'not in the dump' in out, 'the end of memory', out, err)


def test_bad():
    whole = elf([(0x1000, CONTENTS, None)])
    bad(b'', 'nothing', 'is empty')
    bad(b'hello', 'text', 'is no ELF core', '--base')
    bad(CONTENTS, 'raw without base', 'is no ELF core', '--base')
    bad(b'KDUMP   ' + bytes(9000), 'kdump', 'kdump-compressed', 'makedumpfile')
    bad(b'makedumpfile' + bytes(9000), 'flattened', 'makedumpfile -R')
    bad(whole[:40], 'half a header', 'is truncated', '40 bytes hold no ELF header')
    bad(whole[:100], 'half the program headers', 'is truncated', 'program headers')
    bad(whole[:-1], 'a byte short', 'is truncated: segment 1 is 0x4000 bytes at offset')
    bad(elf([(0x1000, CONTENTS, None)], kind=2), 'a program', 'no core dump')
    bad(elf([(0x1000, CONTENTS, None)], data=2), 'big-endian', 'big-endian')
    bad(whole[:4] + b'\x07' + whole[5:], 'class', 'class 7')
    bad(elf([(0x1000, CONTENTS, None)], phentsize=40), 'entry size', 'a program header of 40 bytes, not 56')
    bad(elf([(0x1000, CONTENTS, None)], phnum=60000), 'count', '60000 program headers')
    bad(elf([(0x1000, CONTENTS, None)], xnum=True, phnum=0xffffffff), 'count of 32 bits', '4294967295 program headers')
    bad(elf([(0x1000, CONTENTS, None), (0x9000, CONTENTS, 1 << 40)]), 'size of the second', 'is truncated: segment 2')
    bad(elf([(0x1000, CONTENTS, 1 << 40)]), 'size', 'is truncated: segment 1')
    bad(elf([(0x1000, CONTENTS, (1 << 64) - 1)]), 'size of 64 bits', 'segment 1')
    bad(elf([((1 << 64) - 4096, CONTENTS, None)]), 'end', 'ends beyond 64 bits')
    bad(elf([]), 'no memory', 'without memory')
    bad(whole[:32] + struct.pack('<Q', (1 << 64) - 16) + whole[40:], 'offset', 'is truncated')
    bad(gzip.compress(whole)[:90], 'half a gzip', 'truncated or damaged gzip data')
    bad(lzma.compress(whole)[:90], 'half an xz', 'truncated or damaged xz data')
    bad(lzma.compress(whole[:-1]), 'xz of a byte short', 'is truncated: segment 1')
    bad(CONTENTS, 'beyond 2^64', 'does not fit below 2^64', arguments=['--base', '0xffffffffffffff00', *TABLE, '0'])
    code, _, err = run('--memory', '/nonexistent/dump', *TABLE, '0')
    kit.check(code == 1 and '/nonexistent/dump: No such file' in err, 'no file', err)
    code, _, err = run('--memory', kit.work.name, *TABLE, '0')
    kit.check(code == 1 and 'is a directory' in err, 'a directory', err)
    code, out, err = run('--memory', save(b'hello'), *TABLE, '--json', '0')
    kit.check(code == 1 and '"partial": true' in out and 'is no ELF core' in out, 'JSON of an error', out, err)


def test_random():
    """Bytes changed at random: an answer or an error, never a crash."""
    whole = elf([(0x1000, CONTENTS, None)])
    for _ in range(max(10, 60 * kit.scale // 100)):
        broken = bytearray(whole)
        for _ in range(kit.rng.randrange(1, 6)):
            broken[kit.rng.randrange(200)] = kit.rng.choice([0, 1, 0x7f, 0x80, 0xff, kit.rng.randrange(256)])
        code, _, err = run('--memory', save(bytes(broken)), *TABLE, kit.rng.choice(['0x7123', '--dump']))
        kit.check(code in (0, 1), 'a changed header: exit %d' % code, err[-2000:])


def test_usage():
    unit = ['--memory', 'x', '--unit', 'vtd', '--root', '0']
    usage(says='--unit or --table is wanted')
    usage('--memory', 'x', says='--unit or --table is wanted')
    usage('--unit', 'vtd', '--root', '0', '--device', '0:0.0', '0', says='--memory is wanted')
    usage('--memory', 'x', '--unit', 'vtd', '0', says='what does RTADDR_REG read')
    usage(*unit, '0', says='--device is wanted')
    usage(*unit, '--device', '0:0.0', says='no IOVA named')
    usage(*unit, '--device', '0:0.0', '1', '2', says='one IOVA at a time')
    usage(*unit, '--device', '0:0.0', 'here', says='IOVA here')
    usage(*unit, '--device', '0:0.0', '0x10000000000000000', says='a number of 64 bits')
    usage(*unit, '--dump', '1', says='leave the IOVA out')
    usage(*unit, '--dump', '--pasid', '1', says='--device is wanted')
    usage(*unit, '--device', '1:00:00.0', '0', says='one PCI segment')
    usage(*unit, '--strtab-cfg', '0', '--device', '0:0.0', '0', says='only smmuv3')
    usage(*unit, '--bits', '48', '--device', '0:0.0', '0', says='--bits and --granule are for --table')
    usage('--unit', 'vtx', says='vtd, amdvi, smmuv3 or riscv')
    for name in ('00:01', '00:20.0', '100:0.0', '0:0.8', 'x', '', '-1', '0:0.0.0', '00:01.0x', '0x100000000', '1:2:3:4.5', '+1:0.0'):
        usage(*unit, '--device', name, '0', says='--device %s' % name)
    usage('--unit', 'amdvi', '--root', '0', '--capability', '1', '--device', '1:0.0', '0', says='--capability')
    usage('--table', '0', '0', says='go together')
    usage('--format', 'vtdss', '0', says='go together')
    usage('--table', '0', '--format', 'vtdss', '--device', '0:0.0', '0', says='do not go with it')
    usage('--table', '0', '--format', 'vtdss', '--bits', '40', '0', says='no tables of 40')
    usage('--table', '0', '--format', 'vtdss', '--granule', '64K', '0', says='--granule is for arm')
    usage('--table', '8', '--format', 'vtdss', '0', says='aligned')
    usage('--table', '0', '--format', 'arm_s1', '--granule', '8K', '0', says='4K, 16K or 64K')
    usage('--table', '0', '--format', 'x86_64', '--address-bits', '56', '0', says='32 to 52')
    usage(*unit, '--pasid', '0x100000', '--device', '0:0.0', '0', says='from 0 to 1048575')


print('seed %d' % kit.seed)
for test in (test_good, test_bad, test_random, test_usage):
    test()
kit.finish()
