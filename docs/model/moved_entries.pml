/*
 * Readers without a lock while entries move between blocks that are used
 * again: src/table/read.h against src/table/replace.h.
 *
 * A shard of one group is split in two and merged again, round after round,
 * by one writer. K0 is in the table all the time, K1 is put and taken; the
 * hash bit that tells them apart is what the split goes by. There are three
 * blocks of one group each: one for both keys and two for the halves, whose
 * parts the writer chooses anew in each round.
 *
 * Claims, asserted by the readers:
 *   a read of K0 never misses;
 *   a read of K1 during which K1 was neither put nor taken finds it if and
 *   only if it is there.
 *
 * Each statement is one atomic step, under sequential consistency; that
 * acquire and release are enough on other machines is argued in
 * docs/memory-model.md. What a lock protects from other writers is left out:
 * there is one writer.
 *
 * With one of these the model is broken, and the checker finds the fault:
 *   -DNO_DIRECTORY_CHECK    a miss does not ask the directory again
 *   -DDIRECTORY_BEFORE      it asks before the first look at the count
 *   -DDIRECTORY_AFTER       it asks after the second look
 *   -DNO_SECOND_LOOK        a hit or miss does not look at the count again
 *   -DBUSY_IS_READ          a busy group is searched as if it were stable
 *   -DRESET_COUNTS          counts begin anew when a block is used again
 *   -DNO_CLOSE              a replaced block stays stable
 *   -DNO_SECTION            K1 is taken without making its group busy
 *   -DPUBLISH_FIRST         new blocks are shown before they are filled
 */
#ifndef ROUNDS
#define ROUNDS 3
#endif

#define STABLE(c) ((c) % 2 == 1)

byte count[3]; /* of each block's group: odd is stable, even is busy */
bit k0[3];     /* the block holds K0 */
bit k1[3];     /* the block holds K1 */
byte named[2]; /* the directory: the block of K0's hash, and of K1's */

bit there;    /* is K1 in the table? */
byte changes; /* of that */

/* The table's operations on K1, as sections of its group. */
inline put_k1(b)
{
  count[b]++;
  k1[b] = 1;
  d_step { there = 1; changes++ };
  count[b]++
}

inline take_k1(b)
{
#ifdef NO_SECTION
  d_step { k1[b] = 0; there = 0; changes++ }
  k1[b] = 1; /* the slot's memory is used for something else */
  k1[b] = 0
#else
  count[b]++;
  k1[b] = 0;
  d_step { there = 0; changes++ };
  count[b]++
#endif
}

/* A block's group from stable to busy, and back. */
inline close(b)
{
#ifndef NO_CLOSE
  count[b]++
#else
  skip
#endif
}

inline publish(b)
{
#ifdef RESET_COUNTS
  count[b] = 1
#else
  if
  :: STABLE(count[b]) -> skip /* only if it was not closed */
  :: else -> count[b]++
  fi
#endif
}

inline fill_halves()
{
  k0[low] = 1;
  k1[low] = 0;
  k0[high] = 0;
  k1[high] = k1[0]
}

inline name_halves()
{
  publish(low);
  publish(high);
  named[0] = low;
  named[1] = high
}

inline split()
{
#ifdef PUBLISH_FIRST
  name_halves();
  fill_halves();
  close(0)
#else
  fill_halves();
  close(0);
  name_halves()
#endif
}

inline merge()
{
  k0[0] = k0[low];
  k1[0] = k1[high];
  close(low);
  close(high);
  publish(0);
  named[0] = 0;
  named[1] = 0;
  /* Free blocks are wiped when they are taken, at the latest. */
  d_step { k0[low] = 0; k1[low] = 0; k0[high] = 0; k1[high] = 0 }
}

proctype writer()
{
  byte round, low, high;

  do
  :: round < ROUNDS ->
    put_k1(0);
    if
    :: low = 1; high = 2
    :: low = 2; high = 1
    fi;
    split();
    if
    :: take_k1(high)
    :: skip
    fi;
    merge();
    if
    :: there -> take_k1(0)
    :: else
    fi;
    round++
  :: else -> break
  od
}

/*
 * One read: `found` is its answer. `holds` is k0[block] or k1[block]; `half`, 0
 * or 1, is the key's bit. It may leave by goto again.
 */
inline read(holds, half)
{
  block = named[half];
#ifdef DIRECTORY_BEFORE
  if
  :: named[half] != block -> goto again
  :: else
  fi;
#endif
  first = count[block];
#ifndef BUSY_IS_READ
  if
  :: !STABLE(first) -> goto again
  :: else
  fi;
#endif
  found = holds;
#if !defined(NO_DIRECTORY_CHECK) && !defined(DIRECTORY_BEFORE) && \
    !defined(DIRECTORY_AFTER)
  if
  :: !found && named[half] != block -> goto again
  :: else
  fi;
#endif
#ifndef NO_SECOND_LOOK
  if
  :: count[block] != first -> goto again
  :: else
  fi;
#endif
#ifdef DIRECTORY_AFTER
  if
  :: !found && named[half] != block -> goto again
  :: else
  fi;
#endif
}

proctype reader_of_k0()
{
  byte block, first;
  bit found;

again:
  read(k0[block], 0);
  assert(found)
}

proctype reader_of_k1()
{
  byte block, first, before;
  bit found, expected;

  d_step { before = changes; expected = there };
again:
  read(k1[block], 1);
  d_step {
    if
    :: changes == before -> assert(found == expected)
    :: else
    fi
  }
}

init
{
  atomic {
    count[0] = 1;
    count[1] = 2;
    count[2] = 2;
    k0[0] = 1;
    run writer();
    /* Readers write nothing that others see: one at a time is enough. */
    if
    :: run reader_of_k0()
    :: run reader_of_k1()
    fi
  }
}
