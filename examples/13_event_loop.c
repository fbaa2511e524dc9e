/*
 * An event loop that must never block: a thousand requests for ten keys, whose
 * objects take 20 ms each to build. The loop's thread asks with
 * cmap_store_begin, which never waits:
 *
 *   present   answers at once
 *   yours     hands the ticket to a worker thread, which completes it
 *   pending   goes on; notify puts the request on the list of those done, and
 *             an eventfd wakes the loop
 *
 * A timer of the same loop ticks every millisecond, to show that it runs.
 * Prints
 *     requests=1000 answered=1000 built=10 ticks_while_building=...
 */
#include <cmap.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { REQUESTS = 1000, KEYS = 10, WORKERS = 2, BUILD_MS = 20 };

struct request {
  uint64_t key;
  struct cmap_handle handle; /* the answer */
  struct cmap_ticket ticket; /* for the worker */
  struct request *next;
};

/* A list of requests from one thread to another. */
struct queue {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  struct request *first; /* guarded by mutex */
  bool closed;           /* guarded by mutex */
};

static struct cmap_store *store; /* uint64_t by number */
static struct queue to_build = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                                .changed = PTHREAD_COND_INITIALIZER};
static struct queue done = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                            .changed = PTHREAD_COND_INITIALIZER};
static int done_event; /* wakes the loop */
static atomic_int built;

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

static void system_must(int result)
{
  if (result >= 0)
    return;
  perror("13_event_loop");
  exit(1);
}

static void push(struct queue *queue, struct request *request)
{
  pthread_mutex_lock(&queue->mutex);
  request->next = queue->first;
  queue->first = request;
  pthread_cond_signal(&queue->changed);
  pthread_mutex_unlock(&queue->mutex);
}

/* Waits for a request; NULL: the queue was closed. */
static struct request *pop(struct queue *queue)
{
  struct request *request;

  pthread_mutex_lock(&queue->mutex);
  while (queue->first == NULL && !queue->closed)
    pthread_cond_wait(&queue->changed, &queue->mutex);
  request = queue->first;
  if (request != NULL)
    queue->first = request->next;
  pthread_mutex_unlock(&queue->mutex);
  return request;
}

static void answer_later(struct request *request)
{
  const uint64_t one = 1;

  push(&done, request);
  if (write(done_event, &one, sizeof one) != (ssize_t)sizeof one)
    system_must(-1);
}

/* The construction has ended, on a worker's thread; no lock is held. The
 * handle is ours to keep. */
static void notify(enum cmap_status status, struct cmap_handle *handle,
                   void *ctx)
{
  struct request *request = ctx;

  must(status);
  request->handle = *handle;
  answer_later(request);
}

static void *work(void *arg)
{
  const struct timespec slow = {0, BUILD_MS * 1000000L};
  struct request *request;

  (void)arg;
  while ((request = pop(&to_build)) != NULL) {
    uint64_t *object = malloc(sizeof *object);
    if (object == NULL)
      exit(1);
    must(cmap_ticket_bind(&request->ticket)); /* we are the builder now */
    nanosleep(&slow, NULL);
    *object = request->key * request->key;
    atomic_fetch_add(&built, 1);
    must(cmap_ticket_complete(&request->ticket, object, &request->handle));
    answer_later(request);
  }
  return NULL;
}

/* Checks an answer. */
static int answer(struct request *request)
{
  const uint64_t *object = request->handle.object;
  int right = *object == request->key * request->key;

  cmap_handle_release(&request->handle);
  return right;
}

/* A request comes in. Returns the answers that were given. */
static int begin(struct request *request)
{
  enum cmap_begin outcome;

  must(cmap_store_begin(store, cmap_key_u64(&request->key), &request->handle,
                        &request->ticket, &outcome, notify, request, NULL));
  if (outcome == CMAP_PRESENT)
    return answer(request);
  if (outcome == CMAP_YOURS)
    push(&to_build, request);
  return 0;
}

/* Answers all that are done. */
static int answer_done(void)
{
  struct request *request;
  int answers = 0;

  pthread_mutex_lock(&done.mutex);
  request = done.first;
  done.first = NULL;
  pthread_mutex_unlock(&done.mutex);
  while (request != NULL) {
    struct request *next = request->next;
    answers += answer(request);
    request = next;
  }
  return answers;
}

/* A descriptor that becomes readable every millisecond. */
static int make_timer(void)
{
  const struct itimerspec every_ms = {{0, 1000000}, {0, 1000000}};
  int timer = timerfd_create(CLOCK_MONOTONIC, 0);

  system_must(timer);
  system_must(timerfd_settime(timer, 0, &every_ms, NULL));
  return timer;
}

static void watch(int epoll, int fd)
{
  struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};

  system_must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

/* Every tick brings 100 requests, until all have come; ends when all are
 * answered. */
static int loop(struct request *requests, int *ticks)
{
  int epoll = epoll_create1(0), timer = make_timer();
  int begun = 0, answered = 0;

  system_must(epoll);
  watch(epoll, timer);
  watch(epoll, done_event);
  while (answered < REQUESTS) {
    struct epoll_event event;
    uint64_t number;
    system_must(epoll_wait(epoll, &event, 1, -1));
    if (read(event.data.fd, &number, sizeof number) != (ssize_t)sizeof number)
      system_must(-1);
    if (event.data.fd == done_event) {
      answered += answer_done();
      continue;
    }
    *ticks += atomic_load(&built) < KEYS;
    for (int i = 0; i < 100 && begun < REQUESTS; i++, begun++) {
      requests[begun].key = (uint64_t)(begun % KEYS);
      answered += begin(&requests[begun]);
    }
  }
  close(timer);
  close(epoll);
  return answered;
}

static void destroy(void *object, void *ctx)
{
  (void)ctx;
  free(object);
}

int main(void)
{
  static struct request requests[REQUESTS];
  struct cmap_store_options options;
  pthread_t workers[WORKERS];
  int answered, ticks = 0;

  cmap_store_options_init(&options, CMAP_U64, destroy);
  must(cmap_store_create(&options, &store));
  done_event = eventfd(0, 0);
  system_must(done_event);
  for (int i = 0; i < WORKERS; i++) {
    if (pthread_create(&workers[i], NULL, work, NULL) != 0)
      exit(1);
  }
  answered = loop(requests, &ticks);
  pthread_mutex_lock(&to_build.mutex);
  to_build.closed = true;
  pthread_cond_broadcast(&to_build.changed);
  pthread_mutex_unlock(&to_build.mutex);
  for (int i = 0; i < WORKERS; i++)
    pthread_join(workers[i], NULL);
  printf("requests=%d answered=%d built=%d ticks_while_building=%d\n", REQUESTS,
         answered, atomic_load(&built), ticks);
  close(done_event);
  must(cmap_store_destroy(store));
  return answered == REQUESTS && built == KEYS && ticks > 0 ? 0 : 1;
}
