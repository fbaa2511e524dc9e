/* load FILE: can it be loaded while the program runs? */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
  if (argc == 2 && dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) != NULL)
    return 0;
  puts(dlerror());
  return 1;
}
