#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""iogate study: what its figures must be, whatever the machine; and what it says when it cannot. Usage: study_test.py IOGATE"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

iogate = os.path.realpath(sys.argv[1])
PAGES = 4096


def run(*options, code=0):
    done = subprocess.run([iogate, 'study', *options], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == code, (options, done.returncode, done.stdout[-500:], done.stderr[-500:])
    return done


def report(*options):
    return json.loads(run('--json', '--pages', str(PAGES), *options).stdout)


def per_page(row, count):
    return count / row['pages']


def ideas():
    found = report('--ideas')
    assert found['schema'] == 1 and found['partial'] is False and not found['combinations']
    rows = {tuple(name for name in ('contiguous', 'batched', 'ranged', 'kept') if not row[name]): row for row in found['ideas']}
    assert all(row['violations'] == 0 and row['late_bytes'] == 0 and row['exposure_ns']['max'] == 0 for row in rows.values())
    misses = {without: row['last_level_misses_per_page'] for without, row in rows.items()}
    assert misses[()] <= 0.05, misses
    # What misses walk caches when it is left out...
    for without in 'contiguous', 'ranged', 'kept':
        assert misses[without,] >= 2 * 0.05, misses
    # ...and what is the price of leaving out the batch: a command and a wait for each page; and a miss for each where walk caches are not kept either.
    waits = {without: per_page(row, row['commands']['waits']) for without, row in rows.items()}
    assert waits[()] < 0.15 and waits['batched',] > 0.99, waits
    assert rows['batched',]['unmap_ns_per_page'] > 5 * rows[()]['unmap_ns_per_page']
    assert misses['batched', 'kept'] > 0.9 and misses['batched', 'kept'] > 5 * misses['kept',], misses
    # A descriptor is one range and one wait, a page sent another.
    row = rows[()]
    assert row['commands']['domains'] == 0 and row['commands']['ranges'] == row['commands']['waits']
    assert abs(row['commands']['waits'] - (PAGES / 64 + PAGES / 8)) <= 16, row['commands']
    assert rows['ranged',]['commands']['domains'] == rows['ranged',]['commands']['waits']
    assert row['commands']['ranges_leaf_only'] >= row['commands']['ranges'] - 8 and rows['kept',]['commands']['ranges_leaf_only'] == 0
    return found


def without():
    found = report('--without', 'contiguous', '--without', 'kept')['ideas']
    assert [(row['contiguous'], row['batched'], row['ranged'], row['kept']) for row in found] == [(True,) * 4, (False, True, True, False)]


def matrix():
    found = report('--no-ideas', '--workload', 'descriptors', '--leaf', '4K', '--leaf', '2M')
    assert not found['ideas'] and len(found['combinations']) == 2 * 2 * 3 * 3 + 2 * 3 + 1
    rows = {(row['addresses'], row.get('leaf'), row.get('ats'), row.get('mode')): row for row in found['combinations']}
    assert all(row['violations'] == 0 and row['late_bytes'] == 0 and row['reused_bytes'] == 0 and row['exposure_complete'] for row in rows.values())
    for (addresses, leaf, ats, mode), row in rows.items():
        exposure, commands = row['exposure_ns'], row['commands']
        if mode == 'strict':
            assert exposure['max'] == 0 and row['reuses_exposed'] == 0 and row['bytes_held_peak'] == 0 and exposure['pages'] > 0
            # The library by itself does what the table of the ideas shows.
            if leaf == 4096:
                assert per_page(row, row['walk_caches'][0]['misses']) <= 0.05 and commands['ranges'] == commands['ranges_leaf_only'] > 0
        elif mode == 'deferred':
            assert 0 < exposure['p50'] <= exposure['max'] < 10000000 and row['reuses_exposed'] > 0
        elif mode == 'held':
            assert 0 < exposure['max'] < 10000000 and row['reuses_exposed'] == 0 and 0 < row['bytes_held_peak'] <= 64 << 20
        else:
            assert commands['ranges'] + commands['domains'] + commands['waits'] == 0
        if mode in ('deferred', 'held'):
            assert commands['waits'] * 4 < rows[addresses, leaf, ats, 'strict']['commands']['waits']
        if ats == 'off':
            assert commands['device_ranges'] + commands['device_all'] == 0 and row['walk_reads_ahead'] == 0
        elif mode:
            assert commands['device_ranges'] + commands['device_all'] > 0
        # What is asked for ahead hides most of the reads.
        if ats == 'ahead' and leaf == 4096:
            assert row['walk_reads_ahead'] > row['walk_reads'] / 2
    bypass = rows['bypass', None, None, None]
    assert bypass['bypass'] and bypass['device_accesses'] == 0 and bypass['walk_reads'] == 0
    # Larger leaves reach further.
    assert rows['static', 2 << 20, 'off', None]['iotlb']['misses'] * 100 < rows['static', 4096, 'off', None]['iotlb']['misses']
    assert rows['tree', 2 << 20, 'off', 'strict']['iotlb']['misses'] * 4 < rows['tree', 4096, 'off', 'strict']['iotlb']['misses']


def same_again(first):
    again = report('--ideas')
    assert again['ideas'] == first['ideas'], 'the same seed counts otherwise'
    other = report('--ideas', '--seed', '2')
    assert other['ideas'] != first['ideas'] and other['ideas'][0]['last_level_misses_per_page'] <= 0.05


def other_formats():
    for name in 'x86_64', 'arm_s2_4k', 'riscv':
        found = report('--format', name, '--workload', 'pages', '--leaf', '4K', '--ats', 'off', '--reclaim', 'none')
        assert found['format'] == name and all(row['violations'] == 0 for row in found['combinations'] + found['ideas'])
        assert found['ideas'][0]['last_level_misses_per_page'] <= 0.05


def text():
    said = run('--pages', str(PAGES), '--workload', 'pages', '--addresses', 'window', '--leaf', '4K', '--ats', 'off').stdout
    assert 'without contiguous' in said and 'violations 0.' in said and ' strict ' in said and ' held ' in said, said


def usage():
    for options, said in (
            (['--leaf', '3M'], '4K, 2M or 1G is wanted'), (['--ats', 'maybe'], 'off, on or ahead'), (['--mode', 'lax'], 'strict, deferred or held'),
            (['--addresses', 'trees'], 'window, tree, static or bypass'), (['--workload', 'all'], 'descriptors or pages'), (['--without', 'luck'], 'contiguous, batched'),
            (['--pages', '10'], 'from 1024 to'), (['--wait-ns', '-1'], 'from 0 to'), (['--ideas', '--no-ideas'], 'nothing'), (['--ideas', '--leaf', '4K'], 'no combinations'),
            (['--plot', ''], 'name of a directory'), (['trace'], 'takes options only'), (['--format', 'arm_s1_64k'], '4K')):
        done = run(*options, code=2)
        assert said in done.stderr and not done.stdout, (options, done.stderr)
    assert 'gave no memory' in run('--memory-limit', '64K', code=1).stderr


def interrupted():
    child = subprocess.Popen([iogate, 'study', '--json', '--pages', '100000000'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    out, said = child.communicate(timeout=60)
    found = json.loads(out)
    assert child.returncode == 1 and found['partial'] is True and 'interrupted' in said, (child.returncode, said)
    assert '\r' not in said, 'progress without a terminal'


def charts():
    if not shutil.which('gnuplot'):
        print('charts: gnuplot is not here')
        return
    with tempfile.TemporaryDirectory() as where:
        run('--pages', '1024', '--workload', 'pages', '--ats', 'off', '--plot', where + '/charts')
        assert sorted(os.listdir(where + '/charts')) == ['study.png', 'study.svg', 'study.tsv']
        rows = [line.rstrip('\n').split('\t') for line in open(where + '/charts/study.tsv')]
        assert len(rows) == 1 + 9 + 2 * 3 * 3 + 3 + 1 and all(len(row) == len(rows[0]) for row in rows), rows
        drawn = open(where + '/charts/study.svg').read()
        for row in rows[1:]:
            assert row[0].removeprefix('ideas: ') in drawn, row[0]


usage()
first = ideas()
without()
matrix()
same_again(first)
other_formats()
text()
interrupted()
charts()
print('study: all as it must be')
