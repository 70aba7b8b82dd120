/* SPDX-License-Identifier: MIT */
/*
 * Windows: one window of NG granules, the lane that owns it and others that free into it or take it over; the gate around what is the owner's; flushes by number; and a device that
 * may have cached whatever it could have read.
 *
 * A granule is available, stale, waiting (the owner's bitmaps), freed, freed_clean (everybody's), or handed out. Unmapping clears the entry; the owner makes the granule stale inside its
 * gate, others set it in freed. Whoever is in the gate folds: freed becomes stale, waiting becomes available once flush number @needed has completed, and what is stale waits from then
 * on for the flush after the last one that has begun. A lane that finds nothing asks for a flush, then closes the other lane's gate and takes the window over. A lane that unmaps
 * strictly has the device forget the page first; then the granule is available at once, or freed_clean.
 *
 * Each statement is one access to shared memory; d_step marks an atomic operation, or what is done with a lane's own things inside its gate. Stores of a lane to entries and to its
 * side of the gate go through a queue (sb) in order, and are seen by others late; the lane's atomic operations and fences, and the barrier that a closer runs on all
 * lanes, wait until the queue is empty. Other reorderings are not in here: the orders of memory are argued where they are coded.
 *
 * Checked
 *   - a granule is handed out to one user at a time, and when it is, the device can hold nothing of before: neither has it cached the old entry, nor can it still read it;
 *   - a lane and who has closed its gate are never in at once;
 *   - at the end every granule is in one place: nothing is lost.
 *
 *   spin -a window.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m100000
 *
 * -DOPS=n, -DOPS1=n for lane 1: allocations and frees of each lane. -DNG=n: granules. -DNL=3: lanes. -DELSEWHERE: an allocation may be served by another window after this one was
 * folded. -DTAKEN: all granules are handed out to begin with. -DSB=n: stores that may be on their way. -DDRAIN: lanes fold others' windows at any time. -DEXCHANGE: hosts without
 * lanes_barrier, the gate is entered by an exchange. -DPAGE: a page of a window of the lane's own is cleared inside the gate (window_unmap_page()), or as all others. -DSTRICT: unmaps
 * are lazy or strict. -DUNBOUND: the allocator alone; flushes of several lanes overlap, and nothing is done after them. -DFAILS=n: so many flushes fail, and change nothing.
 *
 * Must fail: NO_FENCE (flush_needed() without its fence), EARLY_NUMBER (the last flush that has begun suffices), RESTAMP (what is stale joins what waits already), NO_FLUSH,
 * CLEAN_FOLD (freed becomes available), NO_EXCHANGE (freed is read, then cleared), NO_BARRIER, NO_LOOK (at @closed), NO_WAIT (for the lane), NO_OWNER (no second look at the owner,
 * inside the gate), OLD_OWNER (a window on its way still names the lane that had it), FLUSHED_FOLDS (after its flush the owner takes in what others freed), NO_FOLDED (after its
 * flush the owner takes in what others found stale meanwhile), NO_INVALIDATE (STRICT: before the page is given back), LATE_NUMBER (UNBOUND: a flush gets its number when it ends),
 * ERROR_COUNTS (FAILS: as a flush).
 */
#ifndef NL
#define NL 2
#endif
#ifndef NG
#define NG 2
#endif
#ifndef OPS
#define OPS 3
#endif
#ifndef OPS1
#define OPS1 OPS
#endif
#define LIMIT ((me == 1) -> OPS1 : OPS)
#define ALL ((1 << NG) - 1)
#define NOBODY NL

/* Stores on their way, by number: an entry is cleared; the lane is out; it is in. */
#define OUT NG
#define IN (NG + 1)
#ifndef SB
#define SB 3
#endif
chan sb[NL] = [SB] of { byte };
#define drained(l) empty(sb[l])

byte M, tlb;                        /* entries as the device reads them; what it may have cached: sets of granules */
byte avail, stale, waiting, freed, freed_clean;
byte needed, started, completed;
byte owner;
byte handed, claimed;               /* what callers have; of these, what is being unmapped */
bit inside[NL], closed[NL], folded[NL], room[NL];
bit gates, flushing;
byte ndone;
#ifdef FAILS
byte failures;
#endif

inline enter() {
	do
	::
#ifdef EXCHANGE
	   atomic { drained(me) -> inside[me] = 1 }
#else
	   sb[me]!IN;
#endif
#ifdef NO_LOOK
	   break
#else
	   if
	   :: !closed[me] -> break
	   :: closed[me] -> sb[me]!OUT; !closed[me]
	   fi
#endif
	od;
	atomic { assert(!room[me]); room[me] = 1 }
}

inline exit() {
	room[me] = 0;
	sb[me]!OUT
}

inline fold() {
	if
	:: freed ->
#ifdef NO_EXCHANGE
		f = freed;
		freed = 0;
#else
		atomic { drained(me) -> f = freed; freed = 0 }
#endif
		d_step {
			f = f & ~(avail | stale | waiting);
#ifdef CLEAN_FOLD
			avail = avail | f;
#else
			stale = stale | f;
#endif
			f = 0
		}
	:: else
	fi;
#ifdef STRICT
	if
	:: freed_clean -> atomic { drained(me) -> avail = avail | (freed_clean & ~(stale | waiting)); freed_clean = 0 }
	:: else
	fi;
#endif
	if
	:: waiting && completed >= needed -> d_step { avail = avail | waiting; waiting = 0 }
	:: else
	fi;
#ifdef RESTAMP
	if
	:: waiting && stale -> d_step { waiting = waiting | stale; stale = 0 }
	:: else
	fi;
#endif
	if
	:: !waiting && stale ->
#ifndef NO_FENCE
		drained(me);
#endif
#ifdef EARLY_NUMBER
		d_step { needed = started; waiting = stale; stale = 0 }
#else
		d_step { needed = started + 1; waiting = stale; stale = 0 }
#endif
	:: else
	fi
}

/* One of what is available. */
inline take() {
	atomic {
		if
		:: avail & 1 -> g = 0
#if NG > 1
		:: avail & 2 -> g = 1
#endif
#if NG > 2
		:: avail & 4 -> g = 2
#endif
		:: !avail -> assert(avail)
		fi;
		assert(!(handed & (1 << g)));
		assert(!(M & (1 << g)));
		assert(!(tlb & (1 << g)));
		avail = avail & ~(1 << g);
		handed = handed | (1 << g);
		M = M | (1 << g);
		tlb = tlb | (1 << g);
		g = 0;
		got = 1
	}
}

#ifdef UNBOUND
inline flush() {
#ifdef LATE_NUMBER
	tlb = M;
	atomic { drained(me) -> started++; number = started }
#else
	atomic { drained(me) -> started++; number = started }
	tlb = M;
#endif
	d_step { if :: completed < number -> completed = number :: else fi; number = 0 }
}
#else
/* Of the whole domain; who finds that one has begun and ended since, is served. */
inline flush() {
	atomic { drained(me) -> number = started + 1 }
	atomic { !flushing && drained(me) -> flushing = 1 }
	if
	:: completed >= number
	:: else ->
		atomic { drained(me) -> started++; number = started }
#ifdef FAILS
		if
		:: failures < FAILS -> failures++; failed = 1
		:: tlb = M
		fi;
#elif !defined(NO_FLUSH)
		tlb = M;
#endif
		d_step {
			if
#ifndef ERROR_COUNTS
			:: failed
#endif
			:: else -> completed = number
			fi
		}
	fi;
	atomic { flushing = 0; number = 0 }

	if
	:: failed -> failed = 0; goto not_flushed
	:: else
	fi;
	enter();
	if
	:: owner == me ->
#ifdef FLUSHED_FOLDS
		atomic { drained(me) -> stale = stale | freed; freed = 0 }
#endif
		if
#ifndef NO_FOLDED
		:: folded[me] -> fold()
#endif
		:: else -> d_step { avail = avail | stale | waiting; stale = 0; waiting = 0 }
		fi
	:: else
	fi;
	folded[me] = 0;
	exit();
not_flushed:
	skip
}
#endif

#ifdef DRAIN
#define wanted (avail && !draining)
#else
#define wanted avail
#endif

/* From lane @o; or only fold there. */
inline take_over() {
	atomic { !gates && drained(me) -> gates = 1 }
	atomic { drained(me) -> closed[o] = 1 }
#if !defined(NO_BARRIER) && !defined(EXCHANGE)
	drained(o);
#endif
#ifndef NO_WAIT
	!inside[o];
#endif
	atomic { assert(!room[o]); room[o] = 1 }
	folded[o] = 1;
	if
	:: owner == o ->
		fold();
		if
		:: wanted -> d_step {
			over = 1;
#ifndef OLD_OWNER
			owner = NOBODY
#endif
			}
		:: else
		fi
	:: else
	fi;
	room[o] = 0;
	closed[o] = 0;
	gates = 0
}

inline allocate() {
	do
	:: enter();
	   if
	   :: owner == me ->
		if
		:: !avail -> fold()
		:: else
		fi;
		if
		:: avail -> take()
		:: else
		fi
	   :: else
	   fi;
	   exit();
	   if
	   :: got -> break
#ifdef ELSEWHERE
	   :: !got -> break
#endif
	   :: !got && !flushed -> flush(); flushed = 1
	   :: !got && flushed && tried == NL -> break
	   :: !got && flushed && tried < NL ->
		o = tried;
		if
		:: o != me -> take_over()
		:: else
		fi;
		tried++;
		if
		:: over -> enter(); owner = me; exit(); atomic { tried = NL; over = 0 }
		:: else
		fi;
		o = 0
	   fi
	od;
	atomic { got = 0; flushed = 0; tried = 0 }
}

/* Granule g, which this lane has claimed, is where it is put. */
#define GONE(where) where = where | (1 << g); handed = handed & ~(1 << g); claimed = claimed & ~(1 << g)

/* It becomes stale, by its owner: a load and a store. */
inline give_own() {
	d_step { f = stale; GONE(f) }
	d_step { stale = f; f = 0 }
}

inline unmap() {
#ifdef STRICT
	if
	:: clean = 1
	:: true
	fi;
#endif
#ifdef PAGE
	if
	:: owner == me && !clean ->
		enter();
		if
		:: owner == me -> sb[me]!g; give_own(); exit(); goto done
		:: else -> exit()
		fi
	:: true
	fi;
#endif
	sb[me]!g;
#if defined(STRICT) && !defined(NO_INVALIDATE)
	if
	:: clean -> atomic { drained(me) -> tlb = tlb & ~(1 << g) }
	:: else
	fi;
#endif
	if
	:: owner == me ->
		enter();
		if
#ifndef NO_OWNER
		:: owner != me -> exit(); goto others
#endif
		:: else
		fi;
		if
		:: clean -> d_step { GONE(avail) }
		:: else -> give_own()
		fi;
		exit()
	:: else ->
others:
		if
		:: clean -> atomic { drained(me) -> GONE(freed_clean) }
		:: else -> atomic { drained(me) -> GONE(freed) }
		fi
	fi;
done:
	atomic { g = 0; clean = 0 }
}

proctype lane(byte me) {
	byte ops, g, f, number, o, tried;
	bit got, flushed, over, clean, failed;
#ifdef DRAIN
	bit draining;
#endif

	do
	:: ops < LIMIT -> ops++; allocate()
	:: atomic { ops < LIMIT && (handed & ~claimed) ->
		ops++;
		if
		:: handed & ~claimed & 1 -> g = 0
#if NG > 1
		:: handed & ~claimed & 2 -> g = 1
#endif
#if NG > 2
		:: handed & ~claimed & 4 -> g = 2
#endif
		fi;
		claimed = claimed | (1 << g)
	   }
	   unmap()
#ifdef DRAIN
	:: ops < LIMIT -> atomic { ops++; draining = 1; o = (me + 1) % NL } take_over(); atomic { draining = 0; o = 0 }
#endif
	:: ops == LIMIT -> break
	od;
	atomic { f = 0; ndone++ }
}

/* Stores reach memory. */
proctype memory() {
	byte x;

end:
	do
	:: atomic { sb[0]?x -> if :: x < NG -> M = M & ~(1 << x) :: else -> inside[0] = x - OUT fi; x = 0 }
	:: atomic { sb[1]?x -> if :: x < NG -> M = M & ~(1 << x) :: else -> inside[1] = x - OUT fi; x = 0 }
#if NL > 2
	:: atomic { sb[2]?x -> if :: x < NG -> M = M & ~(1 << x) :: else -> inside[2] = x - OUT fi; x = 0 }
#endif
	od
}

init {
	atomic {
#ifdef TAKEN
		handed = ALL;
		M = ALL;
		tlb = ALL;
#else
		avail = ALL;
#endif
		owner = 0;
		run memory();
		run lane(0);
		run lane(1);
#if NL > 2
		run lane(2)
#endif
	}
	d_step {
		ndone == NL;
		freed = freed | freed_clean;
		assert((avail | stale | waiting | freed | handed) == ALL);
		assert(!(avail & (stale | waiting | freed | handed)) && !(stale & (waiting | freed | handed)) && !(waiting & (freed | handed)) && !(freed & handed));
		assert(owner < NL && !claimed)
	}
}
