/*
 * The word of a shard's lock, and who sleeps: src/sync/shardlock.c.
 *
 * Writers and readers take the lock again and again, some give up while they
 * wait, and once the deadlock detector makes it the readers' turn. A thread
 * parks only if the word is still the one that it announced itself in, as a
 * futex does, and wakes when it is woken; a writer that only the readers' turn
 * keeps out also wakes by itself, and takes the lock all the same. (The same of
 * a reader, and that others look again by themselves, is in the case only where
 * it is needed.)
 *
 * Claims: a writer is alone, and readers are without a writer; nobody sleeps
 * for ever (no end state with a thread in it); in the end the word is zero.
 *
 * Each statement or atomic block is one atomic step: what in the code is a
 * compare-and-swap in a loop, or a subtraction. The steps between are where
 * other threads come in; above all, between the subtraction that ends a write
 * hold and the step that grants to those who waited.
 *
 * PASSED_BY is a writer's try that fails because of the readers' turn. Left out:
 * the largest number of readers; WATCHED with LEAVING, which are there beside
 * tools only (tests/unit/test_shardlock_crowd.c tries them); and BIASED, which
 * is in the way of all writers until it is taken away (tests/world/test_bias.c).
 *
 * Other cases, of which each is a search of its own:
 *   case -DMANY_WRITERS  three writers, of which one gives up, and a reader
 *   case -DDETECTOR      the detector, and a reader less
 *   case -DSTOPPED       a reader that, once woken, may never run again, and a
 *                        writer that only tries
 *   case -DSTOPPED_WRITER  a writer that, once woken, may never run again,
 *                        another one, and two readers
 *   case -DNESTED        a writer that may downgrade, one that may give up, and
 *                        one that only tries; a reader that reads within its
 *                        read
 *   case -DENDING        a thread that ends while it has the lock, in either
 *                        mode
 *
 * With one of these the model is broken, and the checker finds the fault:
 *   -DNO_GRANT        the write unlock does not look after those who waited
 *   -DNO_LOOK         a thread parks without looking at the word again
 *   -DNOBODY_WOKEN    the grant changes the word and wakes nobody
 *   -DKEPT_UNDER_READERS -DDETECTOR  a grant that finds readers leaves the
 *                     writers' bit to them: it may be nobody's, and they would
 *                     leave it behind
 *   -DNO_LAST_READER  the last reader wakes no writer
 *   -DNO_HEIR -DMANY_WRITERS  a writer that was woken does not speak for the
 *                     others
 *   -DSILENT_WRITER   a writer gives up and leaves its bit
 *   -DSILENT_READER   a reader gives up and leaves its bits
 *   -DNO_LAPSE -DSTOPPED  the turn lasts until a reader has come
 *   -DTURN_KEPT -DSTOPPED  a writer for whom the turn has lapsed leaves it in
 *                     the word
 *   -DNO_LAPSE -DSTOPPED_WRITER  the same of the writers' turn
 *   -DNO_LOOKS -DSTOPPED_WRITER  who sleeps while others have the lock does so
 *                     until it is woken
 *   -DLAPSE_FOR_ONE -DSTOPPED_WRITER  a reader for whom the turn has lapsed
 *                     clears the readers' bit and does not wake them
 *   -DLEFT_BEHIND     a reader that has waited takes the lock before the grant,
 *                     and leaves the readers' bit behind
 *   -DNESTED_WAITS -DNESTED  a read within a read lets waiting writers go first
 *   -DWAKES_NOBODY -DNESTED  the downgrade changes the word and wakes nobody
 *   -DKEEPS_WRITERS -DNESTED  the downgrade leaves the writers' bit to the last
 *                     reader: it may be nobody's
 *   -DKEEPS_READERS -DNESTED  the downgrade leaves the readers' bit
 *   -DQUIET_END -DENDING  the end of a thread that has the lock wakes nobody
 *   -DNO_END -DENDING  those who wait do not look for it
 */
#define WRITERS 3
#define READERS 2

/* The word. */
bit writer;
bit writers_wait;
bit readers_wait;
bit readers_next;
bit abandoned;
byte readers;

/* Who is parked: writers first. */
bit asleep[WRITERS + READERS];

#ifdef NO_END
#  define ABANDONED 0
#else
#  define ABANDONED abandoned
#endif

bit stopped; /* a thread has stopped for ever */

#define THREADS 4
byte finished; /* of the threads */

#define IS_ZERO                                                               \
  (!writer && !writers_wait && !readers_wait && !readers_next && readers == 0)
#define WORD                                                                  \
  (writer + 2 * writers_wait + 4 * readers_wait + 8 * readers_next +            \
   16 * abandoned + 32 * readers)
#define FREE       (!writer && readers == 0)
#define WRITER_MAY (FREE && !readers_next)
#define READER_MAY (!writer && (readers_next || ABANDONED || !writers_wait))

inline wake_readers()
{
  d_step {
    asleep[WRITERS] = 0;
    asleep[WRITERS + 1] = 0
  }
}

/* Any one of them. */
inline wake_writer()
{
  atomic {
    if
    :: asleep[0] -> asleep[0] = 0
    :: asleep[1] -> asleep[1] = 0
    :: asleep[2] -> asleep[2] = 0
    :: !asleep[0] && !asleep[1] && !asleep[2]
    fi
  }
}

inline wake_both(r, w)
{
#ifndef NOBODY_WOKEN
  if
  :: r -> atomic { r = 0; wake_readers() }
  :: else
  fi;
  if
  :: w -> atomic { w = 0; wake_writer() }
  :: else
  fi
#else
  skip
#endif
}

/* A thread that has announced itself parks, if the word is what it was; it may
 * give up before, in its sleep, and when it has been woken. */
inline park(me, announced_in)
{
#ifdef NO_LOOK
  asleep[me] = 1;
#else
  atomic {
    if
    :: WORD == announced_in -> asleep[me] = 1
    :: else
    fi
  };
#endif
  if
  :: !asleep[me]
  :: may_give_up -> asleep[me] = 0; goto give_up
#ifndef NO_LAPSE
  :: lapses -> atomic { asleep[me] = 0; lapses = 0; lapsed = 1 }
#endif
#if defined(STOPPED_WRITER) && !defined(NO_LOOKS)
  :: stopped && !lapses -> asleep[me] = 0
#endif
  fi
}

/* A writer takes the lock. */
inline take(announced)
{
  assert(readers == 0);
  writer = 1;
#ifndef TURN_KEPT
  readers_next = 0;
#endif
#ifndef NO_HEIR
  writers_wait = writers_wait || announced;
#endif
}

/* The first step of a write unlock; r: another is to come. */
inline release(r)
{
  assert(!readers_next);
  r = writers_wait || readers_wait;
  writer = 0
}

/* A write hold becomes a read hold. */
inline downgrade(r, w)
{
  atomic {
    r = readers_wait;
    w = writers_wait;
#ifdef KEEPS_WRITERS
    w = 0;
#endif
    writer = 0;
    readers = 1;
    writers_wait = writers_wait && !w;
#ifdef KEEPS_READERS
    r = 0;
#endif
    readers_next = r;
    readers_wait = readers_wait && !r
  };
#ifdef WAKES_NOBODY
  r = 0;
  w = 0;
#endif
  wake_both(r, w)
}

/* A read hold ends. */
inline read_unlock(r, w)
{
  atomic {
    w = readers == 1 && writers_wait;
    readers--
  };
#ifndef NO_LAST_READER
  wake_both(r, w)
#else
  w = 0
#endif
}

/* The write hold has ended, and the word showed waiters: cmap__shardlock_grant.
 */
inline grant(r, w)
{
#ifndef NO_GRANT
  atomic {
    if
    :: writer /* the next one's unlock sees to it */
    :: !writer ->
      r = readers_wait;
      w = writers_wait;
#ifdef KEPT_UNDER_READERS
      w = w && readers == 0;
      writers_wait = writers_wait && !w;
#else
      writers_wait = 0;
#endif
      readers_next = readers_next || (readers_wait && readers == 0);
      readers_wait = 0
    fi
  };
  wake_both(r, w)
#else
  skip
#endif
}

proctype writing(byte me; byte rounds; bit may_give_up; bit may_stop)
{
  byte announced_in;
  bit announced, lapses, lapsed, r, w;

  do
  :: rounds == 0 -> break
  :: rounds > 0 ->
again:
    atomic {
      if
      :: WRITER_MAY || (FREE && lapsed) ->
        take(announced);
        announced = 0;
        lapsed = 0;
        rounds--;
        goto got
      :: ABANDONED -> goto give_up
      :: else ->
        writers_wait = 1;
        announced = 1;
        announced_in = WORD;
        lapses = FREE;
        lapsed = 0
      fi
    };
    park(me, announced_in);
    if
    :: may_stop -> stopped = 1; goto stop
    :: true
    fi;
    goto again;
got:
#ifdef NESTED
    if
    :: me == 0 -> downgrade(r, w); read_unlock(r, w); goto next
    :: true
    fi;
#endif
    atomic {
      release(r);
      if
      :: !r -> goto next
      :: else -> r = 0
      fi
    };
    grant(r, w);
    goto next;
give_up:
    rounds = 0;
#ifndef SILENT_WRITER
    atomic {
      if
      :: writer -> writers_wait = 1
      :: else ->
        r = readers_wait;
        w = 1;
        writers_wait = 0;
        readers_wait = 0
      fi
    };
    wake_both(r, w);
#endif
next:
    skip
  od;
stop:
  finished++
}

/* A writer that does not wait, once. */
proctype trying()
{
  bit r, w;

  atomic {
    if
    :: FREE -> take(0)
    :: readers_next -> goto done /* a firm turn */
    :: else -> goto done
    fi
  };
  atomic {
    release(r);
    if
    :: !r -> goto done
    :: else -> r = 0
    fi
  };
  grant(r, w);
done:
  finished++
}

proctype reading(byte me; byte rounds; bit may_give_up; bit may_stop)
{
  byte announced_in;
  bit announced, r, w;
  bit lapses, lapsed;

  do
  :: rounds == 0 -> break
  :: rounds > 0 ->
again:
    atomic {
      if
      :: READER_MAY ->
        assert(!writer);
        readers++;
        rounds--;
        if
        :: announced ->
          announced = 0;
          readers_next = 0;
#ifndef LEFT_BEHIND
          r = readers_wait && !writers_wait;
          readers_wait = readers_wait && writers_wait
#endif
        :: else
        fi;
        goto got
      :: FREE && writers_wait && !readers_next && lapsed ->
        readers++;
        rounds--;
        announced = 0;
        lapsed = 0;
        r = readers_wait;
        w = 1;
#ifdef LAPSE_FOR_ONE
        r = 0;
#endif
        readers_wait = 0;
        writers_wait = 0;
        goto got
      :: writer && ABANDONED -> goto give_up
      :: else ->
        readers_wait = 1;
        announced = 1;
        announced_in = WORD;
#ifdef STOPPED_WRITER
        lapses = FREE;
        lapsed = 0
#endif
      fi
    };
    park(me, announced_in);
    if
    :: may_stop -> stopped = 1; goto stop
    :: true
    fi;
    goto again;
got:
    wake_both(r, w);
#ifdef NESTED
    /* Once more: it cannot wait for writers, which wait for it. */
    if
    :: me == WRITERS ->
      atomic {
#  ifdef NESTED_WAITS
        READER_MAY ->
#  endif
        assert(!writer);
        readers++
      };
      read_unlock(r, w)
    :: else
    fi;
#endif
    read_unlock(r, w);
    goto next;
give_up:
    rounds = 0;
#ifndef SILENT_READER
    atomic {
      r = readers_wait;
      w = readers_next && writers_wait;
      readers_wait = 0;
      readers_next = 0
    };
    wake_both(r, w);
#endif
next:
    skip
  od;
stop:
  finished++
}

/* The deadlock detector, once: cmap__shardlock_admit_readers. */
proctype admit()
{
  bit r, w;

  atomic {
    if
    :: !writer && readers_wait ->
      readers_wait = 0;
      readers_next = 1;
      r = 1
    :: else
    fi
  };
  wake_both(r, w);
  finished++
}

/* Takes the lock, if it can, and ends with it. */
proctype ending()
{
  atomic {
    if
    :: WRITER_MAY -> writer = 1
    :: READER_MAY -> readers++
    :: else -> goto done
    fi
  };
  abandoned = 1;
#ifndef QUIET_END
  wake_readers();
  d_step { asleep[0] = 0; asleep[1] = 0; asleep[2] = 0 };
#endif
done:
  finished++
}

proctype judge()
{
  finished == THREADS ->
    if
    /* It may be its turn. */
#ifdef STOPPED_WRITER
    :: stopped -> writers_wait = 0
#else
    :: stopped -> readers_next = 0
#endif
    :: else
    fi;
    assert(IS_ZERO || abandoned)
}

init
{
  atomic {
#ifdef MANY_WRITERS
    run writing(0, 1, 0, 0);
    run writing(1, 1, 0, 0);
    run writing(2, 1, 1, 0);
    run reading(3, 1, 0, 0);
#else
#  ifdef STOPPED_WRITER
    run writing(0, 1, 0, 1);
    run writing(1, 1, 0, 0);
#  else
    run writing(0, 1, 0, 0);
    run writing(1, 1, 1, 0);
#  endif
#  ifdef DETECTOR
    run admit();
    run reading(3, 2, 1, 0);
#  else
#    ifdef STOPPED
    run trying();
    run reading(3, 2, 0, 1);
#    else
#    ifdef ENDING
    run ending();
    run reading(3, 1, 0, 0);
#    else
    run reading(3, 1, 0, 0);
#      ifdef NESTED
    run trying();
#      else
#      ifdef STOPPED_WRITER
    run reading(4, 1, 0, 0);
#      else
    run reading(4, 1, 1, 0);
#      endif
#      endif
#    endif
#    endif
#  endif
#endif
    run judge()
  }
}
