# SPDX-License-Identifier: MIT
"""
The mutations of tests/mutants/run: name, what is left out, edits (file, text that stands there exactly once, text instead of
it), and which hammer has to notice, if it is not the first of HAMMERS. White space in the old text matches any white space. Where the window that a mutation opens is too narrow for a test to
meet, the edit holds it open with protocol steps, which the hammer makes long.
"""

ENTRIES = "src/pgtable/template/entries.h"
MAP = "src/pgtable/template/map.h"
UNMAP = "src/pgtable/template/unmap.h"
RECLAIM = "src/pgtable/template/reclaim.h"
GATHER = "src/inval/gather.c"
IDENTITY = "src/pgtable/template/identity.h"
TABLEMEM_H = "src/pgtable/tablemem.h"
TABLEMEM_C = "src/pgtable/tablemem.c"

HAMMERS = {"hammer": "tests/pgtable/hammer.c", "identity": "tests/pgtable/identity_hammer.c"}

MUTATIONS = [
    ("generation", "release does not look at the generation: DEAD suffices", [
        (RECLAIM, "latest = word_state(word) == WORD_DEAD && word_generation(word) == record->generation;",
         "latest = word_state(word) == WORD_DEAD;"),
    ]),
    ("revival", "a tombstone is replaced by a new table instead of being revived", [
        (MAP, "if (!entry) return PT(link_tables)", "if (!entry || PT(is_tombstone)(entry)) return PT(link_tables)"),
        # Fair: whoever comes first, the release or the new table, leaves the other a slot and a count that are right.
        (MAP, "if (iog_unlikely(atomic_load_explicit(slot, memory_order_relaxed))) { word_leave_busy(parent, word); return false; }",
         "empty = atomic_load_explicit(slot, memory_order_relaxed);"
         "if ((empty && !PT(is_tombstone)(empty)) || !atomic_compare_exchange_strong(slot, &empty, entry)) {"
         " word_leave_busy(parent, word); return false; }"),
        (MAP, "atomic_store_explicit(slot, entry, memory_order_release); pt_clean", "pt_clean"),
        (MAP, "word_leave_busy(parent, word + 1);", "word_leave_busy(parent, word + !PT(is_tombstone)(empty));"),
        (RECLAIM, "PT(entry_store)(slot, 0);",
         "uint64_t replaced = PT(pa)(pt, table) | PT_TOMBSTONE; bool mine = atomic_compare_exchange_strong(slot, &replaced, 0);"),
        (RECLAIM, "children++;", "children += mine;"),
        (RECLAIM, "if (parent) PT(put)(pt, parent, lane, parent->level, children); if (V_LOCKED)",
         "if (parent && children) PT(put)(pt, parent, lane, parent->level, children); if (V_LOCKED)"),
        (RECLAIM, "if (parent) PT(put)(pt, parent, lane, parent->level, children); parent = up;",
         "if (parent && children) PT(put)(pt, parent, lane, parent->level, children); parent = up;"),
    ]),
    ("identity", "any table passes for the one that is looked for", [
        (ENTRIES, "if (PT(is_root)(pt, table, level)) return true; return atomic_load_explicit(&table->owner",
         "(void)iova; if (1) return true; return atomic_load_explicit(&table->owner"),
    ]),
    ("flush", "tables are released, and pages reused, without an invalidation", [
        (GATHER, "return gather->flush(gather, gather->flush_ctx);", "return 0;"),
    ]),
    ("validation", "what ends a walk is believed without a second look at its table", [
        (ENTRIES, "return !V_VALIDATED || word_same_life(word, word_load(table));", "(void)table; (void)word; return true;"),
    ]),
    ("slot-revive", "revival takes the parent's entry from the path that was walked", [
        # The window is one load wide, and much has to happen in it: held open.
        (MAP, "return PT(revive)(pt, gather, run, entry, level);",
         "{ protocol_step(); protocol_step(); protocol_step(); protocol_step();"
         " return PT(revive)(pt, gather, run, entry, level, slot); }"),
        (MAP, "const struct PT(run) *run, uint64_t tombstone, uint32_t level)",
         "const struct PT(run) *run, uint64_t tombstone, uint32_t level, iog_entry_t *walked)"),
        (MAP, "slot = atomic_load_explicit(&table->slot, memory_order_relaxed);", "slot = walked;"),
    ]),
    ("slot-trim", "trim takes the parent's entry from the path that was walked", [
        (RECLAIM, "PT(unlink_if_empty)(struct iog_pgtable *pt, struct iog_gather *gather, struct iog_table *table)",
         "PT(unlink_if_empty)(struct iog_pgtable *pt, struct iog_gather *gather, struct iog_table *table, iog_entry_t *walked)"),
        (RECLAIM, "if (PT(word_replace)(pt, table, &word, word_with(word, WORD_BUSY, 0))) { PT(unlink)(pt, gather, table, word, 0);",
         "if (PT(word_replace)(pt, table, &word, word_with(word, WORD_BUSY, 0))) {"
         " atomic_store(&table->slot, walked); PT(unlink)(pt, gather, table, word, 0);"),
        (RECLAIM, "any |= PT(unlink_if_empty)(pt, gather, PT(descriptor)(pt, level - 1, child));",
         "any |= PT(unlink_if_empty)(pt, gather, PT(descriptor)(pt, level - 1, child), &entries[i]);"),
    ]),
    ("unclean", "a table that was dropped with entries in it is revived with them", [
        (MAP, "if (word & WORD_UNCLEAN) {", "if (0) {"),
    ]),
    ("count-after", "a new table is counted in its parent after it was linked, not before", [
        (MAP, "while (!PT(word_replace)(pt, parent, &word, word_with(word, WORD_BUSY, 0))); /* The count waits in @word. */"
         " if (iog_unlikely(atomic_load_explicit(slot, memory_order_relaxed))) { word_leave_busy(parent, word); return false; }",
         "while (0); if (!atomic_compare_exchange_strong(slot, &empty, entry)) return false;"),
        (MAP, "word_leave_busy(parent, word + 1);", "(void)PT(get)(pt, parent, level, iova, 1);"),
    ]),
    ("drop-identity", "an unmap drops a table without asking whose it is", [
        (UNMAP, "if (word_state(word) != WORD_LIVE || !PT(identity)(pt, table, 0, iova)) return false;",
         "if (word_state(word) != WORD_LIVE) return false;"),
    ]),
    ("live-before-linked", "a revived table is LIVE before its parent's entry is present", [
        (MAP, "if (V_LOCKED) word_leave_busy(table, live); /* Release: the table's", "word_leave_busy(table, live); /* Release: the table's"),
        (MAP, "if (!V_LOCKED) word_leave_busy(table, live);", ""),
    ]),
    ("uncount-busy", "a child is uncounted while its parent is BUSY", [
        (ENTRIES, "while (level && iog_unlikely(word_state(word) == WORD_BUSY)) {", "while (0) {"),
    ]),
    ("marks", "a table goes back to stock while a list or a gather still knows it", [
        (TABLEMEM_H, "if (iog_likely(!(word & WORD_MARKS))) stock_push(lane, table, word);", "stock_push(lane, table, word);"),
        (TABLEMEM_H, "if (iog_unlikely(word_state(word) == WORD_FREE && !(word & WORD_MARKS))) stock_push(lane, table, word);",
         "(void)lane; (void)table; (void)word;"),
    ]),
    ("quiet-point", "slabs go back to the host while a lane may still look into them", [
        (TABLEMEM_C, "if (!lanes_passed(mem, self)) break;", "(void)lanes_passed;"),
    ]),
    ("path-epoch", "a lane believes in a path from before slabs went back to the host", [
        (ENTRIES, "if (iog_unlikely(lane->epoch != epoch)) {", "if (0) {"),
    ]),
    ("identity-revive", "any permission revives a stale 1:1 entry", [
        (IDENTITY, "- 1)) == fmt_prot(leaf) ? leaf : 0;", "- 1)) == fmt_prot(leaf) ? leaf : leaf;"),
    ], "identity"),
    ("identity-share", "users of different permissions share a 1:1 entry", [
        (IDENTITY, "users < PT_USERS_MAX && fmt_prot(entry) == fmt_prot(leaf) ?", "users < PT_USERS_MAX ?"),
    ], "identity"),
    ("identity-stamp", "a stale 1:1 entry is cleared by whoever comes", [
        (IDENTITY, "PT(is_stale)(entry) && entry >> PT_STALE_STAMP_SHIFT == stamp", "PT(is_stale)(entry)"),
    ], "identity"),
    ("identity-stale", "the last unmap of a 1:1 entry leaves it empty", [
        (IDENTITY, ": PT(stale)(entry, stamp);", ": 0;"),
        (IDENTITY, "pt_clean(pt, (const void *)slot, sizeof(*slot)); gather_add_leaf",
         "PT(put)(pt, found.table, lane, 0, 1); gather_add_leaf"),
    ], "identity"),
    ("identity-enter", "a 1:1 entry is stored after a look, not swapped", [
        (IDENTITY, "while (to && !PT(swap)(slot + i, &entry, to));",
         "while (0); if (to) { protocol_step(); PT(entry_store)(slot + i, to); }"),
    ], "identity"),
    ("identity-leave", "a user of a 1:1 entry leaves by a store, not by a swap", [
        (IDENTITY, "} while (!looks && !PT(swap)(slot, &entry, to));",
         "} while (0); if (!looks) { protocol_step(); PT(entry_store)(slot, to); }"),
    ], "identity"),
    ("identity-table", "1:1 entries of a table that is taken back are stored in it when others may be in it", [
        (IDENTITY, "const struct PT(run) nothing = { run->iova, 0, 0, 0 };", "const struct PT(run) nothing = *run;"),
        (IDENTITY, "return outcome == PT(DONE) ? PT(AGAIN) : outcome;", "return outcome;"),
    ], "identity"),
    ("identity-undo", "what a failed 1:1 map had entered stays", [
        (IDENTITY, "if (error && done) {", "if (0) {"),
    ], "identity"),
    ("identity-retire", "a stale 1:1 entry is cleared in a table that is not held", [
        (IDENTITY, "if (!PT(get)(pt, table, 0, iova, 1)) return false;",
         "uint64_t word = 0; if (!PT(begin_look)(pt, table, 0, iova, &word)) return false;"),
        (IDENTITY, "PT(put)(pt, table, lane, 0, cleared + 1);", "if (cleared) PT(put)(pt, table, lane, 0, cleared);"),
    ], "identity"),
]

"""
Whose window is a load or two wide: the hammer meets it in some runs and not in others, so that only a run which names them tries
them. What they leave out is proven needed by the models in tests/model: NO_VALIDATE, NO_ID, NO_DESC, LIVE_FIRST, NO_LOOK, NO_RETIRE_GET.
"""
RARE = {"validation", "slot-revive", "slot-trim", "drop-identity", "live-before-linked", "quiet-point", "identity-retire"}
