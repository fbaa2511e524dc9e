/*
 * A store that is a cache: its bound, its times, what is built anew while
 * others get the old object, and what on_remove is told. Scene by scene;
 * store_scene.h explains the scripts. Every scene checks that on_remove is told
 * of each object that was in the store, once.
 */
#include "store_scene.h"

static const struct store_scene scenes[] = {
    /* Told about it, without a bound. */
    {"removed", "a put S1 #1, - in:1, b remove S1, - left:1 DELETED, - alive:1,"
                " a releases, - dead:1, - stats removed=1"},
    {"replaced", "a put S1 #1, b put S1 #2, - left:1 REPLACED, - in:2,"
                 " c refresh S1 builds, c makes #3, - left:2 REPLACED,"
                 " - stats replaced=2"},
    {"cleared", "a put S1 #1, a put S2 #2, a clear, - left:1 CLEARED,"
                " - left:2 CLEARED, - stats cleared=2"},
    {"never there", "a create S1 builds, b remove S1, a makes #1, - in:1,"
                    " a releases, - dead:1, - in:1"},
    {"overtaken", "a create S1 builds, b put S1 #1, a makes #1, - dead:2,"
                  " - in:2, - in:1, - stats overtaken=1"},
    /* What a call has done. */
    {"origins", "a create S1 builds, b create S1 waits, a makes #1,"
                " - was:a BUILT, b resumes #1, - was:b WAITED, a get S1 #1,"
                " - was:a HIT, a create S1 #1, - was:a HIT, a put S1 #2,"
                " - was:a HIT, a refresh S1 builds, a makes #3, - was:a BUILT,"
                " b begin S2 YOURS, b complete S2 #4, - was:b BUILT,"
                " b begin S2 #4, - was:b HIT"},
    {"origin of what is overtaken", "a create S1 builds, b put S1 #1,"
                                    " a makes #1, - was:a WAITED"},
    /* The bound. */
    {"bound", "max:2 | a put S1 #1, a put S2 #2, a put S3 #3, - len:2 S,"
              " - left:1 EVICTED, - in:2, - alive:1, a releases, - dead:1,"
              " a get S1 NOT_FOUND, a get S2 #2, a get S3 #3,"
              " - stats evicted=1 cost=2"},
    {"hit stays", "max:2 | a put S1 #1, a put S2 #2, a get S1 #1, a put S3 #3,"
                  " - left:2 EVICTED, - in:1, a get S1 #1, a put S4 #4,"
                  " - in:1, - left:3 EVICTED"},
    {"replaced, not evicted", "max:2 | a put S1 #1, a put S2 #2, a put S2 #3,"
                              " - left:2 REPLACED, - in:1, a refresh S1 builds,"
                              " a makes #4, - left:1 REPLACED, - in:3,"
                              " - len:2 S, - stats evicted=0 cost=2"},
    {"removed makes room", "max:2 | a put S1 #1, a put S2 #2, a remove S1,"
                           " a put S3 #3, - in:2, - stats evicted=0 cost=2"},
    {"cleared makes room", "max:2 | a put S1 #1, a put S2 #2, a clear,"
                           " - stats cost=0, a put S3 #3, a put S4 #4,"
                           " - stats evicted=0 cost=2"},
    {"one", "max:1 | a create S1 builds, a create S2 builds, a makes #1,"
            " a makes #2, - left:1 EVICTED, - len:1 S, a get S1 #2"},
    {"constructions do not count",
     "max:1 | a put S1 #1, b create S2 builds, c create S3 builds, - in:1,"
     " b makes #2, - left:1 EVICTED, c makes #3, - left:2 EVICTED, - in:3,"
     " - len:1 S"},
    {"evicted while refreshed", "max:1 | a put S1 #1, b refresh S1 builds,"
                                " a put S2 #2, - left:1 EVICTED, b makes #3,"
                                " a get S1 NOT_FOUND, - in:3, a get S2 #2"},
    {"ticket", "max:1 | a put S1 #1, b begin S2 YOURS, - in:1,"
               " b complete S2 #2, - left:1 EVICTED"},
    {"failure evicts nothing", "max:1 negative | a put S1 #1,"
                               " a create S2 builds, a fails:7 7, - in:1,"
                               " a create S2 7, - stats remembered=1"},
    /* Time to live. */
    {"expires", "ttl:10 | a put S1 #1, - clock:9, a get S1 #1, - clock:10,"
                " b get S1 NOT_FOUND, - left:1 EXPIRED, - alive:1,"
                " a releases, - dead:1, - len:0 S, - stats expired=1"},
    {"expired is built", "ttl:10 | a put S1 #1, - clock:10, b create S1 builds,"
                         " - left:1 EXPIRED, c create S1 waits, b makes #2,"
                         " c resumes #2, - clock:19, c get S1 #2, - clock:20,"
                         " c get S1 NOT_FOUND"},
    {"since it was built", "ttl:10 | a create S1 builds, - clock:9, a makes #1,"
                           " - clock:18, a get S1 #1, - clock:19,"
                           " a get S1 NOT_FOUND"},
    {"expired is not there", "ttl:10 | a put S1 #1, - clock:10,"
                             " a remove S1 NOT_FOUND, - left:1 EXPIRED"},
    {"expired is replaced", "ttl:10 | a put S1 #1, - clock:10, a put S1 #2,"
                            " - left:1 REPLACED, - in:2"},
    {"expired by a ticket", "ttl:10 | a put S1 #1, - clock:10,"
                            " a begin S1 YOURS, - left:1 EXPIRED,"
                            " b begin S1 PENDING, a complete S1 #2,"
                            " - told:b #2"},
    {"goes with what comes", "ttl:10 | a put S1 #1, a put S2 #2, a put S3 #3,"
                             " - clock:10, a put S4 #4, - left:1 EXPIRED,"
                             " - left:2 EXPIRED, - left:3 EXPIRED, - in:4,"
                             " - len:1 S"},
    {"maintain", "ttl:10 | a put S1 #1, a put S2 #2, - clock:5, a put S3 #3,"
                 " a maintain, - in:1, - clock:10, a maintain,"
                 " - left:1 EXPIRED, - left:2 EXPIRED, - in:3, - clock:99,"
                 " a maintain, - left:3 EXPIRED, - len:0 S, a maintain"},
    {"maintain forgets", "negative ttl:10 | a create S1 builds, a fails:7 7,"
                         " - clock:3599, a maintain, - stats remembered=1,"
                         " a create S1 7, - clock:3600, a maintain,"
                         " - stats remembered=0"},
    {"nothing to maintain", "a put S1 #1, a maintain, - in:1"},
    {"an expired one is evicted as such",
     "max:2 ttl:10 | a put S1 #1, - clock:5, a put S2 #2, - clock:10,"
     " a put S3 #3, - left:1 EXPIRED, - in:2, - stats evicted=0"},
    /* Idle. */
    {"idle", "idle:16 | a put S1 #1, - clock:10, a get S1 #1, - clock:26,"
             " a get S1 #1, - clock:43, a get S1 NOT_FOUND,"
             " - left:1 EXPIRED"},
    {"idle, by get_or_create", "idle:16 | a put S1 #1, - clock:16,"
                               " a create S1 #1, - clock:32, a maintain,"
                               " - in:1, - clock:33, a create S1 builds,"
                               " a makes #2"},
    /* Stale while it is built anew. */
    {"stale", "stale:10 | a put S1 #1, - clock:9, a create S1 #1, - was:a HIT,"
              " - clock:10, b create S1 builds, a create S1 #1, - was:a STALE,"
              " c get S1 #1, - was:c STALE, b makes #2, - was:b BUILT,"
              " - left:1 REPLACED, a create S1 #2, - was:a HIT, - clock:19,"
              " a create S1 #2, - stats done=1 hits=5 misses=1"},
    {"stale, get does not build", "stale:10 | a put S1 #1, - clock:10,"
                                  " a get S1 #1, - was:a STALE,"
                                  " b create S1 builds, b makes #2"},
    {"stale, fails", "stale:10 | a put S1 #1, - clock:10, b create S1 builds,"
                     " b fails:7 #1, - was:b STALE, - in:1,"
                     " c create S1 builds, c makes #2, - stats failed=1"},
    {"stale, fails, remembered", "negative stale:10 | a put S1 #1, - clock:10,"
                                 " b create S1 builds, b fails:7 #1,"
                                 " c create S1 #1, - was:c HIT, - clock:3610,"
                                 " c create S1 builds, c makes #2"},
    {"stale, abandoned", "stale:10 | a put S1 #1, a releases, - clock:10,"
                         " b create S1 builds, b exits, c create S1 builds,"
                         " c makes #2, - dead:1, - stats abandoned=1"},
    {"stale, put meanwhile", "stale:10 | a put S1 #1, - clock:10,"
                             " b create S1 builds, a put S1 #2, b makes #2,"
                             " - was:b WAITED, - dead:3, a create S1 #2"},
    {"stale, put while it fails", "stale:10 | a put S1 #1, - clock:10,"
                                  " b create S1 builds, a put S1 #2,"
                                  " b fails:7 #2"},
    {"stale, removed meanwhile", "stale:10 | a put S1 #1, - clock:10,"
                                 " b create S1 builds, a remove S1,"
                                 " - left:1 DELETED, c create S1 builds,"
                                 " b makes #2, c makes #3, a create S1 #3,"
                                 " - in:2"},
    {"stale, refreshed meanwhile", "stale:10 | a put S1 #1, - clock:10,"
                                   " b create S1 builds, c refresh S1 builds,"
                                   " d refresh S1 builds, c makes #2,"
                                   " - left:1 REPLACED, a get S1 #2,"
                                   " b makes #2, - was:b WAITED, - dead:3,"
                                   " d makes #4, - in:4"},
    {"stale, refreshed beside a ticket",
     "stale:10 | a put S1 #1, - clock:10, b begin S1 YOURS,"
     " c refresh S1 builds, c makes #2, b complete S1 #2, - dead:3, - in:2"},
    {"refresh fails before it is stale",
     "negative idle:16000 stale:9000 | a put S1 #1, b refresh S1 builds,"
     " b fails:7 7,"
     " - clock:8999, c create S1 #1, - was:c HIT, - clock:9000,"
     " c create S1 builds, c makes #2"},
    {"refresh fails, stale soon",
     "negative stale:10 | a put S1 #1, b refresh S1 builds, b fails:7 7,"
     " - clock:10, c create S1 builds, c makes #2"},
    {"refresh, forgotten", "a put S1 #1, b refresh S1 builds,"
                           " c refresh S1 waits, a forget S1,"
                           " a forget S1 NOT_FOUND, b makes #2, c resumes #2,"
                           " - in:1, a get S1 #1, b releases, - alive:2,"
                           " c releases, - dead:2"},
    {"refresh, forgotten, and another",
     "a put S1 #1, b refresh S1 builds, a forget S1, c refresh S1 builds,"
     " c makes #2, - left:1 REPLACED, b makes #3, - in:2, a get S1 #2"},
    {"refresh, forgotten, ends first",
     "a put S1 #1, b refresh S1 builds, a forget S1, c refresh S1 builds,"
     " b makes #2, - in:1, d refresh S1 waits, c makes #3, d resumes #3,"
     " - left:1 REPLACED, - in:3"},
    {"stale, forgotten, fails", "negative stale:10 | a put S1 #1, - clock:10,"
                                " b create S1 builds, a forget S1,"
                                " b fails:7 #1, c create S1 builds,"
                                " c makes #2"},
    {"stale, built by a refresh", "stale:10 | a put S1 #1, - clock:10,"
                                  " b refresh S1 builds, c create S1 #1,"
                                  " - was:c STALE, b makes #2,"
                                  " c create S1 #2"},
    {"stale, refresh of one that is not", "stale:10 | a put S1 #1,"
                                          " b refresh S1 builds,"
                                          " c create S1 #1, - was:c HIT,"
                                          " - clock:5, b makes #2, - clock:14,"
                                          " c create S1 #2, - was:c HIT"},
    {"stale, then expired", "stale:10 ttl:20 | a put S1 #1, - clock:10,"
                            " b create S1 builds, - clock:20,"
                            " c get S1 NOT_FOUND, c maintain, - in:1,"
                            " c create S1 waits, d put S2 #2, - in:1,"
                            " b makes #3, c resumes #3, - left:1 REPLACED,"
                            " - stats done=1"},
    {"stale, then expired, fails", "stale:10 ttl:20 | a put S1 #1, - clock:10,"
                                   " b create S1 builds, - clock:20,"
                                   " c create S1 waits, b fails:7 #1,"
                                   " c builds, c makes #2, - len:1 S"},
    {"stale, by a ticket", "stale:10 | a put S1 #1, - clock:10,"
                           " b begin S1 YOURS, c begin S1 #1, - was:c STALE,"
                           " c create S1 #1, b complete S1 #2, - was:b BUILT,"
                           " - left:1 REPLACED, c begin S1 #2, - was:c HIT"},
    {"stale, ticket fails", "stale:10 | a put S1 #1, - clock:10,"
                            " b begin S1 YOURS, b ticketfails:7 S1,"
                            " c create S1 builds, c makes #2"},
    {"stale, ticket abandoned", "stale:10 | a put S1 #1, - clock:10,"
                                " b begin S1 YOURS, b binds S1, b ends,"
                                " c create S1 builds, c makes #2"},
    {"stale, evicted meanwhile", "stale:10 max:1 | a put S1 #1, - clock:10,"
                                 " b create S1 builds, a put S2 #2,"
                                 " - left:1 EVICTED, b makes #3, - in:3,"
                                 " a get S2 #2, a get S1 NOT_FOUND"},
    {"stale, in a circle", "stale:10 | a put S1 #1, a put S2 #2, - clock:10,"
                           " a create S1 builds, b create S2 builds,"
                           " a create S2 #2, b create S1 #1, a makes #3,"
                           " b makes #4"},
    {"stale, asks for itself", "stale:10 | a put S1 #1, - clock:10,"
                               " a create S1 builds, a create S1 #1,"
                               " - was:a STALE, a makes #2"},
};

int main(void)
{
  return store_scenes_run("store_cache", scenes, sizeof scenes / sizeof *scenes,
                          NULL, 0);
}
