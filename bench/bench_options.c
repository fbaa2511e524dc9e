/*
 * The command line.
 */
#include "harness.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static void usage(FILE *to)
{
  fputs("Usage: cmap_bench [OPTION ...]\n"
        "Measures maps on workloads, and holds their results against each "
        "other.\n\n"
        "  --quick          the selection of bench/run (this is the default)\n"
        "  --full           everything; takes hours\n"
        "  --shapes         many shapes of keys and values; takes an hour\n"
        "  --shape LIST     these shapes, such as u32:4 (bytes of a key, a "
        "value)\n"
        "  --workload LIST  which workloads; without --quick and --full, by\n"
        "                   default 1000 and 1000000 keys, 1 and 2 threads\n"
        "  --impl LIST      which maps (default: all)\n"
        "  --keys LIST      sizes\n"
        "  --threads LIST   numbers of threads\n"
        "  --rounds N       rounds of each (default: 5)\n"
        "  --ops N          operations of a round (default: 4000000)\n"
        "  --seed N         of the traces (default: 1)\n"
        "  --limit SECONDS  begin no row after this time (default: none)\n"
        "  --csv FILE       write the results to FILE\n"
        "  --append         do not empty FILE first\n"
        "  --list           name all workloads and maps\n"
        "  --maps           the maps for a program: name, whose it is (cmap,\n"
        "                   peer, or - for those that are in no sum), name in\n"
        "                   words, remarks; tabs in between\n"
        "  --help           this text\n\n"
        "A LIST has commas. The exit status is 1 if a map failed or did not "
        "agree with\nthe others. CMAP_BENCH_TREE is the folder whose words are "
        "read, /usr/include\nif it is not set.\n",
        to);
}

static void list(void)
{
  puts("workloads:");
  for (const struct workload *w = bench_workloads; w->name != NULL; w++)
    printf("  %-17s %s\n", w->name, w->what);
  printf("  %-17s %s\n", "pause", "percentiles of single inserts, from empty");
  printf("  %-17s %s\n", "memory", "bytes per entry, of many sizes");
  puts("shapes:");
  for (size_t i = 0; i < SHAPES; i++)
    printf("  %-17s %s keys of %zu bytes, values of %zu\n",
           bench_shapes[i].name, bench_shapes[i].what, bench_shapes[i].key_size,
           bench_shapes[i].value_size);
  puts("maps:");
  for (const struct impl *const *i = bench_impls; *i != NULL; i++) {
    printf("  %-17s ", (*i)->name);
    if ((*i)->missing != NULL)
      printf("MISSING: %s\n", (*i)->missing);
    else
      printf("%s; hash: %s\n", (*i)->what, (*i)->hash ? (*i)->hash : "its own");
  }
}

/* What bench/report.sh reads, so that it takes nobody for a peer who is not. */
static void list_maps(void)
{
  for (const struct impl *const *i = bench_impls; *i != NULL; i++) {
    const struct impl *impl = *i;
    const char *whose = bench_is_peer(impl)       ? "peer"
                        : impl->role == ROLE_CMAP ? "cmap"
                                                  : "-";
    printf("%s\t%s\t%s\t%s%s\n", impl->name, whose, impl->title,
           impl->missing != NULL ? "not in this build: " : impl->what,
           impl->missing != NULL ? impl->missing : "");
  }
}

bool bench_is_listed(const char *names, const char *name)
{
  size_t n = strlen(name);

  if (names == NULL)
    return true;
  for (const char *p = names; (p = strstr(p, name)) != NULL; p += n) {
    if ((p == names || p[-1] == ',') && (p[n] == ',' || p[n] == '\0'))
      return true;
  }
  return false;
}

/* What a list is of. */
enum names { WORKLOADS, IMPLS, SHAPE_NAMES };

static bool is_known(const char *name, enum names what)
{
  for (size_t i = 0; what == SHAPE_NAMES && i < SHAPES; i++) {
    if (strcmp(bench_shapes[i].name, name) == 0)
      return true;
  }
  if (what == SHAPE_NAMES)
    return false;
  if (what == IMPLS) {
    for (const struct impl *const *i = bench_impls; *i != NULL; i++) {
      if (strcmp((*i)->name, name) != 0)
        continue;
      if ((*i)->missing != NULL)
        fprintf(stderr, "cmap_bench: going on without %s: %s\n", name,
                (*i)->missing);
      return true;
    }
    return false;
  }
  for (const struct workload *w = bench_workloads; w->name != NULL; w++) {
    if (strcmp(w->name, name) == 0)
      return true;
  }
  return bench_is_listed("pause,memory", name);
}

static const char *check_names(const char *names, enum names what)
{
  char *copy = strdup(names);

  if (copy == NULL || *copy == '\0')
    exit(2);
  for (char *name = strtok(copy, ","); name; name = strtok(NULL, ",")) {
    if (!is_known(name, what)) {
      fprintf(stderr, "cmap_bench: there is no '%s'; see --list\n", name);
      exit(2);
    }
  }
  free(copy);
  return names;
}

static size_t parse_numbers(const char *text, size_t max, size_t *numbers,
                            size_t room)
{
  const char *rest = text;
  size_t n = 0;

  for (;;) {
    char *end;
    unsigned long long number;
    errno = 0;
    number = strtoull(rest, &end, 10);
    if (end == rest || *rest < '0' || *rest > '9' || errno != 0 ||
        number == 0 || number > max || n == room ||
        (*end != ',' && *end != '\0')) {
      fprintf(stderr, "cmap_bench: '%s' is not %s from 1 to %zu; see --help\n",
              text, room > 1 ? "a list of numbers" : "a number", max);
      exit(2);
    }
    numbers[n++] = (size_t)number;
    if (*end == '\0')
      return n;
    rest = end + 1;
  }
}

/* The list ends with 0. */
static void parse_list(const char *text, size_t max, size_t *numbers)
{
  numbers[parse_numbers(text, max, numbers, BENCH_LIST_MAX)] = 0;
}

static size_t parse_number(const char *text, size_t max)
{
  size_t number;

  parse_numbers(text, max, &number, 1);
  return number;
}

static void set_option(int option, struct plan *plan)
{
  switch (option) {
  case 'w':
    plan->workloads = check_names(optarg, WORKLOADS);
    break;
  case 'i':
    plan->impls = check_names(optarg, IMPLS);
    break;
  case 'q':
    plan->parts = bench_quick;
    break;
  case 'f':
    plan->parts = bench_full;
    break;
  case 'x':
    plan->parts = bench_shaped;
    break;
  case 'y':
    plan->shapes = check_names(optarg, SHAPE_NAMES);
    break;
  case 'k':
    parse_list(optarg, 1000000000, plan->keys);
    break;
  case 't':
    parse_list(optarg, 1024, plan->threads);
    break;
  case 'r':
    plan->rounds = (unsigned)parse_number(optarg, 10000);
    break;
  case 'o':
    plan->ops = parse_number(optarg, 1000000000);
    break;
  case 's':
    plan->seed = parse_number(optarg, 1000000000);
    break;
  case 'm':
    plan->limit = (double)parse_number(optarg, 1000000);
    break;
  case 'c':
    plan->csv = optarg;
    break;
  case 'a':
    plan->append = true;
    break;
  case 'l':
    list();
    exit(0);
  case 'p':
    list_maps();
    exit(0);
  case 'h':
    usage(stdout);
    exit(0);
  default:
    usage(stderr);
    exit(2);
  }
}

void bench_options(int argc, char **argv, struct plan *plan)
{
  static const struct option options[] = {
      {"quick", no_argument, NULL, 'q'},
      {"full", no_argument, NULL, 'f'},
      {"shapes", no_argument, NULL, 'x'},
      {"shape", required_argument, NULL, 'y'},
      {"workload", required_argument, NULL, 'w'},
      {"impl", required_argument, NULL, 'i'},
      {"keys", required_argument, NULL, 'k'},
      {"threads", required_argument, NULL, 't'},
      {"rounds", required_argument, NULL, 'r'},
      {"ops", required_argument, NULL, 'o'},
      {"seed", required_argument, NULL, 's'},
      {"limit", required_argument, NULL, 'm'},
      {"csv", required_argument, NULL, 'c'},
      {"append", no_argument, NULL, 'a'},
      {"list", no_argument, NULL, 'l'},
      {"maps", no_argument, NULL, 'p'},
      {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  /* What is run if workloads are named, but no selection. */
  static struct part named[] = {
      {.keys = {1000, 1000000}, .threads = {1, 2}},
      {.workloads = NULL},
  };
  int option;

  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
    set_option(option, plan);
  if (optind != argc) {
    usage(stderr);
    exit(2);
  }
  named[0].workloads =
      plan->workloads != NULL ? plan->workloads : bench_shaped_workloads;
  named[0].shapes = plan->shapes;
  if (plan->parts == NULL)
    plan->parts =
        plan->workloads != NULL || plan->shapes != NULL ? named : bench_quick;
}
