/* SPDX-License-Identifier: MIT */
/*
 * Reclaim over levels: a root that stays, middle tables and leaf tables that come and go, each from the stock of its level. A parent can be
 * BUSY for a child that is linked into it, be emptied by the release of its children, be unlinked, revived and reborn elsewhere, while
 * lanes look into it with pointers from before.
 *
 * Part of the protocol: the way down, from the root or from the path that a lane keeps from call to call (-DPATH); what ends a walk (leaf,
 * hole, tombstone) and its validation; a chain of tables built in private, linked by one store, or given back; parents counted down by the
 * releaser; the large leaf in a middle table, with what has to go for it (-DLEAF). What one level suffices for is in reclaim.pml; there is
 * no span dropped with entries in it here, and one page table only.
 *
 * Entries and words are those of reclaim.pml. All entries above leaf tables are in one array, so that a slot is a number: NK per middle
 * table, then the root's NR. Each statement is one access to shared memory; d_step marks a compare-and-swap, or bookkeeping of the model
 * itself. The order of memory is sequential.
 *
 * The caller's contract: lane l uses page l of each leaf table, so that lanes share these; or (-DONE, and -DLEAF) a leaf table has one
 * page, and calls that run at the same time use different ones (claim[]). Each lane makes OPS calls: map, unmap (of what is mapped, or of a
 * hole), look up, with LEAF map a large leaf; and trims and flushes between calls whenever it likes, at the end until nothing is left. With
 * -DPRUNE each lane once unlinks what it finds empty through some entry.
 *
 * The device may have cached any pointer to a table that it could have read since the last invalidation of it: may_mid[], may_leaf[] are
 * those sets.
 *
 * Checked
 *   - a page whose map has returned is reached by a walk, and from every pointer that may be cached, until its unmap begins; one that is
 *     not mapped is reached by none;
 *   - lookup and unmap find what is mapped and nothing else; map finds its entry empty;
 *   - a table that goes to the stock or comes from it is not linked, can not be cached, leads nowhere, and is all zero unless marked
 *     unclean;
 *   - at rest: every table is in the stock, or linked with as many entries as it counts, at least one; nothing listed, no record;
 *   - nobody waits for a word that nobody will change (retries without end are not looked for).
 *
 *   spin -a -DPATH levels.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m1000000
 *
 * Must fail: NO_VALIDATE (what ends a walk believed as read), NO_ID (a table counted in by its state alone), NO_DESC (the entry of a table
 * taken from the path, not from its descriptor), NO_FLUSH, NO_GEN, NO_LINK_BUSY, NO_PUT_WAIT, NO_CHAIN_ZERO (a chain given back with its
 * pointers); with PATH: LIVE_FIRST (a chain LIVE before it is linked); with LEAF: NO_BREAK (a large leaf stored over a tombstone).
 */
#ifndef OPS
#define OPS 1
#endif
#ifndef OPS1
#define OPS1 OPS                    /* lane 1's */
#endif
#ifndef OPS2
#define OPS2 OPS
#endif
#define LIMIT ((me) == 0 -> OPS : ((me) == 1 -> OPS1 : OPS2))
#ifndef NL
#define NL 2                        /* lanes, at most 3 */
#endif
#ifndef NR
#define NR 2                        /* regions: entries of the root */
#endif
#ifndef NK
#define NK 1                        /* entries of a middle table */
#endif
#ifdef LEAF
#define ONE
#endif
#ifdef ONE
#define NP 1                        /* pages of a leaf table */
#define PAGE 0
#else
#define NP NL
#define PAGE me
#endif
#ifndef NM
#define NM 2                        /* middle tables: 0 .. NM - 1 */
#endif
#ifndef NLF
#define NLF 2                       /* leaf tables: NM .. NT - 1 */
#endif
#define NT (NM + NLF)
#define ROOT NT
#define isMID(t) ((t) < NM)
#define isLEAF(t) ((t) >= NM && (t) < NT)
#define NREC 2
#define NONE 255

#define EMPTY 0
#define PRES(t) (1 + (t))
#define TOMB(t) (11 + (t))
#define LARGE 30
#define isPRES(e) ((e) >= 1 && (e) <= 10)
#define isTOMB(e) ((e) >= 11 && (e) <= 20)
#define tab(e) (isTOMB(e) -> (e) - 11 : (e) - 1)

/* The word. */
#define CNT(w) ((w) & 7)
#define ST(w) ((w) & 24)
#define FREE 0
#define BUSY 8
#define LIVE 16
#define DEAD 24
#define LISTED 32
#define UNCLEAN 64
#define REC1 128
#define RECS(w) (((w) >> 7) & 7)
#define MARKS(w) ((w) & (LISTED | 7 * REC1))
#define GEN1 1024
#define GEN(w) ((w) >> 10)
#define KEEP(w) ((w) & ~31)         /* all but count and state */

short W[NT + 1] = FREE;
byte id[NT] = NONE;                 /* identity: the region, or NK * region + entry */
byte slot[NT] = NONE;               /* the parent's entry */
byte E[NM * NK + NR] = EMPTY;
#define rootslot(r) (NM * NK + (r))
#define midslot(t, k) ((t) * NK + (k))
#define parent_of(s) ((s) >= NM * NK -> ROOT : (s) / NK)
typedef ptes { bit p[NP] };
ptes T[NLF];
#define pte(t) T[(t) - NM].p[PAGE]
byte stock;

/* The device: sets of tables, a bit each. */
byte may_mid[NR], may_leaf[NR * NK];
hidden byte hr, hk, hm, he, hall, hany;

/* What the caller knows: of page p in span v = NK * region + entry, at NP * v + p. */
#define GONE 0
#define IN_CALL 1
#define MAPPED 2
#define MAPPED_LARGE 3
byte acc[NP * NR * NK] = GONE;
bit claim[NR * NK];
byte ndone;

/* Pointers stored just now may be cached from now on. */
inline device_reads() {
	hr = 0;
	do
	:: hr < NR ->
		if :: isPRES(E[rootslot(hr)]) -> may_mid[hr] = may_mid[hr] | (1 << tab(E[rootslot(hr)])) :: else fi;
		hm = 0;
		do
		:: hm < NM * NK ->
			if
			:: (may_mid[hr] & (1 << (hm / NK))) && isPRES(E[hm]) -> may_leaf[hr * NK + hm % NK] = may_leaf[hr * NK + hm % NK] | (1 << tab(E[hm]))
			:: else
			fi;
			hm++
		:: else -> break
		od;
		hr++
	:: else -> break
	od;
	hr = 0; hm = 0
}

inline store_entry(s, entry) { d_step { E[s] = entry; device_reads() } }

/* Of table x: nothing leads to it. */
inline assert_clean(x) {
	hm = 0;
	do
	:: hm < NM * NK + NR -> assert(E[hm] != PRES(x) && E[hm] != TOMB(x)); hm++
	:: else -> break
	od;
	hm = 0;
	do
	:: hm < NR -> assert(!(may_mid[hm] & (1 << x))); hm++
	:: else -> break
	od;
	hm = 0;
	do
	:: hm < NR * NK -> assert(!(may_leaf[hm] & (1 << x))); hm++
	:: else -> break
	od;
	hm = 0;
	if
	:: isMID(x) ->
		do
		:: hm < NK -> assert(E[midslot(x, hm)] == EMPTY || (E[midslot(x, hm)] == LARGE && (W[x] & UNCLEAN))); hm++
		:: else -> break
		od
	:: else ->
		do
		:: hm < NP -> assert(!T[x - NM].p[hm] || (W[x] & UNCLEAN)); hm++
		:: else -> break
		od
	fi;
	hm = 0
}

#define SWAP(t, old, new) d_step { ok = (W[t] == (old)); if :: ok -> W[t] = (new) :: else fi }

/* ---- stocks ---- */

#define stocked(t) (stock & (1 << (t)))
#define unused(t) (stocked(t) && W[t] == FREE)
inline take_of(lo, n) {
	atomic {
		if
		:: stocked(lo) -> t = lo
#if NM > 1 && NLF > 1
		:: n > 1 && stocked(lo + 1) && !(unused(lo + 1) && unused(lo)) -> t = lo + 1
#endif
#if NM > 2 || NLF > 2
		:: n > 2 && stocked(lo + 2) && !(unused(lo + 2) && (unused(lo) || unused(lo + 1))) -> t = lo + 2
#endif
		:: else -> t = NONE
		fi;
		if
		:: t != NONE -> stock = stock & ~(1 << t); w = W[t]; d_step { assert_clean(t) }
		:: else
		fi
	}
	if
	:: t != NONE ->
		d_step { assert(W[t] == w && ST(w) == FREE && !MARKS(w)); W[t] = (KEEP(w) & ~UNCLEAN) | BUSY }
		if
		:: w & UNCLEAN ->
			d_step {
				hm = 0;
				do
				:: isMID(t) && hm < NK -> E[midslot(t, hm)] = EMPTY; hm++
				:: isLEAF(t) && hm < NP -> T[t - NM].p[hm] = 0; hm++
				:: else -> break
				od;
				hm = 0
			}
		:: else
		fi
	:: else
	fi;
	w = 0
}

inline push(x) { d_step { assert(!stocked(x)); assert_clean(x); stock = stock | (1 << x) } }

/* Table x, BUSY and this lane's. */
inline give(x, unclean) {
	d_step { w = KEEP(W[x]) | FREE | unclean; W[x] = w; assert_clean(x) }
	if
	:: !MARKS(w) -> push(x)
	:: else
	fi
}

/* ---- counts ---- */

#define ident(x) ((x) == ROOT || id[x] == (isMID(x) -> r : NK * r + k))

/* n more in table at, if it is the one for (r, k): ok. */
inline get() {
	do
	:: w = W[at];
	   if
	   :: ST(w) != LIVE -> ok = 0; break
	   :: else ->
#ifndef NO_ID
		if
		:: !ident(at) -> ok = 0; break
		:: else
		fi;
#endif
		SWAP(at, w, w + 1);
		if :: ok -> break :: else fi
	   fi
	od
}

/* n less in table x. */
inline put(x, n) {
	do
	:: w = W[x];
	   if
#ifndef NO_PUT_WAIT
	   :: ST(w) == BUSY -> W[x] != w
#endif
	   :: else ->
#ifndef NO_PUT_WAIT
		assert(ST(w) == LIVE && CNT(w) >= n);
#endif
		if
		:: CNT(w) == n && !(w & LISTED) ->
			SWAP(x, w, (w - n) | LISTED);
			if
			:: ok ->
				list = list | (1 << x);
				break
			:: else
			fi
		:: else ->
			SWAP(x, w, w - n);
			if :: ok -> break :: else fi
		fi
	   fi
	od
}

/* ---- the way down ---- */

inline forget() { atomic { pf0 = NONE; p0 = 0; pf1 = NONE; p1 = 0 } }
#ifdef PATH
#define keep0(x) pf0 = NK * r + k; p0 = x
#define keep1(x) pf1 = r; p1 = x
#else
#define keep0(x) skip
#define keep1(x) skip
#endif

/* at: the table where the way to (r, k) ends, e: the entry that ended it, if that was above level @to. */
inline descend(to) {
	atomic {
		e = EMPTY;
		if
		:: to == 0 && pf0 == NK * r + k -> at = p0
		:: !(to == 0 && pf0 == NK * r + k) && pf1 == r -> at = p1
		:: else -> at = ROOT
		fi
	}
	do
	:: at == ROOT ->
		e = E[rootslot(r)];
		if
		:: isPRES(e) -> atomic { at = tab(e); e = EMPTY; keep1(at) }
		:: else -> break
		fi
	:: isMID(at) && to == 0 ->
		e = E[midslot(at, k)];
		if
		:: isPRES(e) -> atomic { at = tab(e); e = EMPTY; keep0(at) }
		:: else -> break
		fi
	:: else -> break
	od
}

#define atslot (at == ROOT -> rootslot(r) : midslot(at, k))

/* A walk that failed; who is BUSY is waited for. */
inline again() {
	forget();
	if
	:: ST(w) == BUSY -> W[at] != w
	:: else
	fi
}

/* What is at (r, k)? found, in table at. */
inline find() {
	do
	:: descend(0);
	   w = W[at];
	   if
#ifndef NO_VALIDATE
	   :: ST(w) != LIVE -> again()
	   :: ST(w) == LIVE && !ident(at) -> forget()
	   :: else ->
#else
	   :: skip ->
#endif
		if
		:: isLEAF(at) -> found = pte(at)
		:: else -> e = E[atslot]; found = (e == LARGE)
		fi;
#ifndef NO_VALIDATE
		w2 = W[at];
		if
		:: ST(w2) != LIVE || GEN(w2) != GEN(w) -> w = w2; again()
		:: else ->
#else
		if
		:: skip ->
#endif
			if
			:: !isLEAF(at) && isPRES(e) -> forget()
			:: else -> break
			fi
		fi
	   fi
	od
}

/* ---- unlinking and release ---- */

/* Table t was LIVE with word w and is BUSY now, by this lane; its entry is s. */
inline unlink() {
	assert(E[s] == PRES(t));
	E[s] = TOMB(t);
	d_step {
		w = (KEEP(w) | DEAD) + REC1 + GEN1;
		W[t] = w;
		record()
	}
}

/* Table t, in generation w. */
inline record() {
	assert(gn < NREC);
	gt[gn] = t; gg[gn] = GEN(w); gs[gn] = id[t]; gn++
}

inline flush() {
#ifndef NO_FLUSH
	d_step {
		he = 0;
		do
		:: he < gn ->
			if
			:: isMID(gt[he]) ->
				may_mid[gs[he]] = 0;
				hk = 0;
				do
				:: hk < NK -> may_leaf[gs[he] * NK + hk] = 0; hk++
				:: else -> break
				od;
				hk = 0
			:: else -> may_leaf[gs[he]] = 0
			fi;
			he++
		:: else -> break
		od;
		he = 0;
		device_reads()
	}
#endif
	do
	:: gn > 0 ->
		atomic { t = gt[0]; g = gg[0] }
		do
		:: w = W[t];
		   if
		   :: ST(w) == BUSY -> W[t] != w
#ifdef NO_GEN
		   :: ST(w) == DEAD ->
#else
		   :: ST(w) == DEAD && GEN(w) == g ->
#endif
			SWAP(t, w, (KEEP(w) | BUSY) - REC1);
			if
			:: ok ->
				s = slot[t];
				assert(E[s] == TOMB(t));
				E[s] = EMPTY;
				give(t, 0);
				if
				:: up != parent_of(s) && up != NONE -> put(up, children); children = 0
				:: else
				fi;
				atomic { up = parent_of(s); children++ }
				break
			:: else
			fi
		   :: else ->
			SWAP(t, w, w - REC1);
			if
			:: ok ->
				w = w - REC1;
				if
				:: ST(w) == FREE && !MARKS(w) -> push(t)
				:: else
				fi;
				break
			:: else
			fi
		   fi
		od;
		atomic { gn--; gt[0] = gt[1]; gg[0] = gg[1]; gs[0] = gs[1]; gt[1] = 0; gg[1] = 0; gs[1] = 0; t = 0; g = 0; w = 0; s = 0; ok = 0 }
	:: else -> break
	od;
	if
	:: up != NONE -> put(up, children)
	:: else
	fi;
	atomic { up = NONE; children = 0; w = 0; ok = 0 }
}

#define listed(x) (list & (1 << (x)))
inline trim() {
	atomic {
		if
		:: listed(0) -> t = 0
		:: listed(1) -> t = 1
#if NT > 2
		:: listed(2) -> t = 2
#endif
#if NT > 3
		:: listed(3) -> t = 3
#endif
#if NT > 4
		:: listed(4) -> t = 4
#endif
#if NT > 5
		:: listed(5) -> t = 5
#endif
		fi;
		list = list & ~(1 << t)
	}
	do
	:: w = W[t];
	   assert(w & LISTED);
	   if
	   :: ST(w) == BUSY -> W[t] != w
	   :: ST(w) == LIVE && CNT(w) == 0 ->
		SWAP(t, w, (KEEP(w) & ~LISTED) | BUSY);
		if :: ok -> w = w & ~LISTED; s = slot[t]; unlink(); break :: else fi
	   :: else ->
		SWAP(t, w, w & ~LISTED);
		if
		:: ok ->
			w = w & ~LISTED;
			if
			:: ST(w) == FREE && !MARKS(w) -> push(t)
			:: else
			fi;
			break
		:: else
		fi
	   fi
	od;
	atomic { t = 0; w = 0; s = 0; ok = 0 }
}

/* ---- map ---- */

#define chain_live(x) W[x] = KEEP(W[x]) | LIVE | 1

/* Chain mt, lf (either may be missing) into the entry of table at: ok. */
inline link_chain() {
	atomic {
		s = atslot; e = (mt != NONE -> mt : lf);
		slot[e] = s;
		e = PRES(e)
	}
	do
	:: w = W[at];
	   if
	   :: ST(w) != LIVE -> ok = 0; break
	   :: ST(w) == LIVE && !ident(at) -> ok = 0; break
	   :: else ->
#ifdef NO_LINK_BUSY
		SWAP(at, w, w + 1);
#else
		SWAP(at, w, KEEP(w) | BUSY);
#endif
		if :: ok -> break :: else fi
	   fi
	od;
	if
	:: ok && E[s] != EMPTY ->
#ifdef NO_LINK_BUSY
		put(at, 1);
#else
		W[at] = w;
#endif
		ok = 0
	:: ok && E[s] == EMPTY ->
#ifdef LIVE_FIRST
		if :: mt != NONE -> chain_live(mt) :: else fi;
		if :: lf != NONE -> chain_live(lf) :: else fi;
#endif
		store_entry(s, e);
#ifndef LIVE_FIRST
		if :: mt != NONE -> chain_live(mt) :: else fi;
		if :: lf != NONE -> chain_live(lf) :: else fi;
#endif
#ifndef NO_LINK_BUSY
		W[at] = w + 1
#endif
	:: else
	fi
}

/* The entry of table at is empty: build what is missing with the entry in it, and link it. Sets done, or t == NONE: no memory. */
inline link(leaf_level) {
	if
	:: leaf_level == 0 ->
		take_of(NM, NLF);
		if
		:: t != NONE ->
			lf = t;
			id[lf] = NK * r + k;
			pte(lf) = 1
		:: else
		fi
	:: else -> t = 0
	fi;
	if
	:: t != NONE && at == ROOT ->
		take_of(0, NM);
		if
		:: t != NONE ->
			mt = t;
			id[mt] = r;
			E[midslot(mt, k)] = (lf != NONE -> PRES(lf) : LARGE);
			if :: lf != NONE -> slot[lf] = midslot(mt, k) :: else fi
		:: t == NONE && lf != NONE -> give(lf, UNCLEAN)
		:: else
		fi
	:: else
	fi;
	if
	:: t != NONE ->
		if :: at != ROOT -> atomic { keep0(lf) } :: else fi;
		link_chain();
		if
		:: ok -> done = 1
		:: else ->
			if
			:: mt != NONE ->
#ifndef NO_CHAIN_ZERO
				if :: lf != NONE -> E[midslot(mt, k)] = EMPTY :: else fi;
#endif
				give(mt, (lf == NONE -> UNCLEAN : 0))
			:: else
			fi;
			if :: lf != NONE -> give(lf, UNCLEAN) :: else fi;
			forget()
		fi
	:: else
	fi;
	atomic { lf = NONE; mt = NONE; w = 0; s = 0; e = 0 }
}

/* Tombstone e is in the way: the table that it names comes back. ok: counted there; t. */
inline revive() {
	t = tab(e);
	w = W[t];
	if
	:: ST(w) != DEAD -> ok = 0; if :: ST(w) == BUSY -> W[t] != w :: else fi
	:: ST(w) == DEAD && !ident(t) -> ok = 0
	:: else ->
		SWAP(t, w, KEEP(w) | BUSY);
		if
		:: ok ->
			s = slot[t];
			assert(E[s] == TOMB(t));
			e = PRES(t); store_entry(s, e);
			W[t] = KEEP(w) | LIVE | 1
		:: else
		fi
	fi
}

/* Map the page. done, or t == NONE. */
inline map_page() {
	done = 0;
	do
	:: descend(0);
	   t = 0;
	   if
	   :: isLEAF(at) ->
		get();
		if
		:: ok -> assert(!pte(at)); pte(at) = 1; done = 1
		:: else -> again()
		fi
	   :: !isLEAF(at) && e == EMPTY -> link(0)
	   :: !isLEAF(at) && isTOMB(e) ->
		revive();
		if
		:: ok && isLEAF(t) -> assert(!pte(t)); pte(t) = 1; done = 1
		:: ok && isMID(t) -> put(t, 1)
		:: else
		fi;
		forget();
		t = 0
	   :: else -> forget()			/* a large leaf: not of this table, since the page is this lane's */
	   fi;
	   if
	   :: done || t == NONE -> break
	   :: else
	   fi
	od
}

/*
 * Table t, found through entry s without a look at whose it is: unlinked if it is empty, whichever lane lists it; recorded once more if it
 * is unlinked already. Or t == NONE.
 */
inline unlink_if_empty() {
	do
	:: w = W[t];
	   if
	   :: ST(w) == BUSY -> W[t] != w
	   :: ST(w) == DEAD ->
		SWAP(t, w, w + REC1);
		if :: ok -> d_step { record() } break :: else fi
	   :: ST(w) == LIVE && CNT(w) == 0 ->
		SWAP(t, w, KEEP(w) | BUSY);
		if
		:: ok ->
#ifndef NO_DESC
			s = slot[t];
#endif
			unlink();
			break
		:: else
		fi
	   :: else -> t = NONE; break
	   fi
	od
}

/* Everything empty below entry (r, k) of a middle table goes, and has been forgotten by the device. The gather has room. */
inline evict() {
	do
	:: e = E[rootslot(r)];
	   if
	   :: isPRES(e) -> s = midslot(tab(e), k); e = E[s]
	   :: else -> e = EMPTY
	   fi;
	   if
	   :: e == EMPTY || e == LARGE -> break
	   :: else ->
		t = tab(e);
		unlink_if_empty();
		if
		:: t == NONE -> break
		:: else -> flush()
		fi
	   fi
	od;
	t = 0
}

/* Map all of (r, k) by one leaf in a middle table. done; or there are pages in the way: found. */
inline map_large() {
	done = 0; found = 0;
	do
	:: descend(1);
	   t = 0;
	   if
	   :: isMID(at) ->
		get();
		if
		:: ok ->
			e = E[midslot(at, k)];
			if
			:: e == EMPTY -> s = midslot(at, k); store_entry(s, LARGE); done = 1
#ifdef NO_BREAK
			:: isTOMB(e) -> s = midslot(at, k); store_entry(s, LARGE); done = 1
#endif
			:: else ->
				put(at, 1);
				evict();
				find();				/* tables are there still: -IOG_EEXIST */
				if :: isLEAF(at) -> break :: else -> forget() fi
			fi
		:: else -> again()
		fi
	   :: at == ROOT && e == EMPTY -> link(1)
	   :: at == ROOT && isTOMB(e) ->
		revive();
		if
		:: ok -> s = midslot(t, k); store_entry(s, LARGE); done = 1
		:: else
		fi;
		forget();
		t = 0
	   fi;
	   if
	   :: done || t == NONE -> break
	   :: else
	   fi
	od
}

inline call_ends() { atomic { at = 0; t = 0; w = 0; w2 = 0; s = 0; e = 0; ok = 0; g = 0; r = 0; k = 0; found = 0; done = 0 } }

#define known acc[NP * (NK * r + k) + PAGE]
#define first_call (!me && !ops)
#ifdef ONE
#define may_call(v) (ops < LIMIT && !claim[v])
#define claim_span(v) claim[v] = 1
#else
#define may_call(v) (ops < LIMIT)
#define claim_span(v) skip
#endif

proctype lane(byte me) {
	byte r, k, at, t, e, s, g, ops, children, list, gn;
	byte up = NONE, lf = NONE, mt = NONE;
	byte pf0 = NONE, pf1 = NONE, p0, p1;
	byte gt[NREC], gg[NREC], gs[NREC];
	short w, w2;
	bit ok, found, done, prunes;

	do
	:: atomic { may_call(0) -> claim_span(0); r = 0; k = 0 } goto call
#if NR > 1
	:: atomic { may_call(NK) && !first_call -> claim_span(NK); r = 1; k = 0 } goto call
#endif
#if NK > 1
	:: atomic { may_call(1) && !first_call -> claim_span(1); r = 0; k = 1 } goto call
#if NR > 1
	:: atomic { may_call(NK + 1) && !first_call -> claim_span(NK + 1); r = 1; k = 1 }
#endif
#endif
call:
		ops++;
		if
		:: known == GONE ->
			known = IN_CALL;
			map_page();
			known = (done -> MAPPED : GONE)
#ifdef LEAF
		:: known != MAPPED_LARGE && gn < NREC ->	/* over a page: refused */
			if
			:: known == GONE -> known = IN_CALL
			:: else
			fi;
			map_large();
			assert(t == NONE || (known == IN_CALL -> done : !done && found));
			if
			:: known == IN_CALL -> known = (done -> MAPPED_LARGE : GONE)
			:: else
			fi
#endif
		:: true ->
			if					/* unmap; or look up, or unmap a hole */
			:: known != GONE -> atomic { g = known; known = IN_CALL }
			:: true
			fi;
			find();
			assert(found == (known != GONE) && (!found || !isMID(at) || known == MAPPED_LARGE || g == MAPPED_LARGE));
			if
			:: g && isLEAF(at) -> pte(at) = 0
			:: g && !isLEAF(at) -> E[midslot(at, k)] = EMPTY
			:: else
			fi;
			if
			:: g -> put(at, 1); known = GONE
			:: else
			fi
		fi;
#ifdef ONE
		claim[NK * r + k] = 0;
#endif
		call_ends()
	:: list && gn < NREC -> trim()
	:: gn -> flush()
#ifdef PRUNE
	:: prunes == 0 && gn < NREC ->		/* any entry above leaf tables */
		prunes = 1;
		s = 0;
		do
		:: s < NM * NK + NR - 1 -> s++
		:: break
		od;
		e = E[s];
		if
		:: e == EMPTY || e == LARGE
		:: else -> t = tab(e); unlink_if_empty()
		fi;
		call_ends()
#endif
	:: ops == LIMIT && !list && !gn -> break
	od;
	forget();
	ndone++
}

/* Every way to page w of span v: all of them, any of them. */
inline look_at(v, w) {
	hall = 1; hany = 0;
	he = E[rootslot((v) / NK)];
	if
	:: isPRES(he) -> he = E[midslot(tab(he), (v) % NK)]
	:: else -> he = EMPTY
	fi;
	if
	:: he == LARGE || (isPRES(he) && T[tab(he) - NM].p[w]) -> hany = 1
	:: else -> hall = 0
	fi;
	hm = 0;
	do
	:: hm < NM ->
		if
		:: may_mid[(v) / NK] & (1 << hm) ->
			he = E[midslot(hm, (v) % NK)];
			if
			:: he == LARGE || (isPRES(he) && T[tab(he) - NM].p[w]) -> hany = 1
			:: else -> hall = 0
			fi
		:: else
		fi;
		hm++
	:: hm >= NM && hm < NT ->
		if
		:: may_leaf[v] & (1 << hm) ->
			if
			:: T[hm - NM].p[w] -> hany = 1
			:: else -> hall = 0
			fi
		:: else
		fi;
		hm++
	:: else -> break
	od;
	hm = 0; he = 0
}

proctype device() {
end:
	do
	:: d_step {
		hk = 0;
		do
		:: hk < NP * NR * NK ->
			look_at(hk / NP, hk % NP);
			assert(acc[hk] < MAPPED || hall);
			assert(acc[hk] != GONE || !hany);
			hk++
		:: else -> break
		od;
		hk = 0; hall = 0; hany = 0
	   }
	od
}

inline assert_rests(x) {
	assert(!MARKS(W[x]));
	if
	:: ST(W[x]) == FREE -> assert(stocked(x)); assert_clean(x)
	:: else ->
		assert(!stocked(x) && ST(W[x]) == LIVE && E[slot[x]] == PRES(x) && CNT(W[x]) > 0);
		he = 0; hm = 0;
		do
		:: isMID(x) && hm < NK -> he = he + (E[midslot(x, hm)] != EMPTY); hm++
		:: isLEAF(x) && hm < NP -> he = he + T[x - NM].p[hm]; hm++
		:: else -> break
		od;
		assert(CNT(W[x]) == he);
		he = 0; hm = 0
	fi
}

init {
	atomic { stock = (1 << NT) - 1; W[ROOT] = LIVE | 1; run lane(0); run lane(1);
#if NL > 2
		run lane(2);
#endif
		run device() }
	d_step {
		ndone == NL ->
		hr = 0;
		do
		:: hr < NT -> assert_rests(hr); hr++
		:: else -> break
		od;
		hr = 0;
		assert(W[ROOT] == (LIVE | 1) + (E[rootslot(0)] != EMPTY) + (E[rootslot(NR - 1)] != EMPTY) * (NR > 1))
	}
}
