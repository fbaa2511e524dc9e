/*
 * OpenJDK's ConcurrentHashMap, in a virtual machine of its own.
 *
 * A round starts `java`, sends it the traces, and reads what it measured, after
 * a warm-up. The garbage collector is the parallel one, which costs the
 * program's threads the least. What is not comparable: keys and values are
 * objects, a String remembers its hash from one map of a round to the next,
 * memory that is given up may be collected when nobody measures, and the whole
 * job has been run before. So it is marked, and does not count as the best
 * peer.
 */
#include "peers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Maps that a turn has at most, and the keys in all of them together: as in
 * the rounds of the other maps. */
#define TURN_MAPS 32
#define TURN_KEYS ((size_t)32768)

/* Room for a decimal number of 64 bits. */
#define DIGITS 24

static const char *const loop_names[] = {
    [LOOP_GET] = "get",
    [LOOP_INSERT] = "insert",
    [LOOP_REMOVE] = "remove",
    [LOOP_MIXED] = "mixed",
    [LOOP_COUNT] = "count",
    [LOOP_GET_BATCH] = "get",
    [LOOP_INSERT_BATCH] = "insert",
    [LOOP_ITERATE] = "iterate",
    [LOOP_READ_GUARD] = "",
    [LOOP_WRITE_GUARD] = "",
    [LOOP_STRING_GET] = "string_get",
    [LOOP_STRING_COUNT] = "string_count",
    [LOOP_STRING_ENTRY] = "string_entry",
    [LOOP_STRING_CHECK_INSERT] = "string_check_insert",
};

/* Numbers go in the processor's order of bytes, which is read as
 * little-endian. */
static void send(FILE *to, const void *data, size_t size)
{
  if (size > 0 && fwrite(data, size, 1, to) != 1)
    exit(1);
}

static void send_number(FILE *to, uint64_t number)
{
  send(to, &number, sizeof number);
}

static void send_trace(FILE *to, const struct trace *trace)
{
  size_t ops = trace->ops == NULL ? 0 : trace->count;

  send_number(to, trace->count);
  send(to, trace->keys, trace->count * sizeof *trace->keys);
  send_number(to, ops);
  send(to, trace->ops, ops);
}

static void send_strings(FILE *to, const struct string_trace *trace)
{
  send_number(to, trace->count);
  for (size_t i = 0; i < trace->count; i++) {
    send_number(to, trace->keys[i].size);
    send(to, trace->keys[i].data, trace->keys[i].size);
  }
}

static void send_job(FILE *to, const struct bench_job *job)
{
  static const struct trace no_trace; /* of LOOP_ITERATE */

  if (job->loop >= LOOP_STRING_GET) {
    send_strings(to, &job->string_fill);
    send_strings(to, &job->string_check);
    for (unsigned t = 0; t < job->threads; t++)
      send_strings(to, &job->string_traces[t]);
    return;
  }
  send_trace(to, &job->fill);
  send_trace(to, &job->check);
  for (unsigned t = 0; t < job->threads; t++)
    send_trace(to, job->traces == NULL ? &no_trace : &job->traces[t]);
}

/* Becomes the virtual machine, between the two pipes. */
_Noreturn static void run_java(const struct bench_job *job, int in, int out)
{
  char numbers[4][DIGITS];
  size_t turn = TURN_KEYS / (job->keys == 0 ? 1 : job->keys);

  turn = turn < 1 ? 1 : turn > TURN_MAPS ? TURN_MAPS : turn;
  snprintf(numbers[0], DIGITS, "%u", job->threads);
  snprintf(numbers[1], DIGITS, "%zu", job->maps);
  snprintf(numbers[2], DIGITS, "%zu", turn);
  snprintf(numbers[3], DIGITS, "%zu", job->passes);
  if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
    _exit(1);
  execl(PEER_JAVA, "java", "-XX:+UseParallelGC", "-XX:-UsePerfData", "-cp",
        PEER_CLASSES, "Peer", loop_names[job->loop], numbers[0], numbers[1],
        numbers[2], numbers[3], (char *)NULL);
  _exit(1);
}

static void run_round(const struct bench_job *job, struct sample *sample)
{
  int to_java[2];
  int from_java[2];
  uint64_t ns = 0;
  pid_t child;
  FILE *to;
  FILE *from;

  if (pipe(to_java) != 0 || pipe(from_java) != 0)
    exit(1);
  child = fork();
  if (child == 0) {
    close(to_java[1]);
    close(from_java[0]);
    run_java(job, to_java[0], from_java[1]);
  }
  close(to_java[0]);
  close(from_java[1]);
  to = fdopen(to_java[1], "w");
  from = fdopen(from_java[0], "r");
  if (child < 0 || to == NULL || from == NULL)
    exit(1);
  send_job(to, job);
  fclose(to);
  sample->ok = fscanf(from, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &ns,
                      &sample->checksum, &sample->len, &sample->content) == 4;
  fclose(from);
  waitpid(child, NULL, 0);
  sample->seconds = (double)ns * 1e-9;
}

/* The tables only say what there is; run_round() does it all. */
static void *never_create(size_t keys)
{
  (void)keys;
  abort();
}

static void never_destroy(void *map)
{
  (void)map;
  abort();
}

static size_t never_len(void *map)
{
  (void)map;
  abort();
}

static uint64_t never_loop(void *map, const struct trace *trace)
{
  (void)map;
  (void)trace;
  abort();
}

static uint64_t never_iterate(void *map)
{
  (void)map;
  abort();
}

static uint64_t never_string_loop(void *map, const struct string_trace *trace)
{
  (void)map;
  (void)trace;
  abort();
}

static const struct impl_u64 u64 = {
    .create = never_create,
    .destroy = never_destroy,
    .len = never_len,
    .get = never_loop,
    .insert = never_loop,
    .remove = never_loop,
    .mixed = never_loop,
    .count = never_loop,
    .iterate = never_iterate,
};

static const struct impl_string string = {
    .create = never_create,
    .destroy = never_destroy,
    .len = never_len,
    .get = never_string_loop,
    .count = never_string_loop,
    .entry = never_string_loop,
    .check_insert = never_string_loop,
};

const struct impl bench_impl_java = {
    .name = "java",
    .title = "OpenJDK ConcurrentHashMap",
    .what = "ConcurrentHashMap of OpenJDK " PEER_VERSION ", warmed up",
    .hash = "hashCode() of Long and String",
    .u64 = &u64,
    .string = &string,
    .round = run_round,
    .mark = "JVM",
};
