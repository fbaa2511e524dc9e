import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicInteger;

/*
 * ConcurrentHashMap under test: one round in a Java virtual machine.
 *
 * Arguments are the loop's name, then the numbers of threads, maps, maps in a
 * turn, and passes, as in struct bench_job. Traces come on the standard input
 * as ../java.c writes them. The whole job is run for WARM_UP_NS and at least
 * twice before it is measured, for the compiler to have done its work. What is
 * printed: nanoseconds, checksum, length and content of the last map.
 *
 * Keys and values are boxed, as the map holds objects only.
 */
final class Peer {
  private static final long WARM_UP_NS = 1_000_000_000L;
  private static final int WARM_UP_RUNS = 2;

  /* What one thread does: keys of either kind. */
  private static final class Trace {
    long[] keys;
    byte[] ops; /* as enum op; empty: none */
    byte[][] texts;
    String[] strings; /* of the texts */
    int count;

    /* A String remembers its hash: the measured run gets new ones. */
    void makeStrings() {
      if (texts == null)
        return;
      strings = new String[count];
      for (int i = 0; i < count; i++)
        strings[i] = new String(texts[i], StandardCharsets.UTF_8);
    }
  }

  private interface Loop<K> {
    long run(ConcurrentHashMap<K, Long> map, Trace trace);
  }

  private static long get(ConcurrentHashMap<Long, Long> map, Trace trace) {
    long sum = 0;
    for (long key : trace.keys) {
      Long value = map.get(key);
      if (value != null)
        sum += value;
    }
    return sum;
  }

  private static long insert(ConcurrentHashMap<Long, Long> map, Trace trace) {
    for (long key : trace.keys) {
      Long boxed = key;
      map.put(boxed, boxed);
    }
    return trace.count;
  }

  private static long remove(ConcurrentHashMap<Long, Long> map, Trace trace) {
    long removed = 0;
    for (long key : trace.keys) {
      if (map.remove(key) != null)
        removed++;
    }
    return removed;
  }

  private static long mixed(ConcurrentHashMap<Long, Long> map, Trace trace) {
    long hits = 0;
    for (int i = 0; i < trace.count; i++) {
      Long key = trace.keys[i];
      boolean hit = false;
      switch (trace.ops[i]) {
      case 0:
        hit = map.get(key) != null;
        break;
      case 1:
        map.put(key, key);
        break;
      case 2:
        hit = map.remove(key) != null;
        break;
      default:
        hit = map.computeIfPresent(key, (k, value) -> value + 1) != null;
      }
      if (hit)
        hits++;
    }
    return hits;
  }

  private static <K> long add(ConcurrentHashMap<K, Long> map, K key) {
    map.merge(key, 1L, Long::sum);
    return 1;
  }

  private static long count(ConcurrentHashMap<Long, Long> map, Trace trace) {
    long n = 0;
    for (long key : trace.keys)
      n += add(map, key);
    return n;
  }

  private static long iterate(ConcurrentHashMap<Long, Long> map, Trace trace) {
    long sum = 0;
    for (Long value : map.values())
      sum += value;
    return sum;
  }

  private static long stringGet(ConcurrentHashMap<String, Long> map,
                                Trace trace) {
    long sum = 0;
    for (String key : trace.strings) {
      Long value = map.get(key);
      if (value != null)
        sum += value;
    }
    return sum;
  }

  private static long stringCount(ConcurrentHashMap<String, Long> map,
                                  Trace trace) {
    long n = 0;
    for (String key : trace.strings)
      n += add(map, key);
    return n;
  }

  private static long stringEntry(ConcurrentHashMap<String, Long> map,
                                  Trace trace) {
    long sum = 0;
    for (String key : trace.strings)
      sum += map.computeIfAbsent(key, k -> 0L);
    return sum;
  }

  private static long stringCheckInsert(ConcurrentHashMap<String, Long> map,
                                        Trace trace) {
    long sum = 0;
    for (String key : trace.strings) {
      Long value = map.get(key);
      if (value == null)
        value = map.putIfAbsent(key, 0L);
      if (value != null)
        sum += value;
    }
    return sum;
  }

  /* A job on keys of one kind. */
  private static final class Job<K> {
    Loop<K> loop;
    Loop<K> fillLoop;
    Loop<K> checkLoop;
    Trace fill;
    Trace check;
    Trace[] traces;
    int maps;
    int turnMaps;
    int passes;

    /* Results of a run. */
    long nanoseconds;
    long checksum;
    long length;
    long content;

    /* Of the turn at hand; written before the barrier. */
    List<ConcurrentHashMap<K, Long>> turn;
    CyclicBarrier barrier;
    AtomicInteger arrived;

    /* A thread's part of all turns. */
    private final class Worker extends Thread {
      final Trace trace;
      long sum;
      long begin;
      long end;

      Worker(Trace trace) {
        this.trace = trace;
      }

      /* Threads that have a processor each start together after a spin. */
      private void startTogether(int turnNumber) {
        int want = traces.length * turnNumber;
        boolean spin =
            traces.length <= Runtime.getRuntime().availableProcessors();
        arrived.incrementAndGet();
        while (spin && arrived.get() < want)
          Thread.yield();
      }

      @Override
      public void run() {
        for (int number = 1;; number++) {
          await(barrier);
          if (turn == null)
            return;
          startTogether(number);
          begin = System.nanoTime();
          for (ConcurrentHashMap<K, Long> map : turn) {
            for (int p = 0; p < passes; p++)
              sum += loop.run(map, trace);
          }
          end = System.nanoTime();
          await(barrier);
        }
      }
    }

    private void runTurn(List<Worker> workers, int count) {
      long begin = Long.MAX_VALUE;
      long end = Long.MIN_VALUE;

      turn = new ArrayList<>();
      for (int m = 0; m < count; m++) {
        turn.add(new ConcurrentHashMap<>());
        fillLoop.run(turn.get(m), fill);
      }
      await(barrier); /* off they go */
      await(barrier); /* all are done */
      for (Worker worker : workers) {
        begin = Math.min(begin, worker.begin);
        end = Math.max(end, worker.end);
      }
      nanoseconds += end - begin;
      length = turn.get(count - 1).mappingCount();
      content = checkLoop.run(turn.get(count - 1), check);
    }

    private void run() throws InterruptedException {
      List<Worker> workers = new ArrayList<>();

      nanoseconds = checksum = 0;
      barrier = new CyclicBarrier(traces.length + 1);
      arrived = new AtomicInteger();
      for (Trace trace : traces) {
        Worker worker = new Worker(trace);
        workers.add(worker);
        worker.start();
      }
      for (int left = maps; left > 0; left -= turnMaps)
        runTurn(workers, Math.min(left, turnMaps));
      turn = null;
      await(barrier);
      for (Worker worker : workers) {
        worker.join();
        checksum += worker.sum;
      }
    }

    private void renewStrings() {
      fill.makeStrings();
      check.makeStrings();
      for (Trace trace : traces)
        trace.makeStrings();
    }

    void measure() throws InterruptedException {
      long begin = System.nanoTime();

      renewStrings();
      for (int i = 0;
           i < WARM_UP_RUNS || System.nanoTime() - begin < WARM_UP_NS; i++)
        run();
      renewStrings();
      System.gc();
      run();
      System.out.println(nanoseconds + " " + Long.toUnsignedString(checksum) +
                         " " + length + " " + Long.toUnsignedString(content));
    }
  }

  private static void await(CyclicBarrier barrier) {
    try {
      barrier.await();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private static int readCount(DataInputStream in) throws IOException {
    return (int) Long.reverseBytes(in.readLong()); /* little-endian */
  }

  private static ByteBuffer readBuffer(DataInputStream in, int size)
      throws IOException {
    byte[] bytes = new byte[size];
    in.readFully(bytes);
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /* count, count keys, number of ops, ops */
  private static Trace readTrace(DataInputStream in) throws IOException {
    Trace trace = new Trace();

    trace.count = readCount(in);
    trace.keys = new long[trace.count];
    for (int i = 0; i < trace.count;) {
      int part = Math.min(trace.count - i, 1 << 16);
      readBuffer(in, part * 8).asLongBuffer().get(trace.keys, i, part);
      i += part;
    }
    trace.ops = readBuffer(in, readCount(in)).array();
    return trace;
  }

  /* count, then size and bytes of each */
  private static Trace readStrings(DataInputStream in) throws IOException {
    Trace trace = new Trace();

    trace.count = readCount(in);
    trace.texts = new byte[trace.count][];
    for (int i = 0; i < trace.count; i++)
      trace.texts[i] = readBuffer(in, readCount(in)).array();
    return trace;
  }

  private static <K> void run(DataInputStream in, String[] args, boolean strings,
                              Loop<K> loop, Loop<K> fillLoop, Loop<K> checkLoop)
      throws IOException, InterruptedException {
    Job<K> job = new Job<>();

    job.loop = loop;
    job.fillLoop = fillLoop;
    job.checkLoop = checkLoop;
    job.traces = new Trace[Integer.parseInt(args[1])];
    job.maps = Integer.parseInt(args[2]);
    job.turnMaps = Integer.parseInt(args[3]);
    job.passes = Integer.parseInt(args[4]);
    job.fill = strings ? readStrings(in) : readTrace(in);
    job.check = strings ? readStrings(in) : readTrace(in);
    for (int t = 0; t < job.traces.length; t++)
      job.traces[t] = strings ? readStrings(in) : readTrace(in);
    job.measure();
  }

  private static void runInts(DataInputStream in, String[] args,
                              Loop<Long> loop)
      throws IOException, InterruptedException {
    run(in, args, false, loop, Peer::insert, Peer::get);
  }

  private static void runStrings(DataInputStream in, String[] args,
                                 Loop<String> loop)
      throws IOException, InterruptedException {
    run(in, args, true, loop, Peer::stringCount, Peer::stringGet);
  }

  public static void main(String[] args)
      throws IOException, InterruptedException {
    DataInputStream in =
        new DataInputStream(new BufferedInputStream(System.in, 1 << 20));

    switch (args[0]) {
    case "get":
      runInts(in, args, Peer::get);
      break;
    case "insert":
      runInts(in, args, Peer::insert);
      break;
    case "remove":
      runInts(in, args, Peer::remove);
      break;
    case "mixed":
      runInts(in, args, Peer::mixed);
      break;
    case "count":
      runInts(in, args, Peer::count);
      break;
    case "iterate":
      runInts(in, args, Peer::iterate);
      break;
    case "string_get":
      runStrings(in, args, Peer::stringGet);
      break;
    case "string_count":
      runStrings(in, args, Peer::stringCount);
      break;
    case "string_entry":
      runStrings(in, args, Peer::stringEntry);
      break;
    case "string_check_insert":
      runStrings(in, args, Peer::stringCheckInsert);
      break;
    default:
      throw new IllegalArgumentException(args[0]);
    }
  }

  private Peer() {}
}
