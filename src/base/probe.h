/*
 * Probes for perf, bpftrace and SystemTap, of the provider `cmap`, if the
 * library is built with CMAP_WITH_USDT: an instruction that does nothing, and a
 * note where it is. Else nothing.
 */
#ifndef CMAP__BASE_PROBE_H
#define CMAP__BASE_PROBE_H

#ifdef CMAP_WITH_USDT
#  include <sys/sdt.h>
#  define cmap__probe(name, a, b) DTRACE_PROBE2(cmap, name, a, b)
#else
#  define cmap__probe(name, a, b) ((void)(a), (void)(b))
#endif

#endif
