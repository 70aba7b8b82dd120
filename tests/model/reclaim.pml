/* SPDX-License-Identifier: MIT */
/*
 * Reclaim, one level: two entries of one parent, tables from one stock, lanes with a gather each that is flushed late, and a device with
 * walk caches. The parent stays, but its word changes: BUSY while a table is linked into it, and a count of entries.
 *
 * Part of the protocol: link, count, list, trim (unlink), revive, flush and release; with -DDROP also the covered table that is dropped
 * with its entries in it, with -DLEAF also the large leaf where a table was. levels.pml has parents that are tables themselves, slab.pml
 * the memory under it.
 *
 * The parent's entry is EMPTY, PRES(t), TOMB(t) (not present to hardware, the table's address kept) or LARGE, a leaf. The word of a table
 * holds the count, the state, "listed", "unclean", the number of records that unfinished gathers hold of it, and the generation. Each
 * statement is one access to shared memory; d_step marks a compare-and-swap, or bookkeeping of the model itself. The order of memory is
 * sequential.
 *
 * The caller's contract: calls that run at the same time touch different pages (claim[]). Each lane makes OPS calls, on any page: map if it
 * is not mapped, unmap if it is, or look it up; and between calls trims a table of its list or flushes its gather, whenever it likes. At
 * the end it does both until nothing is left.
 *
 * Checked
 *   - a page whose map has returned is reached by a walk, and from every pointer that the device may have cached, until its unmap begins;
 *   - a page whose unmap has been flushed is reached by none;
 *   - a lookup of a mapped page finds it, of an unmapped page does not;
 *   - a table that goes to the stock or comes from it is not linked, not cached, and all zero unless marked unclean;
 *   - a dropped table's count is the number of its entries;
 *   - a table is put into the stock once, FREE and without marks; and is unmarked and FREE until it is taken, by a plain store;
 *   - at rest: every table is in the stock or linked with as many entries as it counts, at least one; nothing listed, no record; the
 *     parent's count is right;
 *   - nobody waits for a word that nobody will change (retries without end are not looked for).
 *
 *   spin -a -DOPS=2 reclaim.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m1000000
 *
 * -DSHARED: the two entries belong to two page tables on one table memory, each lane with a gather and a list per page table.
 * -DSINGLE: writers are serialised per page table and replace a word by a store (word_replace() with V_SINGLE).
 *
 * Must fail: NO_FLUSH, NO_GEN, NO_REVIVE, NO_ID, NO_DESC, NO_VALIDATE; NO_LINK_BUSY (the empty entry checked and stored with the parent
 * LIVE); NO_PUT_WAIT (the parent counted down while BUSY); with DROP: NO_UNCLEAN; with LEAF: NO_BREAK; with SHARED, and SINGLE
 * or DROP: MARKED (a free table with marks goes to the stock; with NO_OWNER, whose it is now is not looked at when it leaves the list).
 */
#ifndef OPS
#define OPS 2
#endif
#ifndef OPS1
#define OPS1 OPS                    /* lane 1's */
#endif
#define LIMIT ((me) -> OPS1 : OPS)
#ifndef NT
#define NT 3
#endif
#define NS 2                        /* entries of the parent */
#define NP 2                        /* pages in the span of each */
#define NL 2                        /* lanes */
#define NREC 2                      /* records a gather holds */
#ifdef SHARED
#define NPT 2                       /* page tables: entry k is all there is of page table k */
#define owner(k) (k)
#else
#define NPT 1
#define owner(k) 0
#endif
#define NONE 255

#define EMPTY 0
#define PRES(t) (1 + (t))
#define TOMB(t) (11 + (t))
#define LARGE 30
#define isPRES(e) ((e) >= 1 && (e) <= 10)
#define isTOMB(e) ((e) >= 11 && (e) <= 20)
#define tab(e) (isTOMB(e) -> (e) - 11 : (e) - 1)

/* The word. */
#define CNT(w) ((w) & 3)
#define ST(w) ((w) & 12)
#define FREE 0
#define BUSY 4
#define LIVE 8
#define DEAD 12
#define LISTED 16
#define UNCLEAN 32
#define REC1 64
#define RECS(w) (((w) >> 6) & 7)
#define GEN1 512
#define GEN(w) ((w) >> 9)
#define KEEP(w) ((w) & ~15)         /* all but count and state */

short W[NT] = FREE;
byte id[NT];                        /* the entry a table serves; written while BUSY */
typedef ptes { bit p[NP] };
ptes T[NT];
byte E[NS] = EMPTY;
short PW[NPT] = LIVE;               /* the parent's word: counts its entries that are not EMPTY */
byte stock;                         /* tables in it, a bit each */
byte may[NS];                       /* the device: which tables it may have cached for an entry, a bit each */

/* What the caller knows of page v = NP * slot + index. */
#define NV (NS * NP)
#define GONE 0                      /* unmapped and flushed, or never mapped */
#define IN_CALL 1
#define MAPPED 2
#define STALE(lane) (3 + (lane))    /* unmapped by that lane, not yet flushed by it */
byte acc[NV] = GONE;
bit claim[NV];
byte ndone;

#define unflushed(q) ((owner(0) == (q) && (acc[0] == STALE(me) || acc[1] == STALE(me))) || \
		      (owner(1) == (q) && (acc[2] == STALE(me) || acc[3] == STALE(me))))
#define through(t, v) T[t].p[(v) % NP]
#define walks(v) (isPRES(E[(v) / NP]) -> through(tab(E[(v) / NP]), v) : E[(v) / NP] == LARGE)
#define cached(k, t) (may[k] & (1 << (t)))
#if NT > 2
#define reach(v) (walks(v) && (!cached((v) / NP, 0) || through(0, v)) && (!cached((v) / NP, 1) || through(1, v)) && (!cached((v) / NP, 2) || through(2, v)))
#define reached(v) (walks(v) || (cached((v) / NP, 0) && through(0, v)) || (cached((v) / NP, 1) && through(1, v)) || (cached((v) / NP, 2) && through(2, v)))
#else
#define reach(v) (walks(v) && (!cached((v) / NP, 0) || through(0, v)) && (!cached((v) / NP, 1) || through(1, v)))
#define reached(v) (walks(v) || (cached((v) / NP, 0) && through(0, v)) || (cached((v) / NP, 1) && through(1, v)))
#endif
#define unseen(k, t) (!cached(k, t) && E[k] != PRES(t) && E[k] != TOMB(t))
/* An entry stored may be cached from now on; an invalidation leaves what is linked. */
#define present(k, t) d_step { E[k] = PRES(t); may[k] = may[k] | (1 << (t)) }
#define forgotten(k) may[k] = (isPRES(E[k]) -> 1 << tab(E[k]) : 0)
#define zero(t) (!T[t].p[0] && !T[t].p[1])
#define clean(t) (unseen(0, t) && unseen(1, t) && (zero(t) || (W[t] & UNCLEAN)))

/* word_replace(): a swap; or, with one writer at a time, a store (the word was read some time before). */
#ifdef SINGLE
#define SWAP(word, old, new) d_step { ok = 1; word = (new) }
#define lock(q) atomic { !locked[q] -> locked[q] = 1 }
#define unlock(q) locked[q] = 0
bit locked[NPT];
#else
#define SWAP(word, old, new) d_step { ok = (word == (old)); if :: ok -> word = (new) :: else fi }
#define lock(q) skip
#define unlock(q) skip
#endif
#define CAS(old, new) SWAP(W[t], old, new)

#define MARKS(w) ((w) & (LISTED | 7 * REC1))

/* From the stock: any table (those never used are alike: the first). None: -IOG_ENOMEM. */
#define unused(t) (W[t] == FREE)
#define stocked(t) (stock & (1 << (t)))
inline take() {
	atomic {
		if
		:: stocked(0) -> t = 0
		:: stocked(1) && !(unused(1) && stocked(0) && unused(0)) -> t = 1
#if NT > 2
		:: stocked(2) && !(unused(2) && ((stocked(0) && unused(0)) || (stocked(1) && unused(1)))) -> t = 2
#endif
		:: else -> t = NONE
		fi;
		if
		:: t != NONE -> assert(clean(t)); stock = stock & ~(1 << t)
#ifdef MARKED
			W[t] = KEEP(W[t]) | BUSY
#else
			w = W[t]
#endif
		:: else
		fi
	}
#ifndef MARKED
	if
	:: t != NONE -> d_step { assert(W[t] == w); W[t] = KEEP(w) | BUSY }
	:: else
	fi
#endif
}

/* What w leaves in the stock: the table was given, or lost a mark. */
#ifdef MARKED
#define given(w) 1
#define unmarked(w) 0
#else
#define given(w) !MARKS(w)
#define unmarked(w) (ST(w) == FREE && !MARKS(w))
#endif
inline push() { d_step { assert(!stocked(t) && clean(t)); stock = stock | (1 << t) } }

/* A BUSY table of this lane, not linked. */
inline give(unclean) {
	d_step { w = KEEP(W[t]) | FREE | unclean; W[t] = w; assert(clean(t)) }
	if
	:: given(w) -> push()
	:: else
	fi
}

/* A table with entries left in it is cleared before it is linked again. */
inline wipe() {
	if
#ifndef NO_UNCLEAN
	:: W[t] & UNCLEAN -> T[t].p[0] = 0; T[t].p[1] = 0
#endif
	:: else
	fi
}

/* The parent counts n less. A parent may be BUSY: a neighbour links into it. */
inline put_parent(n) {
	do
	:: pw = PW[q];
	   if
#ifndef NO_PUT_WAIT
	   :: ST(pw) == BUSY -> PW[q] != pw
#endif
	   :: else ->
		SWAP(PW[q], pw, pw - n);
		if :: ok -> break :: else fi
	   fi
	od;
	pw = 0
}

/* Word w was LIVE and is BUSY now, by us: tombstone, DEAD, record. The entry is the descriptor's, not the one walked. */
inline unlink(more) {
#ifdef NO_DESC
	s = k;
#else
	s = id[t];
#endif
	E[s] = TOMB(t);
	d_step {
		W[t] = ((KEEP(w) & ~LISTED) | (W[t] & LISTED) | DEAD | more) + REC1 + GEN1;
		record(GEN(W[t]))
	}
}

/* Table t, whose span is entry s, goes by value into the gather. */
inline record(gen) {
	assert(gn[q] < NREC && owner(s) == q);
	gt[q * NREC + gn[q]] = t; gg[q * NREC + gn[q]] = gen; gn[q]++;
	gspan = gspan | (1 << s)
}

inline make_room() {
	if
	:: gn[q] == NREC -> flush()
	:: else
	fi
}

/* The invalidation: walk caches for the spans recorded, and all that this lane has unmapped. */
inline flush() {
	d_step {
#ifndef NO_FLUSH
		if :: (gspan & 1) && owner(0) == q -> forgotten(0); gspan = gspan & ~1 :: else fi;
		if :: (gspan & 2) && owner(1) == q -> forgotten(1); gspan = gspan & ~2 :: else fi;
#endif
		if :: acc[0] == STALE(me) && owner(0 / NP) == q -> acc[0] = GONE :: else fi;
		if :: acc[1] == STALE(me) && owner(1 / NP) == q -> acc[1] = GONE :: else fi;
		if :: acc[2] == STALE(me) && owner(2 / NP) == q -> acc[2] = GONE :: else fi;
		if :: acc[3] == STALE(me) && owner(3 / NP) == q -> acc[3] = GONE :: else fi
	}
	do
	:: gn[q] > 0 ->
		d_step { t = gt[q * NREC]; g = gg[q * NREC] }
		do
		:: w = W[t];
		   if
		   :: ST(w) == BUSY -> W[t] != w
#ifdef NO_GEN
		   :: ST(w) == DEAD ->
#else
		   :: ST(w) == DEAD && GEN(w) == g ->
#endif
			CAS(w, (KEEP(w) | BUSY) - REC1);
			if
			:: ok ->
				s = id[t];
#if defined(NO_REVIVE) || defined(NO_BREAK)
				d_step { ok = (E[s] == TOMB(t)); if :: ok -> E[s] = EMPTY; children++ :: else fi }
#else
				assert(E[s] == TOMB(t));
				E[s] = EMPTY;
				children++;
#endif
				give(0);
				break
			:: else
			fi
		   :: else ->
			CAS(w, w - REC1);
			if
			:: ok && unmarked(w - REC1) -> push(); break
			:: ok && !unmarked(w - REC1) -> break
			:: else
			fi
		   fi
		od;
		atomic { gt[q * NREC] = gt[q * NREC + 1]; gg[q * NREC] = gg[q * NREC + 1]; gt[q * NREC + 1] = 0; gg[q * NREC + 1] = 0; gn[q]--; t = 0; g = 0; w = 0; s = 0; ok = 0 }
	:: else -> break
	od;
	if
	:: children -> put_parent(children); children = 0
	:: else
	fi
}

/* One table off the lane's list; unlinked if it is still empty. */
inline trim() {
	make_room();
	atomic {
		if
		:: list[q] & 1 -> t = 0; list[q] = list[q] & ~1
		:: (list[q] & 3) == 2 -> t = 1; list[q] = list[q] & ~2
		:: (list[q] & 7) == 4 -> t = 2; list[q] = list[q] & ~4
		fi
	}
	do
	:: w = W[t];
	   assert(w & LISTED);
	   if
	   :: ST(w) == BUSY -> W[t] != w
#if defined(MARKED) && !defined(NO_OWNER)
	   :: ST(w) == LIVE && CNT(w) == 0 && owner(id[t]) == q ->
#else
	   :: ST(w) == LIVE && CNT(w) == 0 ->
#endif
		CAS(w, (KEEP(w) & ~LISTED) | BUSY);
		if :: ok -> w = w & ~LISTED; unlink(0); break :: else fi
	   :: else ->
		CAS(w, w & ~LISTED);
		if
		:: ok && unmarked(w & ~LISTED) -> push(); break
		:: ok && !unmarked(w & ~LISTED) -> break
		:: else
		fi
	   fi
	od;
	atomic { t = 0; w = 0; s = 0; ok = 0 }
}

inline forget() { atomic { t = 0; w = 0; s = 0; k = 0; e = 0; ok = 0; g = 0; v = 0; q = 0 } }

/*
 * Table t with page v in it, BUSY and this lane's, into the entry k if that is empty. The parent is BUSY for it: one swap counts, and keeps
 * other linkers out.
 */
inline link() {
	do
	:: pw = PW[q];
	   if
	   :: ST(pw) != LIVE -> ok = 0; break
	   :: else ->
#ifdef NO_LINK_BUSY
		SWAP(PW[q], pw, pw + 1);
#else
		SWAP(PW[q], pw, BUSY);
#endif
		if :: ok -> break :: else fi
	   fi
	od;
	if
	:: ok && E[k] != EMPTY ->
#ifdef NO_LINK_BUSY
		put_parent(1);
#else
		PW[q] = pw;
#endif
		ok = 0
	:: ok && E[k] == EMPTY ->
		present(k, t);
		W[t] = (KEEP(W[t]) & ~UNCLEAN) | LIVE | 1;
#ifndef NO_LINK_BUSY
		PW[q] = pw + 1;
#endif
	:: else
	fi;
	pw = 0
}

/* An entry for page v. Ends with E[k] a table that is linked and counts it, or with t == NONE. */
inline map_page() {
	do
	:: e = E[k];
	   if
	   :: e == EMPTY ->
		take();
		if :: t == NONE -> break :: else fi;
		wipe();
		id[t] = k;
		through(t, v) = 1;
		link();
		if
		:: ok -> break
		:: else -> give(UNCLEAN)
		fi
	   :: e == LARGE -> assert(false)
	   :: else ->
		t = tab(e);
		w = W[t];
#ifndef NO_ID
		if
		:: id[t] != k -> ok = 0
		:: else -> ok = 1
		fi;
#else
		ok = 1;
#endif
		if
		:: !ok
		:: ok && ST(w) == LIVE ->
			CAS(w, w + 1);
			if :: ok -> assert(E[k] == PRES(t)); break :: else fi
		:: ok && ST(w) == DEAD ->
#ifdef NO_REVIVE
			/* another table in its place, leaving the old one to its flush */
			d_step { s = t; ok = 0 }
			take();
			if :: t == NONE -> break :: else fi;
			wipe();
			id[t] = k;
			d_step { ok = (E[k] == TOMB(s)); if :: ok -> E[k] = PRES(t); may[k] = may[k] | (1 << t) :: else fi }
			if
			:: ok -> W[t] = (KEEP(W[t]) & ~UNCLEAN) | LIVE | 1; break
			:: else -> give(0)
			fi
#else
			CAS(w, KEEP(w) | BUSY);
			if
			:: ok ->
				assert(E[k] == TOMB(t));
				wipe();
				present(k, t);
				W[t] = (KEEP(W[t]) & ~UNCLEAN) | LIVE | 1;
				break
			:: else
			fi
#endif
		:: else -> (W[t] != w || E[k] != e)
		fi
	   fi
	od;
	if
	:: t != NONE -> through(t, v) = 1
	:: else
	fi
}

/* What is there for page v? found tells; t and w are its table and the word seen before. */
inline walk() {
	do
	:: e = E[k];
	   if
	   :: e == EMPTY || isTOMB(e) || e == LARGE -> found = (e == LARGE); t = NONE; break
	   :: else ->
		t = tab(e);
		w = W[t];
		if
		:: ST(w) != LIVE || id[t] != k ->
			if
			:: ST(w) == BUSY -> (W[t] != w || E[k] != e)
			:: else
			fi
		:: else ->
			found = through(t, v);
#ifdef NO_VALIDATE
			break
#else
			if
			:: ST(W[t]) == LIVE && GEN(W[t]) == GEN(w) -> break
			:: else
			fi
#endif
		fi
	   fi
	od
}

/* Calls on the whole span of entry k: nothing else runs there. */
#define claim_span(n) atomic { ops < LIMIT && !claim[NP * n] && !claim[NP * n + 1] && (n == 0 || me || ops) -> \
			       claim[NP * n] = 1; claim[NP * n + 1] = 1; k = n; q = owner(n); v = NP * n; ops++ }

/* The span is not mapped any more, from here on. */
inline span_unmaps() {
	d_step {
		if :: acc[v] == MAPPED -> acc[v] = IN_CALL :: else fi;
		if :: acc[v + 1] == MAPPED -> acc[v + 1] = IN_CALL :: else fi
	}
}
inline span_unmapped() {
	atomic {
		if :: acc[v] == IN_CALL -> acc[v] = STALE(me) :: else fi;
		if :: acc[v + 1] == IN_CALL -> acc[v + 1] = STALE(me) :: else fi;
		claim[v] = 0; claim[v + 1] = 0
	}
}

/* Unmap all of a span: the table goes with its entries in it. */
inline drop_span() {
	make_room();
	span_unmaps();
	do
	:: e = E[k];
	   if
	   :: !isPRES(e) -> break
	   :: else ->
		t = tab(e);
		w = W[t];
		if
		:: ST(w) == BUSY -> (W[t] != w || E[k] != e)
		:: ST(w) == LIVE && id[t] == k && CNT(w) == 0 && W[t] == w -> break
		:: ST(w) == LIVE && id[t] == k && CNT(w) != 0 ->
			CAS(w, KEEP(w) | BUSY);
			if
			:: ok ->
				assert(CNT(w) == T[t].p[0] + T[t].p[1]);
				assert(CNT(w) == (acc[v] == IN_CALL) + (acc[v + 1] == IN_CALL));
				unlink(UNCLEAN);
				break
			:: else
			fi
		:: else
		fi
	   fi
	od;
	span_unmapped()
}

/* A large leaf for the span: an empty table makes way, and has been forgotten by the device before the leaf is written. */
inline map_leaf() {
	do
	:: do
	   :: pw = PW[q];
	      if
	      :: ST(pw) == BUSY -> PW[q] != pw
	      :: else -> SWAP(PW[q], pw, pw + 1); if :: ok -> break :: else fi
	      fi
	   od;
	   pw = 0;
	   e = E[k];
	   if
	   :: e == EMPTY ->
		assert(acc[v] != MAPPED && acc[v + 1] != MAPPED);
		atomic { acc[v] = IN_CALL; acc[v + 1] = IN_CALL }
		E[k] = LARGE;
		atomic { acc[v] = MAPPED; acc[v + 1] = MAPPED }
		break
	   :: else ->
		put_parent(1);
		make_room();
		t = tab(e);
		w = W[t];
		if
		:: ST(w) == BUSY -> (W[t] != w || E[k] != e)
#ifdef NO_BREAK
		:: ST(w) == DEAD && id[t] == k ->
			d_step { ok = (E[k] == TOMB(t)); if :: ok -> E[k] = LARGE :: else fi }
			if :: ok -> atomic { acc[v] = MAPPED; acc[v + 1] = MAPPED } break :: else fi
#else
		:: ST(w) == DEAD && id[t] == k ->
			CAS(w, w + REC1);
			if
			:: ok -> d_step { s = k; record(GEN(w)) }
				 flush()
			:: else
			fi
#endif
		:: ST(w) == LIVE && id[t] == k && CNT(w) != 0 && W[t] == w ->	/* -IOG_EEXIST */
			assert(acc[v] == MAPPED || acc[v + 1] == MAPPED);
			break
		:: ST(w) == LIVE && id[t] == k && CNT(w) == 0 ->
			CAS(w, KEEP(w) | BUSY);
			if
			:: ok ->
				unlink(0);
#ifndef NO_BREAK
				flush()
#endif
			:: else
			fi
		:: else
		fi
	   fi
	od;
	atomic { claim[v] = 0; claim[v + 1] = 0 }
}

inline unmap_leaf() {
	span_unmaps();
	E[k] = EMPTY;
	put_parent(1);
	span_unmapped()
}

proctype lane(bit me) {
	byte v, k, s, t, e, g, q, ops, gspan, children;
	short w, pw;
	bit ok, found;
	byte list[NPT], gn[NPT], gt[NPT * NREC], gg[NPT * NREC];

	do
	:: atomic { ops < LIMIT && !claim[0] -> claim[0] = 1; v = 0; ops++ } goto page
	:: atomic { ops < LIMIT && !claim[1] && (me || ops) -> claim[1] = 1; v = 1; ops++ } goto page	/* slots and indices are alike: lane 0 begins with 0 */
	:: atomic { ops < LIMIT && !claim[2] && (me || ops) -> claim[2] = 1; v = 2; ops++ } goto page
	:: atomic { ops < LIMIT && !claim[3] && (me || ops) -> claim[3] = 1; v = 3; ops++ }
page:
		atomic { k = v / NP; q = owner(k) }
		lock(q);
		if
		:: E[k] == LARGE -> walk(); atomic { assert(found); claim[v] = 0 }
		:: E[k] != LARGE && acc[v] != MAPPED ->
			acc[v] = IN_CALL;
			map_page();
			atomic { acc[v] = (t == NONE -> GONE : MAPPED); claim[v] = 0 }
		:: E[k] != LARGE && acc[v] == MAPPED ->
			acc[v] = IN_CALL;
			walk();
			assert(found);
			through(t, v) = 0;
			do
			:: w = W[t];
			   assert(ST(w) == LIVE && CNT(w) > 0);
			   if
			   :: CNT(w) == 1 && !(w & LISTED) ->
				CAS(w, (w - 1) | LISTED);
				if :: ok -> atomic { assert(!(list[q] & (1 << t))); list[q] = list[q] | (1 << t) } :: else fi;
				if :: ok -> break :: else fi
			   :: else ->
				CAS(w, w - 1);
				if :: ok -> break :: else fi
			   fi
			od;
			atomic { acc[v] = STALE(me); claim[v] = 0 }
		:: E[k] != LARGE -> walk();
			atomic { assert(found == (acc[v] == MAPPED)); claim[v] = 0 }
		fi;
		found = 0;
		unlock(q);
		forget()
#ifdef DROP
	:: claim_span(0) -> goto drop
	:: claim_span(1) ->
drop:
		lock(q);
		if
		:: E[k] != LARGE -> drop_span()
		:: else -> unmap_leaf()
		fi;
		unlock(q);
		forget()
#endif
#ifdef LEAF
	:: claim_span(0) -> goto leaf
	:: claim_span(1) ->
leaf:
		lock(q);
		if
		:: E[k] != LARGE -> map_leaf()
		:: else -> unmap_leaf()
		fi;
		unlock(q);
		forget()
#endif
	:: list[0] -> q = 0; lock(q); trim(); unlock(q); q = 0
	:: gn[0] || unflushed(0) -> q = 0; lock(q); flush(); unlock(q); q = 0
#ifdef SHARED
	:: list[1] -> q = 1; lock(q); trim(); unlock(q); q = 0
	:: gn[1] || unflushed(1) -> q = 1; lock(q); flush(); unlock(q); q = 0
#endif
	:: ops == LIMIT && !list[0] && !gn[0] && !list[NPT - 1] && !gn[NPT - 1] -> break
	od;
	ndone++
}

proctype device() {
end:
	do
	:: d_step {
		assert((acc[0] != MAPPED || reach(0)) && (acc[1] != MAPPED || reach(1)) && (acc[2] != MAPPED || reach(2)) && (acc[3] != MAPPED || reach(3)));
		assert((acc[0] != GONE || !reached(0)) && (acc[1] != GONE || !reached(1)) && (acc[2] != GONE || !reached(2)) && (acc[3] != GONE || !reached(3)))
	   }
	od
}

#define rests_free(t) (ST(W[t]) == FREE && stocked(t) && clean(t))
#define linked(t) (!stocked(t) && ST(W[t]) == LIVE && E[id[t]] == PRES(t) && CNT(W[t]) && CNT(W[t]) == T[t].p[0] + T[t].p[1])
#define rests(t) ((rests_free(t) || linked(t)) && !(W[t] & LISTED) && RECS(W[t]) == 0)

init {
	atomic { stock = (1 << NT) - 1; run lane(0); run lane(1); run device() }
	d_step {
		ndone == NL ->
		assert(rests(0) && rests(1));
#if NT > 2
		assert(rests(2));
#endif
#ifdef SHARED
		assert(PW[0] == (LIVE | (E[0] != EMPTY)) && PW[1] == (LIVE | (E[1] != EMPTY)))
#else
		assert(PW[0] == (LIVE | ((E[0] != EMPTY) + (E[1] != EMPTY))))
#endif
	}
}
