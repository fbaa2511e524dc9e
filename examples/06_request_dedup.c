/*
 * Clients repeat a request when the answer is late. The first one to come does
 * the work; the others find its entry occupied: in work, or answered.
 *
 * The work is done with no lock held: the entry says "taken", not the lock.
 * The map is untyped, because the key is a part of a longer line. Eight threads
 * get the same hundred requests. Prints
 *     requests=800 worked=100 taken=... answered=...
 */
#include <cmap.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 8, REQUESTS = 100 };

struct request {
  bool answered;
  int answer;
};

/* What became of a request that came in. */
enum outcome { WORKED, TAKEN, ANSWERED };

static struct cmap *requests; /* struct request by request id */
static atomic_int outcomes[3];
static atomic_int work_done[REQUESTS]; /* how often; must be 1 */
static sem_t turned_away;              /* posted by who finds request 0 taken */

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

/* Takes the request if nobody has. The write lock is held inside only. */
static enum outcome take(struct cmap_key id, int *answer)
{
  CMAP_AUTO(cmap_entry, entry);
  const struct request *request;

  must(cmap_entry_begin(requests, id, &entry, NULL));
  request = entry.value;
  if (request == NULL) { /* vacant: ours; zeroes say "in work" */
    must(cmap_entry_or_default(&entry));
    return WORKED;
  }
  if (!request->answered)
    return TAKEN;
  *answer = request->answer;
  return ANSWERED;
}

/* Takes long, and holds no lock. */
static int work(int number)
{
  atomic_fetch_add(&work_done[number], 1);
  /* Request 0 takes so long that all others come meanwhile. */
  for (int i = 1; number == 0 && i < THREADS; i++)
    while (sem_wait(&turned_away) != 0)
      ; /* a signal came */
  return 2 * number;
}

static void handle(const char *line, int number)
{
  const struct cmap_key id = cmap_key_bytes(line, strcspn(line, " "));
  int answer = 2 * number;
  enum outcome outcome = take(id, &answer);

  if (outcome == WORKED) {
    /* If the work failed, cmap_remove would give the request free again. */
    struct request done = {.answered = true, .answer = work(number)};
    must(cmap_insert(requests, id, &done, NULL, NULL, NULL));
  } else if (outcome == TAKEN && number == 0) {
    sem_post(&turned_away);
  }
  if (answer != 2 * number)
    exit(1);
  atomic_fetch_add(&outcomes[outcome], 1);
}

static void *serve(void *unused)
{
  for (int number = 0; number < REQUESTS; number++) {
    char line[32];
    snprintf(line, sizeof line, "r%04d double %d", number, number);
    handle(line, number);
  }
  return unused;
}

int main(void)
{
  struct cmap_options options;
  pthread_t threads[THREADS];
  bool once = true;

  cmap_options_init(&options, CMAP_STRING, sizeof(struct request));
  must(cmap_create(&options, &requests));
  if (sem_init(&turned_away, 0, 0) != 0)
    return 1;
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, serve, NULL) != 0)
      exit(1);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  for (int number = 0; number < REQUESTS; number++)
    once = once && work_done[number] == 1;
  printf("requests=%d worked=%d taken=%d answered=%d\n", THREADS * REQUESTS,
         outcomes[WORKED], outcomes[TAKEN], outcomes[ANSWERED]);
  sem_destroy(&turned_away);
  cmap_destroy(requests);
  /* Request 0 alone turns seven away. */
  return once && outcomes[WORKED] == REQUESTS &&
                 outcomes[TAKEN] >= THREADS - 1 &&
                 outcomes[TAKEN] + outcomes[ANSWERED] ==
                     (THREADS - 1) * REQUESTS
             ? 0
             : 1;
}
