/*
 * Constructions in flight: one of each key, and what put, remove and the
 * others do to one, as the table of section 16 of cmap.h says. Scene by scene;
 * store_scene.h explains the scripts.
 */
#include "store_scene.h"

static const struct store_scene scenes[] = {
    /* Present, absent. */
    {"present", "a create S1 builds, a makes #1, a get S1 #1, b get S1 #1,"
                " b create S1 #1, b create S1 try #1, - len:1 S,"
                " - stats objects=1 hits=4 misses=1 done=1 failed=0"},
    {"absent", "a get S1 NOT_FOUND, a remove S1 NOT_FOUND,"
               " a forget S1 NOT_FOUND, a clear, - len:0 S,"
               " - stats hits=0 misses=1 done=0"},
    {"one builds", "a create S1 builds, b create S1 waits, c create S1 waits,"
                   " - stats running=1 waiters=2 objects=0 hits=0 misses=3,"
                   " a counts:2 S1, a makes #1, b resumes #1, c resumes #1,"
                   " - stats running=0 waiters=0 objects=1 done=1"},
    {"others go on", "a create S1 builds, b create S2 builds, c get S1"
                     " NOT_FOUND, c put S3, c get S3 #1, b makes #2,"
                     " c create S2 #2, d create T1 builds, d makes #3,"
                     " a makes #4, c get S1 #4, - len:3 S, - len:1 T"},
    {"removed", "a create S1 builds, a makes #1, b remove S1, - alive:1,"
                " - len:0 S, b get S1 NOT_FOUND, a releases, - dead:1"},
    {"replaced", "a put S1 #1, b put S1 #2, - alive:1, a get S1 #2,"
                 " a releases, - dead:1, b releases, - alive:2, - len:1 S,"
                 " - stats objects=1 hits=1"},
    {"stays in the store", "a put S1 #1, a releases, - alive:1, b get S1 #1,"
                           " b releases, - alive:1, b remove S1, - dead:1"},
    /* While it runs. */
    {"put", "a create S1 builds, b create S1 waits, c put S1 #1,"
            " b resumes #1, c get S1 #1, d create S1 #1, a makes #1, - dead:2,"
            " - len:1 S, - stats running=0 waiters=0"},
    {"put; it fails", "a create S1 builds, b create S1 waits, c put S1 #1,"
                      " b resumes #1, a fails:7 #1, c get S1 #1"},
    {"put by the constructor", "a create S1 builds, b create S1 waits,"
                               " a put S1 #1, b resumes #1, a makes #1,"
                               " - dead:2, - len:1 S"},
    {"put, then removed", "a create S1 builds, b put S1 #1, b remove S1,"
                          " b releases, - alive:1, c create S1 builds,"
                          " a makes #1, c makes #3, - dead:2, b get S1 #3,"
                          " a releases, - dead:1"},
    {"put twice", "a create S1 builds, b put S1 #1, b put S1 #2, a makes #1,"
                  " c get S1 #2, - dead:3"},
    {"removed while it runs", "a create S1 builds, b create S1 waits,"
                              " c remove S1, c get S1 NOT_FOUND,"
                              " c remove S1 NOT_FOUND, a counts:0 S1,"
                              " a makes #1, b resumes #1, c get S1 NOT_FOUND,"
                              " - len:0 S, a releases, - alive:1, b releases,"
                              " - dead:1"},
    {"removed; another comes", "a create S1 builds, b create S1 waits,"
                               " c remove S1, c create S1 builds,"
                               " d create S1 waits, c makes #1, d resumes #1,"
                               " a makes #2, b resumes #2, a get S1 #1,"
                               " - len:1 S"},
    {"removed; it ends first", "a create S1 builds, b create S1 waits,"
                               " c remove S1, c create S1 builds,"
                               " d create S1 waits, a makes #1, b resumes #1,"
                               " c counts:1 S1, c makes #2, d resumes #2,"
                               " a get S1 #2"},
    {"removed; it fails", "a create S1 builds, b create S1 waits, c remove S1,"
                          " a fails:7 7, b builds, c get S1 NOT_FOUND,"
                          " c create S1 builds, b makes #1, c makes #2,"
                          " a get S1 #2"},
    {"removed by itself", "a create S1 builds, a remove S1, a create S1 builds,"
                          " a makes #1, a makes #2, b get S1 #1"},
    {"forgotten", "a create S1 builds, b create S1 waits, c forget S1,"
                  " c forget S1 NOT_FOUND, c create S1 builds, a makes #1,"
                  " b resumes #1, c makes #2, d get S1 #2,"
                  " d forget S1 NOT_FOUND, d get S1 #2"},
    {"cleared", "a create S1 builds, b create S1 waits, c create S2 builds,"
                " d put S3 #1, e clear, - len:0 S, d releases, - dead:1,"
                " a makes #2, b resumes #2, c makes #3, d get S1 NOT_FOUND,"
                " d get S2 NOT_FOUND, - len:0 S"},
    {"cleared by the constructor", "a create S1 builds, a clear, a makes #1,"
                                   " b get S1 NOT_FOUND"},
    {"destroyed", "a create S1 builds, b destroy S BUSY, a destroy S BUSY,"
                  " b create S1 waits, c remove S1, c destroy S BUSY,"
                  " a makes #1, b resumes #1, c destroy S BUSY, a releases,"
                  " c destroy S BUSY, - alive:1"},
    {"handle lives", "a put S1 #1, b destroy S BUSY, b remove S1,"
                     " b destroy S BUSY, - alive:1, b get S1 NOT_FOUND"},
    /* Nothing was made. */
    {"no object", "a create S1 builds, a null EINVAL, b get S1 NOT_FOUND,"
                  " b create S1 builds, b makes #1"},
    {"no object, retry", "a create S1 builds, b create S1 waits,"
                         " a null EINVAL, b builds, b makes #1"},
    {"no object, share", "share | a create S1 builds, b create S1 waits,"
                         " c create S1 waits, a null EINVAL,"
                         " b resumes EINVAL, c resumes EINVAL"},
    /* Waiting. */
    {"deadline",
     "a create S1 builds, b create S1 soon waits,"
     " c create S1 waits, d create S1 late waits,"
     " b resumes TIMEDOUT, a counts:2 S1, - stats waiters=2,"
     " a makes #1, c resumes #1, d resumes #1, b create S1 soon #1"},
    {"nobody waits any more", "a create S1 builds, b create S1 soon waits,"
                              " b resumes TIMEDOUT, a counts:0 S1, a fails:7 7,"
                              " b get S1 NOT_FOUND, - stats waiters=0"},
    {"deadline behind the handover", "a create S1 builds,"
                                     " b create S1 late waits, a fails:7 7,"
                                     " b builds, b makes #1"},
    {"try", "a create S1 builds, b create S1 try BUSY, a counts:0 S1,"
            " b create S1 try soon BUSY, a create S1 try BUSY, a fails:7 7,"
            " b create S1 try builds, b makes #1, c create S1 try #1"},
    {"asks how many", "a create S1 builds, a counts:0 S1,"
                      " b create S1 waits, a counts:1 S1, c create S1 waits,"
                      " a counts:2 S1, a counts:0 S2, a counts:0 T1, a makes,"
                      " b resumes, c resumes, a counts:0 S1"},
    {"waits no more after a cancellation request",
     "a create S1 builds, b create S1 waits, - cancel:b, c get S2 NOT_FOUND,"
     " a counts:1 S1, a makes #1, b resumes #1, c create S1 #1"},
    {"cancelled waiter builds", "a create S1 builds, b create S1 waits,"
                                " c create S1 waits, - cancel:b, a makes #1,"
                                " b resumes #1, c resumes #1"},
};

int main(void)
{
  return store_scenes_run("store_flights", scenes,
                          sizeof scenes / sizeof *scenes, NULL, 0);
}
