#!/bin/sh
# qemu-user 7.2: madvise says 0 to MADV_POPULATE_WRITE, and populates nothing
#
# A program that runs on kernels older than Linux 5.14 asks madvise for
# MADV_POPULATE_WRITE and looks at what comes back: 0, the pages are there;
# EINVAL, the kernel does not know the advice, and the program touches each page
# itself. Under qemu's user emulation (Debian 12's 7.2, the program's processor
# the same as the machine's or another one) the answer is 0 for advice that qemu
# does not know, and nothing was done: none of the pages is there, as mincore
# says in the same process. So the way for old kernels is never taken, memory
# that should be ready comes by a fault each, and a test that trusts the answer
# fails under the emulator alone. The same goes for advice that no kernel has.
#
# Seen with qemu-user 1:7.2+dfsg-7+deb12u18+b3, on a kernel that does as it is
# told:
#
#   native: populate 0, resident 8 of 8; no such advice -1 EINVAL
#   qemu:   populate 0, resident 0 of 8; no such advice 0
#
# Usage: sh qemu_user_madvise.sh; needs apt-get, dpkg-deb, cc and libc6-dev.
# Fails if that has changed.
set -eu

version=1:7.2+dfsg-7+deb12u18+b3

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download "qemu-user=$version" >apt.log 2>&1 || {
  cat apt.log
  echo "this version cannot be had any more"
  exit 1
}
dpkg-deb -x qemu-user_*.deb root

cat >main.c <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 8, POPULATE_WRITE = 23, NO_ADVICE = 4242 };

int main(void)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  unsigned char in[PAGES];
  int resident = 0, populated, unknown;
  char *memory = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  if (memory == MAP_FAILED)
    return 1;
  populated = madvise(memory, PAGES * page, POPULATE_WRITE);
  if (mincore(memory, PAGES * page, in) != 0)
    return 1;
  for (int i = 0; i < PAGES; i++)
    resident += in[i] & 1;
  unknown = madvise(memory, PAGES * page, NO_ADVICE);
  printf("populate %d, resident %d of %d; no such advice %d%s\n", populated,
         resident, PAGES, unknown,
         unknown != 0 && errno == EINVAL ? " EINVAL" : "");
  return 0;
}
C
cc -O1 -static main.c -o main
native=$(./main)
qemu=$("root/usr/bin/qemu-$(uname -m)" ./main)
echo "native: $native"
echo "qemu:   $qemu"
[ "$native" = "populate 0, resident 8 of 8; no such advice -1 EINVAL" ] &&
  [ "$qemu" = "populate 0, resident 0 of 8; no such advice 0" ]
