/*
 * A read that has to look into two groups of a block, while the shard is
 * rebuilt back and forth between two blocks, or its entries find other groups
 * in the block that they are in: rule (b) of src/table/read.h.
 *
 * The home group of K0 is full of other keys. With each rebuild K0 is either
 * in its home group, or was passed on to the second one, and then the home
 * group has the overflow bit that sends readers after it. K0 is in the table
 * all the time, so that no read may miss.
 *
 * Each statement is one atomic step, under sequential consistency; that
 * acquire and release are enough on other machines is argued in
 * docs/memory-model.md.
 *
 * With one of these the model is broken, and the checker finds the fault:
 *   -DNO_HOME_CHECK       after the second group, nobody looks at the home
 *                         group's count again
 *   -DNO_OVERFLOW_BIT     a full home group does not remember whom it passed on
 *   -DNO_CLOSE            a replaced block stays stable
 *   -DSTABLE_REHOMING     entries find other groups while those are stable
 *   -DRESET_COUNTS        counts begin anew when a block is used again
 */
#ifndef ROUNDS
#define ROUNDS 3
#endif

#define STABLE(c) ((c) % 2 == 1)

/* Groups 0 and 1, home and second, are block 0; groups 2 and 3 are block 1. */
byte count[4];   /* odd is stable, even is busy */
bit holds[4];    /* the group holds K0 */
bit overflow[4]; /* the group has sent K0 on */
byte named;      /* the directory */

inline close(g)
{
#ifdef NO_CLOSE
  skip
#else
  count[g]++
#endif
}

inline publish(g)
{
#ifdef RESET_COUNTS
  count[g] = 1
#else
  if
  :: STABLE(count[g]) -> skip /* only if it was not closed */
  :: else -> count[g]++
  fi
#endif
}

/* K0 comes home, or there is no room any more when all are placed anew. */
inline rehome(g)
{
#ifndef STABLE_REHOMING
  close(g);
  close(g + 1);
#endif
  overflow[g] = 0;
  if
  :: holds[g + 1] ->
    holds[g] = 1; /* in both for a moment: nobody looks */
    holds[g + 1] = 0
  :: else ->
    overflow[g] = 1;
    holds[g + 1] = 1;
    holds[g] = 0
  fi;
#ifndef STABLE_REHOMING
  publish(g);
  publish(g + 1)
#endif
}

proctype writer()
{
  byte round, from, to;

  do
  :: round < ROUNDS ->
    rehome(2 * named);
    round++
  :: round < ROUNDS ->
    from = 2 * named;
    to = 2 - from;
    /* The new block is taken, wiped, and filled while it is busy. */
    holds[to] = 0;
    overflow[to] = 0;
    holds[to + 1] = 0;
    if
    :: holds[to] = 1
    ::
#ifndef NO_OVERFLOW_BIT
       overflow[to] = 1;
#endif
       holds[to + 1] = 1
    fi;
    close(from);
    close(from + 1);
    publish(to);
    publish(to + 1);
    named = to / 2;
    round++
  :: else -> break
  od
}

/* One group, as one look, search, and second look. Leaves at a hit. */
inline look_into(group, first)
{
  d_step { first = count[group]; sent_on = overflow[group] }; /* one word */
  if
  :: !STABLE(first) -> goto again
  :: else
  fi;
  if
  :: holds[group] ->
    if
    :: count[group] != first -> goto again
    :: else -> goto hit
    fi
  :: else
  fi;
  if
  :: 2 * named != home -> goto again
  :: else
  fi;
  if
  :: count[group] != first -> goto again
  :: else
  fi
}

proctype reader()
{
  byte home, home_count, second_count;
  bit sent_on;

again:
  home = 2 * named;
  look_into(home, home_count);
  if
  :: !sent_on -> goto miss
  :: else
  fi;
  look_into(home + 1, second_count);
#ifndef NO_HOME_CHECK
  if
  :: count[home] != home_count -> goto again
  :: else
  fi;
#endif
miss:
  assert(false);
hit:
  skip
}

init
{
  atomic {
    count[0] = 1;
    count[1] = 1;
    count[2] = 2;
    count[3] = 2;
    holds[1] = 1;
    overflow[0] = 1;
    run writer();
    run reader()
  }
}
