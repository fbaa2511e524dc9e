/*
 * A header that is used again while a thread is about to sleep on its lock:
 * src/table/table.c, before_park, and src/table/pool.c, pop.
 *
 * The header's lock belongs to the keys A. A waiter finds it locked, announces
 * itself in the word, counts itself, looks at the directory and sleeps if the
 * word is what it was. Meanwhile the holder replaces the header; it is taken
 * for the keys B, and locked for them until the waiter has come through, by a
 * guard; another thread waits for that guard, so that the word looks as before.
 *
 * Claim: the waiter comes through (no end state with it asleep).
 *
 * With one of these the model is broken, and the checker finds the fault:
 *   -DNO_COUNT    who takes a header does not ask for those who sleep there
 *   -DCOUNT_LATE  the waiter looks at the directory, and then counts itself
 *   -DNO_DIRECTORY  the waiter does not look at the directory
 */
#define A 1
#define B 2

bit writer = 1; /* the header's lock */
bit wait_bit;
byte names = A; /* the keys for which the directory names the header; 0: none */
byte parked;    /* the header's count */
bit asleep[2];  /* the waiter for A; the one for B */
bit in_pool;
bit through; /* the waiter for A has gone on */
bit ended;   /* the guard of B */

/* Unlocks; wakes one, who wakes the next when it finds the lock not its own. */
inline unlock()
{
  atomic {
    writer = 0;
    if
    :: wait_bit -> wait_bit = 0; wake()
    :: else
    fi
  }
}

inline wake()
{
  if
  :: asleep[0] -> asleep[0] = 0
  :: asleep[1] -> asleep[1] = 0
  :: !asleep[0] && !asleep[1]
  fi
}

/* Waits for the lock of the keys; `mine`: the directory still named it. */
proctype waiting(byte me; byte keys)
{
  bit counted;

  do
  :: true ->
    if
    :: atomic { !writer -> wake(); break } /* takes it, or finds it dead */
    :: atomic { writer -> wait_bit = 1 }
    fi;
#ifdef COUNT_LATE
    if
    :: names != keys -> break
    :: else
    fi;
    atomic { parked = parked + !counted; counted = 1 };
#else
    atomic { parked = parked + !counted; counted = 1 };
#  ifndef NO_DIRECTORY
    if
    :: names != keys -> break
    :: else
    fi;
#  endif
#endif
    atomic {
      if
      :: writer && wait_bit -> asleep[me] = 1
      :: else
      fi
    };
    !asleep[me]
  od;
  /* Gives up, if it was announced for nothing: another answers for the rest. */
  atomic {
    if
    :: !writer -> wait_bit = 0; wake()
    :: else
    fi
  };
  atomic { parked = parked - counted; counted = 0 };
  through = through || me == 0
}

/* Holds A and replaces the header. */
proctype replacing()
{
  names = 0;
  unlock();
  in_pool = 1
}

/* Takes the header for B, if it may, and keeps a guard. */
proctype reusing()
{
  in_pool;
#ifndef NO_COUNT
  if
  :: parked != 0 -> goto done /* takes another one */
  :: else
  fi;
#endif
  atomic { !writer -> writer = 1 };
  names = B;
  run waiting(1, B);
  through; /* an unrelated guard, as long as it takes */
  unlock();
done:
  ended = 1
}

init
{
  atomic {
    run waiting(0, A);
    run replacing();
    run reusing()
  }
}
