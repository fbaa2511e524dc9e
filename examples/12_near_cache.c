/*
 * A cache in this process, in front of a Redis server, in front of the origin,
 * which is slow. A key that is missing is asked for once, however many threads
 * want it; without the store 64 threads would ask Redis 64 times, and the
 * origin too. It has a bound and a time to live, and Redis tells it what others
 * write: a thread listens, and removes the key, also while it is being read.
 * What was read then is handed out and not kept.
 *
 *     12_near_cache PORT          a Redis server on the loopback interface
 *
 * Prints, the Redis numbers from the server's own statistics,
 *     stampede threads=64 redis_gets=1 origin=1
 *     near gets=64000 redis_gets=1
 *     second_process redis_gets=2 origin=1
 *     written elsewhere: seen
 *     emptied elsewhere: seen, origin=2
 * ("second process": the near cache is emptied; Redis still has the value.)
 */
#include <cmap.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { THREADS = 64, ROUNDS = 1000 };

static struct cmap_store *near; /* char * by name */
static redisContext *redis;     /* guarded by redis_mutex */
static redisContext *listener;  /* the thread's */
static pthread_mutex_t redis_mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int origin_calls;

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

/* What the constructor may return besides. */
#define NO_REDIS  cmap_status_user(1)
#define NO_MEMORY cmap_status_user(2)

/* Where the truth is. Slow. */
static char *ask_origin(struct cmap_key key)
{
  const struct timespec slow = {0, 50000000};
  char *text = malloc(key.size + sizeof "value of ");

  atomic_fetch_add(&origin_calls, 1);
  nanosleep(&slow, NULL);
  if (text != NULL)
    sprintf(text, "value of %.*s", (int)key.size, (const char *)key.data);
  return text;
}

/* The value in Redis: *text is NULL if it has none. */
static enum cmap_status get_from_redis(struct cmap_key key, char **text)
{
  redisReply *reply;

  pthread_mutex_lock(&redis_mutex);
  reply = redisCommand(redis, "GET %b", key.data, key.size);
  pthread_mutex_unlock(&redis_mutex);
  if (reply == NULL)
    return NO_REDIS;
  *text = reply->type == REDIS_REPLY_STRING ? strdup(reply->str) : NULL;
  freeReplyObject(reply);
  return CMAP_OK;
}

/* A copy for other processes, for a minute. That it fails does not matter. */
static void set_in_redis(struct cmap_key key, const char *text)
{
  redisReply *reply;

  pthread_mutex_lock(&redis_mutex);
  reply = redisCommand(redis, "SET %b %s EX 60", key.data, key.size, text);
  pthread_mutex_unlock(&redis_mutex);
  if (reply != NULL)
    freeReplyObject(reply);
}

/* The constructor: no lock of the store's is held. The mutex around the
 * connection is held for one request, and calls nobody. */
static enum cmap_status read_through(struct cmap_key key, void **object,
                                     void *ctx)
{
  char *text = NULL;
  enum cmap_status status = get_from_redis(key, &text);

  (void)ctx;
  if (status != CMAP_OK)
    return status;
  if (text == NULL) {
    text = ask_origin(key);
    if (text == NULL)
      return NO_MEMORY;
    set_in_redis(key, text);
  }
  *object = text;
  return CMAP_OK;
}

static void destroy(void *object, void *ctx)
{
  (void)ctx;
  free(object);
}

/* Does nothing but wait for what Redis says was written. A message without keys
 * says that all are gone. */
static void *listen_for_writes(void *unused)
{
  redisReply *message;

  while (redisGetReply(listener, (void **)&message) == REDIS_OK) {
    if (message->type == REDIS_REPLY_ARRAY && message->elements == 3) {
      const redisReply *keys = message->element[2];
      if (keys->type == REDIS_REPLY_NIL)
        must(cmap_store_clear(near));
      for (size_t i = 0; i < keys->elements; i++) {
        struct cmap_key key =
            cmap_key_bytes(keys->element[i]->str, keys->element[i]->len);
        (void)!cmap_store_remove(near, key, NULL); /* it may not be here */
      }
    }
    freeReplyObject(message);
  }
  /* Nobody tells any more: a program that goes on clears, and connects. */
  return unused;
}

static redisContext *connect_to(const char *port)
{
  redisContext *to = redisConnect("127.0.0.1", atoi(port));

  if (to == NULL || to->err != 0) {
    fprintf(stderr, "no Redis server on port %s\n", port);
    exit(1);
  }
  return to;
}

/* A command whose answer is a number, or nothing. */
static long long ask(redisContext *of, const char *command, long long number)
{
  redisReply *reply = redisCommand(of, command, number);
  long long answer;

  if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
    exit(1);
  answer = reply->integer;
  freeReplyObject(reply);
  return answer;
}

/*
 * Redis tells the listener of the keys that other connections than ours write.
 * BCAST: of all keys. Without it Redis forgets who has read a key as soon as
 * this connection writes it, and says nothing of the next writer.
 */
static void track(const char *port, pthread_t *thread)
{
  long long id;

  listener = connect_to(port);
  id = ask(listener, "CLIENT ID", 0);
  ask(listener, "SUBSCRIBE __redis__:invalidate", 0);
  ask(redis, "CLIENT TRACKING ON REDIRECT %lld BCAST NOLOOP", id);
  if (pthread_create(thread, NULL, listen_for_writes, NULL) != 0)
    exit(1);
}

static bool get_is(const char *text)
{
  CMAP_AUTO(cmap_handle, handle);

  must(cmap_store_get_or_create(near, cmap_key_string("page"), &handle,
                                read_through, NULL, NULL));
  return strcmp(handle.object, text) == 0;
}

static bool get_is_right(void)
{
  return get_is("value of page");
}

/* Another client writes, and then empties the server. */
static void write_elsewhere(const char *port)
{
  redisContext *other = connect_to(port);

  ask(other, "SET page changed", 0);
  while (!get_is("changed"))
    sched_yield(); /* until the push is there */
  printf("written elsewhere: seen\n");
  ask(other, "FLUSHALL", 0);
  while (!get_is_right())
    sched_yield();
  printf("emptied elsewhere: seen, origin=%d\n", atomic_load(&origin_calls));
  redisFree(other);
}

static void *get_often(void *rounds)
{
  for (int i = 0; i < *(const int *)rounds; i++) {
    if (!get_is_right())
      exit(1);
  }
  return NULL;
}

static void run_threads(int rounds)
{
  pthread_t threads[THREADS];

  for (int i = 0; i < THREADS; i++) {
    if (pthread_create(&threads[i], NULL, get_often, &rounds) != 0)
      exit(1);
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
}

/* How many GETs the server has counted. */
static int redis_gets(void)
{
  redisReply *reply = redisCommand(redis, "INFO commandstats");
  const char *line;
  int calls = 0;

  if (reply == NULL)
    exit(1);
  line = strstr(reply->str, "cmdstat_get:calls=");
  if (line != NULL)
    calls = atoi(line + strlen("cmdstat_get:calls="));
  freeReplyObject(reply);
  return calls;
}

int main(int argc, char **argv)
{
  struct cmap_store_options options;
  pthread_t thread;
  bool right;

  if (argc != 2) {
    fprintf(stderr, "usage: 12_near_cache PORT\n");
    return 2;
  }
  redis = connect_to(argv[1]);
  cmap_store_options_init(&options, CMAP_STRING, destroy);
  options.max_objects = 10000;
  options.ttl_ns = UINT64_C(60) * 1000000000; /* as long as in Redis */
  must(cmap_store_create(&options, &near));
  track(argv[1], &thread);

  run_threads(1);
  right = redis_gets() == 1 && origin_calls == 1;
  printf("stampede threads=%d redis_gets=%d origin=%d\n", THREADS, redis_gets(),
         atomic_load(&origin_calls));

  run_threads(ROUNDS);
  right = right && redis_gets() == 1;
  printf("near gets=%d redis_gets=%d\n", THREADS * ROUNDS, redis_gets());

  must(cmap_store_clear(near));
  right = get_is_right() && right && redis_gets() == 2 && origin_calls == 1;
  printf("second_process redis_gets=%d origin=%d\n", redis_gets(),
         atomic_load(&origin_calls));

  write_elsewhere(argv[1]);
  shutdown(listener->fd, SHUT_RDWR); /* its thread ends */
  pthread_join(thread, NULL);
  redisFree(listener);
  must(cmap_store_destroy(near));
  redisFree(redis);
  return right ? 0 : 1;
}
