/* What all targets do first. */
#include "input.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  (void)argc;
  (void)argv;
  /* An input says all: nothing is drawn anew in each process. */
  (void)setenv("CMAP_TEST_SEED", "1", 1);
  /* An assertion of cmocka outside of a test ends the process by abort(). */
  (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
  return 0;
}
