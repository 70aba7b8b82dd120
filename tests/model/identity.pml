/* SPDX-License-Identifier: MIT */
/*
 * Dynamic 1:1: pages whose I/O address is their physical address, so that several lanes map and unmap the same entry at once; a device whose IOTLB may have cached whatever it
 * could have read; invalidations that take effect some time between an unmap and what is done on their account; and the table that counts the entries.
 *
 * An entry is EMPTY, LIVE(p, c) (present with permission p, c users) or STALE(p, s) (not present; the permission kept, and a stamp that says whose unmap it was, in
 * which batch). Map counts in the table first, then swaps each entry: EMPTY or an equal STALE to LIVE(p, 1), an equal LIVE to one user more; whatever else it meets, or
 * a count that is full, sends it to the fallback allocator (not here: the call ends), and what it had done is undone as an unmap does it. Unmap swaps LIVE(p, c) to
 * c - 1, or from 1 to STALE with the stamp of one of the lane's batches. After an invalidation that began later, the batch is retired: entries that still carry its stamp become
 * EMPTY, and the table counts them no more. A stamp is used again once its batch has been retired.
 *
 * Each statement is one access to shared memory; d_step marks a compare-and-swap, or bookkeeping of the model. The order of memory is sequential. Linking and unlinking
 * the table are one step each here (reclaim.pml has the parts); while it is unlinked, its memory may serve somebody else (FOREIGN), with stamps of the same
 * numbers. Each lane makes OPS mappings with one of two permissions, of any of the NP pages or all of them, one at a time, and flushes and retires whenever it likes.
 *
 * Checked
 *   - what the device may have cached allows no more than some current mapping, or one whose unmap has not been invalidated yet;
 *   - a mapping that has returned is reached, and nothing that the device may have cached refuses what it allows: neither a narrower permission nor, on units
 *     that cache them, the absence of an entry;
 *   - users are counted right: an unmap finds its entry LIVE with its permission and at least one user;
 *   - the table counts at least the entries that are not EMPTY, and is unlinked only when there are none; memory that serves somebody else is not touched;
 *   - at the end every entry is EMPTY and the table counts 0: nothing is lost, after invalidations that failed neither.
 *
 *   spin -a identity.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m1000000
 *
 * -DNL=3: lanes. -DOPS=n, -DOPS1=n for lane 1. -DNP=2: two pages. -DNK=2: two batches per lane, one of which may be between its invalidation and its retirement while the
 * other gathers. -DMAXC=n: users that an entry can count. -DFAILS=n: invalidations that may fail. -DCACHING: the unit caches absent entries, and map flushes.
 * -DNONCOHERENT: the walker does not snoop; an entry reaches it when its line is cleaned, or evicted at any time. -DFOREIGN_LIVES=n: lives of the table elsewhere.
 *
 * Must fail: NO_STAMP (any stale entry is cleared), NO_BATCH (the stamp says the lane only; with NK=2), NO_STALE (unmap empties the entry at once), OTHER_PERMISSION (any
 * permission revives), NO_FLUSH, RETIRE_ON_ERROR (with FAILS), NO_SATURATION, NO_SWAP (map checks the entry, then stores), UNCOUNTED (a stale entry is not counted in its table),
 * NO_RETIRE_GET (retiring trusts a look at the table; with FOREIGN_LIVES), CLEAR_ON_ROLLBACK (with NP=2), NO_SHARED_FLUSH (with CACHING: a map that only counts a
 * user more does not flush), NO_SHARED_CLEAN and NO_UNMAP_CLEAN (with NONCOHERENT).
 */
#ifndef NL
#define NL 2
#endif
#ifndef OPS
#define OPS 2
#endif
#ifndef OPS1
#define OPS1 OPS                    /* lane 1's */
#endif
#define LIMIT ((me == 1) -> OPS1 : OPS)
#ifndef NP
#define NP 1
#endif
#ifndef NK
#define NK 1
#endif
#ifndef MAXC
#define MAXC 2
#endif
#ifndef FAILS
#define FAILS 0
#endif
#ifndef FOREIGN_LIVES
#define FOREIGN_LIVES 0
#endif

/* Permissions, as bits of a set too: a narrower and a wider one; and an absent entry, where units cache it. */
#define NARROW 1
#define WIDE 2
#ifdef CACHING
#define ABSENT 4
#else
#define ABSENT 0
#endif

#define EMPTY 0
#define LIVE(p, c) ((p) * 16 + (c))
#define STALE(p, s) (64 + (p) * 16 + (s))
#define isLIVE(e) ((e) >= 16 && (e) < 64)
#define isSTALE(e) ((e) >= 64)
#define perm(e) (((e) >> 4) & 3)
#define low(e) ((e) & 15)

/* The table's word: count, state, generation. */
#define CNT(w) ((w) & 15)
#define FREE 0
#define LINKED 16
#define FOREIGN 32
#define ST(w) ((w) & 48)
#define GEN1 64
#define GEN(w) ((w) & ~63)

short W = FREE;
byte E[NP];
byte may[NP];                       /* the device: what it may have cached for a page */
#ifdef NONCOHERENT
byte H[NP];                         /* entries as the walker reads them */
#else
#define H E
#endif

/* What the callers know: for each lane the pages it maps (now, or in a call that has begun), those whose map has returned, and permission; for each batch what it unmapped. */
byte holds[NL];
byte mapped[NL];
byte with[NL];
typedef batch { byte narrow, wide };
batch pending[NL * NK];
byte fails = FAILS;
byte ndone;

#define view(v) ((ST(W) == LINKED && isLIVE(H[v])) -> perm(H[v]) : ABSENT)
#define see(v) may[v] = may[v] | view(v)
#define forgotten(v) may[v] = view(v)
#define has(set, v) ((set) & (1 << (v)))
#if NP > 1
#define see_all() see(0); see(1)
#define nr(set) (((set) & 1) + ((set) >> 1))
#define all_empty (E[0] == EMPTY && E[1] == EMPTY)
#define entries ((E[0] != EMPTY) + (E[1] != EMPTY))
#else
#define see_all() see(0)
#define nr(set) 1
#define all_empty (E[0] == EMPTY)
#define entries (E[0] != EMPTY)
#endif

#ifdef NONCOHERENT
#define clean(v) atomic { H[v] = E[v]; see(v) }
#define entered(v) skip
#else
#define clean(v) skip
#define entered(v) see(v)
#endif

#define SWAP_WORD(old, new) d_step { ok = (W == (old)); if :: ok -> W = (new); see_all() :: else fi }
#define SWAP(v, old, new) d_step { ok = (E[v] == (old)); if :: ok -> E[v] = (new); entered(v) :: else fi }
/* An entry is found empty, or fit, and then stored. */
#ifdef NO_SWAP
#define ENTER(v, old, new) d_step { ok = 1; E[v] = (new); entered(v) }
#else
#define ENTER(v, old, new) SWAP(v, old, new)
#endif

#if defined(NO_STAMP)
#define stamp(k) 0
#elif defined(NO_BATCH)
#define stamp(k) (me * NK)
#else
#define stamp(k) (me * NK + (k))
#endif

#ifdef OTHER_PERMISSION
#define revives(e) isSTALE(e)
#else
#define revives(e) (isSTALE(e) && perm(e) == p)
#endif
#ifdef NO_SATURATION
#define shares(e) (isLIVE(e) && perm(e) == p)
#else
#define shares(e) (isLIVE(e) && perm(e) == p && low(e) < MAXC)
#endif
#define more(e) LIVE(perm(e), (low(e) + 1) % (MAXC + 1))

/* Count in the table, if it is ours. */
inline get(n) {
	do
	:: w = W;
	   if
	   :: ST(w) != LINKED -> ok = 0; break
	   :: else -> SWAP_WORD(w, w + (n)); if :: ok -> break :: else fi
	   fi
	od;
	w = 0
}

inline put(n) {
	do
	:: w = W;
	   assert(ST(w) == LINKED && CNT(w) >= (n));
	   SWAP_WORD(w, w - (n));
	   if :: ok -> break :: else fi
	od;
	atomic { w = 0; ok = 0 }
}

/* One user less of each page in @set; the last makes it stale, in batch k. */
inline unmap_pages(set, empties) {
	v = 0;
	do
	:: v < NP && has(set, v) ->
		do
		:: e = E[v];
		   assert(isLIVE(e) && perm(e) == p && low(e) >= 1);
		   if
		   :: low(e) > 1 -> SWAP(v, e, e - 1)
#ifdef NO_STALE
		   :: low(e) == 1 -> SWAP(v, e, EMPTY); if :: ok -> gm[k] = gm[k] | (1 << v); put(1); ok = 1 :: else fi
#else
		   :: low(e) == 1 && empties -> SWAP(v, e, EMPTY); if :: ok -> put(1); ok = 1 :: else fi
		   :: low(e) == 1 && !empties -> SWAP(v, e, STALE(p, stamp(k))); if :: ok -> gm[k] = gm[k] | (1 << v) :: else fi
#endif
		   fi;
		   if :: ok -> break :: else fi
		od;
#ifndef NO_UNMAP_CLEAN
		clean(v);
#endif
#ifdef UNCOUNTED
		if
		:: low(e) == 1 -> put(1)
		:: else
		fi;
#endif
		v++
	:: v < NP && !has(set, v) -> v++
	:: v == NP -> break
	od;
	atomic { v = 0; e = 0; ok = 0 }
}

/* What was unmapped waits for the invalidation of batch k; where others are users still, there is nothing to wait for. */
inline over(set) {
	d_step {
		if
		:: p == NARROW -> pending[me * NK + k].narrow = pending[me * NK + k].narrow | (gm[k] & (set))
		:: else -> pending[me * NK + k].wide = pending[me * NK + k].wide | (gm[k] & (set))
		fi;
		holds[me] = 0
	}
}

#ifdef CLEAR_ON_ROLLBACK
#define UNDO 1
#else
#define UNDO 0
#endif

/* Map @set with permission p. mapped[me] tells the outcome. */
inline map_pages(set) {
	do
	:: ST(W) == FOREIGN -> ST(W) != FOREIGN
	:: ST(W) == FREE ->
		/* A new table, built in private with the entries in it. */
		d_step {
			ok = (ST(W) == FREE);
			if
			:: ok ->
				assert(all_empty);
				if :: has(set, 0) -> E[0] = LIVE(p, 1) :: else fi;
#if NP > 1
				if :: has(set, 1) -> E[1] = LIVE(p, 1) :: else fi;
#endif
#ifdef NONCOHERENT
				H[0] = E[0];
#if NP > 1
				H[1] = E[1];
#endif
#endif
				W = GEN(W) + GEN1 + LINKED + nr(set);
				see_all();
				did = set;
				kept = nr(set)
			:: else
			fi
		}
		if :: ok -> break :: else fi
	:: ST(W) == LINKED ->
		get(nr(set));
		if
		:: !ok
		:: else ->
			v = 0;
			do
			:: v < NP && !has(set, v) -> v++
			:: v == NP -> break
			:: v < NP && has(set, v) ->
				do
				:: e = E[v];
				   if
				   :: e == EMPTY -> ENTER(v, e, LIVE(p, 1)); if :: ok -> kept++; break :: else fi
				   :: shares(e) -> ENTER(v, e, more(e)); if :: ok -> break :: else fi
				   :: revives(e) -> ENTER(v, e, LIVE(p, 1)); if :: ok -> break :: else fi
				   :: else -> ok = 0; break
				   fi
				od;
				if
				:: ok ->
#ifdef NO_SHARED_CLEAN
					if :: !isLIVE(e) -> clean(v) :: else fi;
#else
					clean(v);
#endif
					d_step { did = did | (1 << v); if :: isLIVE(e) -> shared = shared | (1 << v) :: else fi }
					v++
				:: else -> break
				fi
			od;
			if
			:: kept < nr(set) -> put(nr(set) - kept)
			:: else
			fi;
			break
		fi
	od;
	v = 0;
#ifdef CACHING
	/* A page at a time; it makes no difference. */
	do
	:: v < NP ->
#ifdef NO_SHARED_FLUSH
		if :: has(did, v) && !has(shared, v) -> d_step { forgotten(v) } :: else fi;
#else
		if :: has(did, v) -> d_step { forgotten(v) } :: else fi;
#endif
		v++
	:: v == NP -> break
	od;
	v = 0;
#endif
	if
	:: did == (set) -> mapped[me] = set
	:: else ->
		unmap_pages(did, UNDO);
		over(did)
	fi;
	atomic { did = 0; kept = 0; shared = 0; e = 0; ok = 0; w = 0 }
}

/* The invalidation of batch k: takes effect at one moment. What gathered before it may then be retired. */
inline invalidate() {
	d_step {
#ifndef NO_FLUSH
		if :: has(gm[k], 0) -> forgotten(0) :: else fi;
#if NP > 1
		if :: has(gm[k], 1) -> forgotten(1) :: else fi;
#endif
#endif
		pending[me * NK + k].narrow = 0;
		pending[me * NK + k].wide = 0;
		submitted = submitted | (1 << k)
	}
}

/* Entries that still carry the stamp of batch k become empty. */
inline retire() {
	v = 0;
	do
	:: v < NP && !has(gm[k], v) -> v++
	:: v == NP -> break
	:: v < NP && has(gm[k], v) ->
#ifdef NO_RETIRE_GET
		w = W;
		if
		:: ST(w) == LINKED ->
			e = E[v];
			if
			:: isSTALE(e) && low(e) == stamp(k) && GEN(W) == GEN(w) && ST(W) == ST(w) ->
				SWAP(v, e, EMPTY);
				if :: ok -> put(1) :: else fi
			:: else
			fi
		:: else
		fi;
#else
		get(1);
		if
		:: ok ->
			e = E[v];
			if
#ifdef NO_STAMP
			:: isSTALE(e) ->
#else
			:: isSTALE(e) && low(e) == stamp(k) ->
#endif
				SWAP(v, e, EMPTY);
#ifdef UNCOUNTED
				ok = 0;
#endif
				if :: ok -> put(2) :: else -> put(1) fi
			:: else -> put(1)
			fi
		:: else
		fi;
#endif
		v++
	od;
	atomic { v = 0; e = 0; ok = 0; w = 0; gm[k] = 0; submitted = submitted & ~(1 << k) }
}

#define waiting(k) (gm[k] && !(submitted & (1 << (k))))

proctype lane(byte me) {
	byte p, set, k, v, e, ops, did, shared, kept, submitted;
	short w;
	bit ok;
	byte gm[NK];

	do
	:: atomic { !holds[me] && ops < LIMIT -> ops++; p = NARROW } goto map
	:: atomic { !holds[me] && ops < LIMIT -> ops++; p = WIDE }
map:
		if
		:: set = 1
#if NP > 1
		:: set = 2
		:: set = 3
#endif
		fi;
		/* What has to be undone goes into any batch that is still gathering. */
		if
		:: !(submitted & 1) -> k = 0
#if NK > 1
		:: !(submitted & 2) -> k = 1
#endif
		fi;
		atomic { with[me] = p; holds[me] = set }
		map_pages(set);
		atomic { set = 0; k = 0; p = 0 }
	:: atomic { mapped[me] && !(submitted & 1) -> k = 0 } goto unmap
#if NK > 1
	:: atomic { mapped[me] && !(submitted & 2) -> k = 1 }
#endif
unmap:
		atomic { set = mapped[me]; mapped[me] = 0; p = with[me] }
		unmap_pages(set, 0);
		over(set);
		atomic { set = 0; k = 0; p = 0 }
	:: waiting(0) -> k = 0; goto flush
#if NK > 1
	:: waiting(1) -> k = 1
#endif
flush:
#if FAILS
		if
		:: atomic { fails -> fails-- }
#ifdef RETIRE_ON_ERROR
			submitted = submitted | (1 << k);
#endif
		:: invalidate()
		fi;
#else
		invalidate();
#endif
#if NK == 1
		/* With one batch its lane does nothing else meanwhile. */
		if :: submitted -> retire() :: else fi;
#endif
		k = 0
#if NK > 1
	:: (submitted & 1) -> k = 0; retire(); k = 0
	:: (submitted & 2) -> k = 1; retire(); k = 0
#endif
	:: ops == LIMIT && !holds[me] && !gm[0] && !gm[NK - 1] -> break
	od;
	ndone++
}

/* Somebody unlinks the table when it is empty, and somebody else uses it meanwhile. */
proctype trimmer() {
	byte lives, was;
	short word;

end:
	do
	:: atomic {
		ST(W) == LINKED && CNT(W) == 0 ->
		assert(all_empty);
		W = GEN(W) + FREE;
		see_all()
	   }
#if FOREIGN_LIVES
	:: atomic {
		lives < FOREIGN_LIVES && ST(W) == FREE -> lives++;
		W = GEN(W) + GEN1 + FOREIGN + 1;
		word = W;
		if
		:: E[0] = STALE(NARROW, 0)
		:: E[0] = STALE(NARROW, 1)
		:: E[0] = LIVE(NARROW, 1)
		fi;
		was = E[0]
	   }
	   d_step {
		assert(E[0] == was && W == word);
		E[0] = EMPTY;
		W = GEN(W) + FREE;
		was = 0;
		word = 0
	   }
#endif
	od
}

#ifdef NONCOHERENT
proctype eviction() {
end:
	do
	:: d_step { H[0] != E[0] -> H[0] = E[0]; see(0) }
#if NP > 1
	:: d_step { H[1] != E[1] -> H[1] = E[1]; see(1) }
#endif
	od
}
#endif

/* What page v may be reached with, by right. */
#define mapping(l, v, p) (has(holds[l], v) && with[l] == (p))
#if NK > 1
#define pends(l, v, f) (has(pending[(l) * NK].f, v) || has(pending[(l) * NK + 1].f, v))
#else
#define pends(l, v, f) has(pending[l].f, v)
#endif
#define wide_by(l, v) (mapping(l, v, WIDE) || pends(l, v, wide))
#define narrow_by(l, v) (mapping(l, v, NARROW) || pends(l, v, narrow))
#if NL > 2
#define wide(v) (wide_by(0, v) || wide_by(1, v) || wide_by(2, v))
#define narrow(v) (narrow_by(0, v) || narrow_by(1, v) || narrow_by(2, v))
#else
#define wide(v) (wide_by(0, v) || wide_by(1, v))
#define narrow(v) (narrow_by(0, v) || narrow_by(1, v))
#endif
#define no_more(v) ((!(may[v] & WIDE) || wide(v)) && (!(may[v] & NARROW) || wide(v) || narrow(v)))
#define reached(l, v) (!has(mapped[l], v) || (view(v) == with[l] && !(may[v] & 4) && (with[l] != WIDE || !(may[v] & NARROW))))

proctype device() {
end:
	do
	:: d_step {
		assert(no_more(0));
		assert(reached(0, 0) && reached(1, 0));
#if NP > 1
		assert(no_more(1));
		assert(reached(0, 1) && reached(1, 1));
#endif
#if NL > 2
		assert(reached(2, 0));
#if NP > 1
		assert(reached(2, 1));
#endif
#endif
		assert(ST(W) != LINKED || CNT(W) >= entries)
	   }
	od
}

init {
	atomic {
		run lane(0); run lane(1);
#if NL > 2
		run lane(2);
#endif
		run trimmer();
#ifdef NONCOHERENT
		run eviction();
#endif
#ifdef CACHING
		see_all();
#endif
		run device()
	}
	d_step {
		ndone == NL ->
		assert(ST(W) == FOREIGN || (all_empty && CNT(W) == 0))
	}
}
