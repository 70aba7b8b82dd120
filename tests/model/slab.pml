/* SPDX-License-Identifier: MIT */
/*
 * Table memory on its way back to the host: stocks, slabs that retire, the look at the lanes, the epoch, and the path that a lane keeps
 * from call to call.
 *
 * A slab has one table here, so that a free table is an empty slab; the same address may be a slab again. Two entries, of a root that
 * stays; tables with one page. Of the protocol of reclaim.pml, what hands tables on: link, count, list, trim, record once more (a prune),
 * revive, flush, release; words and entries are as there.
 *
 * A lane's call begins with lane_enter(), a plain store that others may see late: seq[] is the lane's own value, pend[] the stores that
 * nobody else has seen yet. They become visible at any time, when the lane swaps something, or by lanes_barrier(). With -DEXCHANGE
 * lane_enter() is an exchange, and there is no barrier. Apart from that the order of memory is sequential.
 *
 * The caller's contract: calls that run at the same time use different entries (claim[]). Each lane makes OPS calls (map, unmap, look up),
 * and EXTRA others: prune what is below one entry; or flush within a call and go on looking; or give the stock back, outside any call. It
 * trims and flushes between calls whenever it likes, at the end until nothing is left. After any release a lane may give back of its stock
 * what it likes.
 *
 * Checked
 *   - no lane touches a table, or its descriptor, that the host has;
 *   - no table goes to the host that is linked, that the device may have cached, or that stands in a list or a gather;
 *   - all of reclaim.pml that is left: what is mapped is found and reached; nothing else;
 *   - at rest every slab is where it belongs;
 *   - nobody waits for a word that nobody will change (retries without end are not looked for).
 *
 *   spin -a slab.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m1000000
 *
 * Must fail: NO_EPOCH (a path is believed in spite of it), EPOCH_ONCE (it is looked at only where a call begins), EPOCH_LATE (raised after
 * the look at the lanes), EPOCH_EARLY (read before lane_enter()), NO_LOOK (retired slabs go at once), NO_BARRIER, MARKED (slabs go with
 * marks).
 */
#ifndef OPS
#define OPS 1
#endif
#ifndef OPS1
#define OPS1 OPS
#endif
#ifndef EXTRA
#define EXTRA 1
#endif
#ifndef EXTRA1
#define EXTRA1 EXTRA
#endif
#define LIMIT ((me) -> OPS1 : OPS)
#define EXTRAS ((me) -> EXTRA1 : EXTRA)
#define NL 2
#define NS 2
#ifndef NT
#define NT 2
#endif
#define NREC 2
#define NONE 255

#define EMPTY 0
#define PRES(t) (1 + (t))
#define TOMB(t) (11 + (t))
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
#define MARKS(w) ((w) & (LISTED | 7 * REC1))
#define GEN1 512
#define GEN(w) ((w) >> 9)
#define KEEP(w) ((w) & ~15)

short W[NT];
byte id[NT] = NONE;
bit T[NT];
byte E[NS] = EMPTY;
byte may[NS];                       /* the device: which tables it may have cached, a bit each */

/* Where the memory of table t is. */
#define HOST 0
#define USED 1                      /* with a page table, or free with marks */
#define STOCK(lane) (2 + (lane))
#define ON_EMPTY 10                 /* on its level's list of empty slabs */
#define RETIRED 11
#define WAITING 12
byte where[NT] = HOST;
bit reaping, hint;
byte epoch;
byte seq[NL], pend[NL], seen[NL];

#define GONE 0
#define IN_CALL 1
#define MAPPED 2
byte acc[NS];
bit claim[NS];
byte ndone;

#define touch(t) assert(where[t] != HOST)
#define SWAP(t, old, new) d_step { touch(t); pend[me] = 0; ok = (W[t] == (old)); if :: ok -> W[t] = (new) :: else fi }
#define present(k, t) d_step { E[k] = PRES(t); may[k] = may[k] | (1 << (t)) }
#define unseen(k, t) (!(may[k] & (1 << (t))) && E[k] != PRES(t) && E[k] != TOMB(t))
#define clean(t) (unseen(0, t) && unseen(1, t) && (!T[t] || (W[t] & UNCLEAN)))

/* ---- lanes in and out ---- */

#ifdef EXCHANGE
#define lane_enter() atomic { seq[me]++; pend[me] = 0 }
#else
#define lane_enter() atomic { seq[me]++; pend[me]++ }
#endif
#define lane_exit() atomic { seq[me]++; pend[me]++ }

/* Another lane reads lane n's sequence: an older one, maybe. */
#define now_seen(n) do :: pend[n] > 0 -> pend[n]-- :: break od

inline forget() { atomic { pf = NONE; p = 0 } }

inline look_at_epoch() {
#ifdef NO_EPOCH
	skip
#else
	e = epoch;
	if
	:: e != my_epoch -> atomic { forget(); my_epoch = e }
	:: else
	fi;
	e = 0
#endif
}

inline enter() {
#ifdef EPOCH_EARLY
	look_at_epoch();
#endif
	lane_enter();
#ifdef EPOCH_ONCE
	look_at_epoch()
#endif
}

/* ---- slabs ---- */

/* To the host, as far as lanes allow. */
inline reap() {
	if
	:: hint || where[0] == RETIRED || where[1] == RETIRED || where[NT - 1] == RETIRED ->
		d_step { pend[me] = 0; ok = !reaping; reaping = 1 }
		if
		:: ok ->
			do
			:: if
			   :: where[0] == WAITING || where[1] == WAITING || where[NT - 1] == WAITING ->
#ifndef NO_LOOK
				atomic {
					now_seen(1 - me);
					ok = !((seen[1 - me] & 1) && seq[1 - me] - pend[1 - me] == seen[1 - me])
				}
				if :: !ok -> break :: else fi;
#endif
				s = 0;
				do
				:: s < NT && where[s] == WAITING ->
					d_step { assert(clean(s) && ST(W[s]) == FREE); where[s] = HOST; W[s] = 0; id[s] = NONE; s++ }
				:: s < NT && where[s] != WAITING -> s++
				:: else -> break
				od;
				s = 0
			   :: else
			   fi;
			   d_step {
				ok = 0;
				s = 0;
				do
				:: s < NT && where[s] == RETIRED -> where[s] = WAITING; ok = 1; s++
				:: s < NT && where[s] != RETIRED -> s++
				:: else -> break
				od;
				s = 0
			   }
			   if :: !ok -> break :: else fi;
#ifndef EPOCH_LATE
			   epoch++;
#endif
#if !defined(NO_BARRIER) && !defined(EXCHANGE)
			   d_step { pend[0] = 0; pend[1] = 0 }
#endif
			   atomic { now_seen(1 - me); seen[1 - me] = seq[1 - me] - pend[1 - me] }
			   seen[me] = seq[me];
#ifdef EPOCH_LATE
			   epoch++
#endif
			od;
			hint = (where[0] == WAITING || where[1] == WAITING || where[NT - 1] == WAITING);
			reaping = 0
		:: else
		fi
	:: else
	fi;
	ok = 0
}

/* Give back of this lane's stock what it likes; retire of the empty slabs what it likes. Under the level's lock. */
inline drain() {
	atomic {
		pend[me] = 0;
		s = 0;
		do
		:: s < NT && where[s] == STOCK(me) -> where[s] = ON_EMPTY; s++
		:: s < NT && (where[s] == STOCK(me) || where[s] == ON_EMPTY) -> where[s] = RETIRED; s++
		:: s < NT -> s++
		:: s == NT -> break
		od;
		s = 0
	}
	reap()
}

/* A table for this lane, BUSY: of its stock, of an empty slab, of a new one. Or NONE. */
inline take() {
	atomic {
		t = 0;
		do
		:: t < NT && where[t] != STOCK(me) -> t++
		:: else -> break
		od;
		if
		:: t < NT
		:: t == NT && where[0] == ON_EMPTY -> t = 0
		:: t == NT && where[1] == ON_EMPTY -> t = 1
#if NT > 2
		:: t == NT && where[2] == ON_EMPTY -> t = 2
#endif
		:: t == NT && where[0] == HOST -> t = 0; W[0] = FREE | UNCLEAN
		:: t == NT && where[1] == HOST && where[0] != HOST -> t = 1; W[1] = FREE | UNCLEAN
		:: t == NT && where[0] == HOST && where[1] == HOST && epoch -> t = 1; W[1] = FREE | UNCLEAN
#if NT > 2
		:: t == NT && where[2] == HOST && (epoch || (where[0] != HOST && where[1] != HOST)) -> t = 2; W[2] = FREE | UNCLEAN
#endif
		:: else -> t = NONE
		fi;
		if
		:: t != NONE -> where[t] = USED; w = W[t]; assert(clean(t))
		:: else
		fi
	}
	if
	:: t != NONE ->
		d_step { assert(W[t] == w && ST(w) == FREE); W[t] = (KEEP(w) & ~UNCLEAN) | BUSY }
#ifndef MARKED
		assert(!MARKS(w));
#endif
		T[t] = 0
	:: else
	fi
}

#ifdef MARKED
#define given(w) 1
#define unmarked(w) 0
#else
#define given(w) !MARKS(w)
#define unmarked(w) (ST(w) == FREE && !MARKS(w))
#endif
inline push() { d_step { assert(where[t] == USED && clean(t)); where[t] = STOCK(me) } }

/* ---- the page table ---- */

/* t: the table for entry k as the path or the root has it; or NONE, and e what is in its place. */
inline descend() {
#if !defined(EPOCH_ONCE) && !defined(EPOCH_EARLY)
	look_at_epoch();
#endif
	if
	:: pf == k -> atomic { t = p; e = EMPTY }
	:: else ->
		e = E[k];
		if
		:: isPRES(e) -> atomic { t = tab(e); e = EMPTY; pf = k; p = t }
		:: else -> t = NONE
		fi
	fi
}

inline again() {
	forget();
	if
	:: ST(w) == BUSY -> W[t] != w
	:: else
	fi
}

inline load() { atomic { touch(t); w = W[t] } }

inline find() {
	do
	:: descend();
	   if
	   :: t == NONE -> found = 0; break
	   :: else ->
		load();
		if
		:: ST(w) != LIVE -> again()
		:: else ->
			d_step { touch(t); ok = (id[t] == k) }
			if
			:: !ok -> forget()
			:: else ->
				d_step { touch(t); found = T[t] }
				d_step { touch(t); ok = (ST(W[t]) == LIVE && GEN(W[t]) == GEN(w)) }
				if
				:: ok -> break
				:: else -> forget()
				fi
			fi
		fi
	   fi
	od
}

inline map() {
	do
	:: descend();
	   if
	   :: t != NONE ->
		load();
		if
		:: ST(w) != LIVE -> again()
		:: else ->
			d_step { touch(t); ok = (id[t] == k) }
			if
			:: !ok -> forget()
			:: else ->
				SWAP(t, w, w + 1);
				if :: ok -> break :: else fi
			fi
		fi
	   :: t == NONE && e == EMPTY ->
		take();
		if
		:: t != NONE ->
			d_step { id[t] = k; pf = k; p = t }
			present(k, t);
			W[t] = KEEP(W[t]) | LIVE | 1
		:: else
		fi;
		break
	   :: else ->
		t = tab(e);
		load();
		d_step { touch(t); ok = (id[t] == k) }
		if
		:: ST(w) == DEAD && ok ->
			SWAP(t, w, KEEP(w) | BUSY);
			if
			:: ok ->
				assert(E[k] == TOMB(t));
				present(k, t);
				W[t] = KEEP(W[t]) | LIVE | 1;
				break
			:: else
			fi
		:: else -> again()
		fi
	   fi
	od;
	if
	:: t != NONE -> atomic { touch(t); assert(!T[t]); T[t] = 1 }
	:: else
	fi
}

inline put() {
	do
	:: load();
	   assert(ST(w) == LIVE && CNT(w) == 1);
	   if
	   :: !(w & LISTED) ->
		SWAP(t, w, (w - 1) | LISTED);
		if :: ok -> list = list | (1 << t); break :: else fi
	   :: else ->
		SWAP(t, w, w - 1);
		if :: ok -> break :: else fi
	   fi
	od
}

/* Table t, in generation w, goes into the gather. */
inline record() { assert(gn < NREC); gt[gn] = t; gg[gn] = GEN(w); gs[gn] = id[t]; gn++ }

inline unlink() {
	assert(E[id[t]] == PRES(t));
	E[id[t]] = TOMB(t);
	d_step { touch(t); w = (KEEP(w) | DEAD) + REC1 + GEN1; W[t] = w; record() }
}

inline flush() {
	d_step {
		s = 0;
		do
		:: s < gn -> may[gs[s]] = (isPRES(E[gs[s]]) -> 1 << tab(E[gs[s]]) : 0); s++
		:: else -> break
		od;
		s = 0
	}
	do
	:: gn > 0 ->
		atomic { t = gt[0]; g = gg[0] }
		do
		:: load();
		   if
		   :: ST(w) == BUSY -> W[t] != w
		   :: ST(w) == DEAD && GEN(w) == g ->
			SWAP(t, w, (KEEP(w) | BUSY) - REC1);
			if
			:: ok ->
				assert(E[id[t]] == TOMB(t));
				E[id[t]] = EMPTY;
				d_step { w = KEEP(W[t]) | FREE; W[t] = w; assert(clean(t)) }
				if
				:: given(w) -> push()
				:: else
				fi;
				break
			:: else
			fi
		   :: else ->
			SWAP(t, w, w - REC1);
			if
			:: ok && unmarked(w - REC1) -> push(); break
			:: ok && !unmarked(w - REC1) -> break
			:: else
			fi
		   fi
		od;
		atomic { gn--; gt[0] = gt[1]; gg[0] = gg[1]; gs[0] = gs[1]; gt[1] = 0; gg[1] = 0; gs[1] = 0; t = 0; g = 0; w = 0; ok = 0 }
	:: else -> break
	od;
	drain()
}

inline trim() {
	atomic {
		if
		:: list & 1 -> t = 0
		:: list & 2 -> t = 1
#if NT > 2
		:: list & 4 -> t = 2
#endif
		fi;
		list = list & ~(1 << t)
	}
	do
	:: load();
	   if
	   :: ST(w) == BUSY -> W[t] != w
	   :: ST(w) == LIVE && CNT(w) == 0 ->
		SWAP(t, w, (KEEP(w) & ~LISTED) | BUSY);
		if :: ok -> w = w & ~LISTED; unlink(); break :: else fi
	   :: else ->
		SWAP(t, w, w & ~LISTED);
		if
		:: ok && unmarked(w & ~LISTED) -> push(); break
		:: ok && !unmarked(w & ~LISTED) -> break
		:: else
		fi
	   fi
	od
}

/* What is empty below entry k goes, whoever lists it; what has gone is recorded once more. */
inline prune() {
	e = E[k];
	if
	:: e == EMPTY
	:: else ->
		t = tab(e);
		do
		:: load();
		   if
		   :: ST(w) == BUSY -> W[t] != w
		   :: ST(w) == DEAD ->
			SWAP(t, w, w + REC1);
			if :: ok -> d_step { record() } break :: else fi
		   :: ST(w) == LIVE && CNT(w) == 0 ->
			SWAP(t, w, KEEP(w) | BUSY);
			if :: ok -> unlink(); break :: else fi
		   :: else -> break
		   fi
		od
	fi
}

inline call_ends() { atomic { t = 0; w = 0; s = 0; e = 0; ok = 0; g = 0; k = 0; found = 0 } }
#define first_call (!me && !ops)

proctype lane(byte me) {
	byte k, t, e, s, g, ops, extras, list, gn, my_epoch;
	byte pf = NONE, p;
	byte gt[NREC], gg[NREC], gs[NREC];
	short w;
	bit ok, found;

	do
	:: atomic { ops < LIMIT && !claim[0] -> claim[0] = 1; k = 0 } goto call
	:: atomic { ops < LIMIT && !claim[1] && !first_call -> claim[1] = 1; k = 1 }
call:
		ops++;
		enter();
		if
		:: acc[k] == GONE ->
			acc[k] = IN_CALL;
			map();
			acc[k] = (t == NONE -> GONE : MAPPED)
		:: true ->
			if					/* unmap, or look up */
			:: acc[k] == MAPPED -> atomic { g = 1; acc[k] = IN_CALL }
			:: true
			fi;
			find();
			assert(found == (acc[k] != GONE));
			if
			:: g -> atomic { touch(t); T[t] = 0 } put(); acc[k] = GONE
			:: else
			fi
		fi;
		atomic { claim[k] = 0; lane_exit() }
		call_ends()
	:: extras < EXTRAS ->
		extras++;
		if
		:: k = 0
		:: k = 1
		fi;
		if
		:: gn < NREC -> enter(); prune(); lane_exit()
		:: atomic { (gn || list) && !claim[k] -> claim[k] = 1 }
			enter();
			find();
			flush();
			find();
			assert(found == (acc[k] == MAPPED));
			atomic { claim[k] = 0; lane_exit() }
		:: drain()
		fi;
		call_ends()
	:: list && gn < NREC -> enter(); trim(); lane_exit(); call_ends()
	:: gn -> enter(); flush(); lane_exit(); call_ends()
	:: ops == LIMIT && !list && !gn -> break
	od;
	forget();
	my_epoch = 0;
	ndone++
}

#define reached(k) ((isPRES(E[k]) && T[tab(E[k])]) || ((may[k] & 1) && T[0]) || ((may[k] & 2) && T[1]) || ((may[k] & 4) && T[NT - 1]))
#define reach(k) (isPRES(E[k]) && T[tab(E[k])] && (!(may[k] & 1) || T[0]) && (!(may[k] & 2) || T[1]) && (!(may[k] & 4) || T[NT - 1]))

proctype device() {
end:
	do
	:: d_step {
		assert((acc[0] != MAPPED || reach(0)) && (acc[1] != MAPPED || reach(1)));
		assert((acc[0] != GONE || !reached(0)) && (acc[1] != GONE || !reached(1)))
	   }
	od
}

#define linked(t) (where[t] == USED && ST(W[t]) == LIVE && E[id[t]] == PRES(t) && CNT(W[t]) == 1 && T[t])
#define unused(t) (where[t] != USED && clean(t) && ST(W[t]) == FREE)
#define rests(t) ((linked(t) || unused(t)) && !MARKS(W[t]))

init {
	atomic { run lane(0); run lane(1); run device() }
	d_step { ndone == NL -> assert(rests(0) && rests(1) && rests(NT - 1) && !reaping) }
}
