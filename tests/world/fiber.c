#include "fiber.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "world.h"

enum { STACK_BYTES = 256 * 1024, VARIABLES = 64 };

/* A thread-local variable, as the compiler describes it. */
struct variable {
  size_t size;
  size_t align;
  uintptr_t number; /* ours; 0: not met yet */
  const void *initial;
};

static struct {
  char *stack;
  void (*act)(void);
  bool has_entered; /* `entry` is set, for good */
  jmp_buf entry, at;
  jmp_buf *next; /* where it goes on: one of these; NULL: by entering */
  void *local[VARIABLES];
} fibers[FIBER_MAIN + 1];

static struct variable *variables[VARIABLES];
static unsigned variable_count;

unsigned fiber_running = FIBER_MAIN;

static void enter(void)
{
  fibers[fiber_running].has_entered = true;
  (void)_setjmp(fibers[fiber_running].entry); /* each time it begins */
  fibers[fiber_running].act();
  abort(); /* it does not return */
}

static void set_initial(void *to, const struct variable *variable)
{
  for (size_t i = 0; i < variable->size; i++)
    ((char *)to)[i] =
        variable->initial ? ((const char *)variable->initial)[i] : 0;
}

void fiber_begin(unsigned index, void (*act)(void))
{
  fibers[index].act = act;
  fibers[index].next = fibers[index].has_entered ? &fibers[index].entry : NULL;
  if (fibers[index].stack == NULL) {
    fibers[index].stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fibers[index].stack == MAP_FAILED)
      abort();
  }
  for (unsigned i = 0; i < variable_count; i++) {
    if (fibers[index].local[i] != NULL)
      set_initial(fibers[index].local[i], variables[i]);
  }
}

bool fiber_has_on_stack(const volatile void *at)
{
  return (uintptr_t)at - (uintptr_t)fibers[fiber_running].stack < STACK_BYTES;
}

/* A context costs system calls, a jump does not. */
void fiber_switch(unsigned to)
{
  unsigned from = fiber_running;

  fiber_running = to;
  fibers[from].next = &fibers[from].at;
  if (_setjmp(fibers[from].at) != 0)
    return;
  if (fibers[to].next != NULL)
    _longjmp(*fibers[to].next, 1);
  else {
    ucontext_t context;

    if (getcontext(&context) != 0)
      abort();
    context.uc_stack.ss_sp = fibers[to].stack;
    context.uc_stack.ss_size = STACK_BYTES;
    context.uc_link = NULL;
    makecontext(&context, enter, 0);
    setcontext(&context);
    abort();
  }
}

/* The compiled code's errno, which libc has but one of here. */
int *__wrap___errno_location(void);
int *__wrap___errno_location(void)
{
  static int numbers[FIBER_MAIN + 1];

  return &numbers[fiber_running];
}

void *__emutls_get_address(struct variable *variable);

void *__emutls_get_address(struct variable *variable)
{
  void **local;

  if (variable->number == 0) {
    if (variable_count == VARIABLES)
      abort();
    variables[variable_count++] = variable;
    variable->number = variable_count;
  }
  local = &fibers[fiber_running].local[variable->number - 1];
  if (*local == NULL) {
    size_t align = variable->align < 64 ? 64 : variable->align;
    *local = aligned_alloc(align, (variable->size + align - 1) / align * align);
    if (*local == NULL)
      abort();
    set_initial(*local, variable);
  }
  return *local;
}
