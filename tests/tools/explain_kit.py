# SPDX-License-Identifier: MIT
"""Memory for the tests of "iogate explain": tables written by hand, from the specifications and from nothing of the command's."""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

iogate = sys.argv[1]
work = tempfile.TemporaryDirectory()
checks = 0
failed = 0
seed = int(os.environ.get('IOG_SEED', random.SystemRandom().randrange(1 << 32)))
scale = int(os.environ.get('IOG_TEST_SCALE', '100'))
rng = random.Random(seed)


class Memory:
    """Physical memory from an address on; pages come from a counter."""

    def __init__(self, base=0x80000000):
        self.base = base
        self.bytes = bytearray()

    def alloc(self, size=4096, align=None):
        align = align or size
        end = self.base + len(self.bytes)
        address = (end + align - 1) // align * align
        self.bytes += bytes(address + size - end)
        return address

    def put(self, address, *qwords):
        struct.pack_into('<%dQ' % len(qwords), self.bytes, address - self.base, *qwords)
        return address

    def get(self, address):
        return struct.unpack_from('<Q', self.bytes, address - self.base)[0]

    def set_bit(self, address, bit, value=1):
        word = self.get(address + bit // 64 * 8)
        word = word & ~(1 << bit % 64) | value << bit % 64
        self.put(address + bit // 64 * 8, word)

    def save(self, name='memory'):
        path = os.path.join(work.name, name)
        with open(path, 'wb') as file:
            file.write(self.bytes)
        return ['--memory', path, '--base', hex(self.base)]


def run(*arguments):
    result = subprocess.run([iogate, 'explain', *[str(a) for a in arguments]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def fail(text, *details):
    global failed
    failed += 1
    print('FAILED: %s' % text)
    for detail in details:
        print('    %s' % detail)


def check(claim, text, *details):
    global checks
    checks += 1
    if not claim:
        fail(text, *details)


def ask(memory, arguments, iova, code=0):
    """The JSON for an address."""
    got, out, err = run(*memory.save(), *arguments, '--json', hex(iova))
    check(got == code, 'explain %s %#x: exit %d, not %d' % (' '.join(map(str, arguments)), iova, got, code), out[:1500], err)
    report = json.loads(out)
    # The text says the same sentence; not asked each time, because starting the command is most of the work.
    if not rng.randrange(8):
        text = run(*memory.save(), *arguments, hex(iova))[1]
        check(report['result']['reason'] in text, 'the text lacks the sentence', report['result']['reason'], text)
    return report


def says(memory, arguments, iova, *words, code=0):
    """The sentence for an address has these words."""
    report = ask(memory, arguments, iova, code)
    reason = report['result']['reason']
    for word in words:
        check(word in reason, '%s %#x does not say "%s"' % (' '.join(map(str, arguments)), iova, word), reason)
    return report


def works(memory, arguments, iova, paddr, size=None, prot='rw'):
    result = ask(memory, arguments, iova)['result']
    wanted = (hex(paddr), size or result['page_size'], prot)
    got = (result['paddr'], result['page_size'], result['prot'])
    check(got == wanted, '%s %#x: %s, not %s' % (' '.join(map(str, arguments)), iova, got, wanted), result['reason'])


def faults(memory, arguments, iova, read, write, *words, code=0):
    """Both accesses fail, with these numbers; None for one that works."""
    report = says(memory, arguments, iova, *words, code=code)
    for name, number in (('read', read), ('write', write)):
        got = report['result'][name].get('code')
        check(got == number, '%s %#x: %s ends with %s, not %s' % (' '.join(map(str, arguments)), iova, name, got, number), report['result']['reason'])
    return report


def listing(memory, arguments, code=0):
    got, out, err = run(*memory.save(), *arguments, '--dump', '--json')
    check(got == code, 'explain %s --dump: exit %d, not %d' % (' '.join(map(str, arguments)), got, code), out[:1500], err)
    return json.loads(out)


def merged(ranges):
    """Ranges (iova, paddr, size, prot) as --dump has them."""
    result = []
    for iova, paddr, size, prot in sorted(ranges):
        last = result[-1] if result else None
        if last and last[0] + last[2] == iova and last[1] + last[2] == paddr and last[3] == prot:
            last[2] += size
        else:
            result.append([iova, paddr, size, prot])
    return result


def ranges_of(report, device=None):
    return [[int(m['iova'], 16), int(m['paddr'], 16), m['size'], m['prot']] for m in report['mappings'] if m['device'] == device]


def finish():
    print('seed %d: %d checks, %d failed' % (seed, checks, failed))
    work.cleanup()
    sys.exit(failed > 0 or not checks)
