"""What is in a map of libcmap, for gdb: of a process, or of a core.

    (gdb) print *map         entries, shards, locks; then key and value of each
    (gdb) print tally        the same of a typed map, with its types
    (gdb) print *store       objects, and constructions in flight
    (gdb) info cmap          what each thread holds, and what it waits for

Needs the debug information of the library. gdb finds this file by itself where
it is installed for a prefix of gdb's own (/usr); else `source` it.
"""

import gdb
import gdb.printing

SLOTS = 11  # of a group (src/table/group.h)
KINDS = {1: "u32", 2: "u64", 3: "fixed", 4: "string", 5: "bytes", 6: "custom"}
STATES = ("", ", being frozen or thawed", ", frozen")
WORDS = ("object", "construction in flight", "failure that is remembered")
MODES = ("read", "write", "lent")


def bare(value):
    """An atomic, as what it holds."""
    return value.cast(value.type.unqualified().strip_typedefs())


def number(value):
    return int(bare(value))


def at(address, type_name):
    """What lies at an address, as a value of a type or a type's name."""
    if isinstance(type_name, str):
        type_name = gdb.lookup_type(type_name)
    return gdb.Value(address).cast(type_name.pointer()).dereference()


def memory(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def word(address):
    return int.from_bytes(memory(address, 8), "little")


def references(refs):
    """Of an object; watched ones count twice (src/store/object.h)."""
    return (refs & ~(1 << 31)) // 2 if refs >> 31 else refs


def lock_text(lock):
    """The word of a shard's lock (src/sync/shardlock.h); "" if it is free."""
    state = number(lock["word"])
    words = []
    if state & 1:
        words.append("locked to write")
    elif state & 0x7FFFFE00:
        readers = (state & 0x7FFFFE00) >> 9
        words.append("locked to read by %d" % (readers // 2 if state & 64 else readers))
    if state & 256:
        words.append("biased: readers in seats are not counted (info cmap)")
    if state & 2:
        words.append("writers wait")
    if state & 4:
        words.append("readers wait")
    if state & 16:
        words.append("abandoned by a thread that has ended")
    return ", ".join(words)


class Map:
    """Reads a struct cmap."""

    def __init__(self, val):
        self.table = val["table"]
        self.layout = self.table["layout"]
        self.kind = int(self.layout["kind"])
        self.value_size = int(self.layout["value_size"])

    def shards(self):
        """The live ones, in the order of the hash."""
        array = bare(self.table["directory"]["current"])
        depth = 64 - 4 - int(array["shift"])
        last = None
        for i in range(1 << depth):
            shard = bare(array["entries"][i]["shard"])
            if int(shard) != last:
                last = int(shard)
                yield shard.dereference()

    def count(self, shard):
        return (number(shard["inserted"]) - number(shard["removed"])) & 0xFFFFFFFF

    def slots(self):
        """The addresses of those that have an entry."""
        size = 8 * int(self.layout["slot_words"])
        for shard in self.shards():
            if self.count(shard) == 0:
                continue
            block = int(shard["block"])
            begin = block & ~63
            for group in range(1 << (28 - (block & 63))):
                tags = memory(begin - 16 * (group + 1), SLOTS)
                for i, tag in enumerate(tags):
                    if tag != 0:
                        yield begin + (group * SLOTS + i) * size

    def key_bytes(self, slot):
        place = slot + 8 * int(self.layout["key_word"])
        if self.kind in (4, 5):
            room = int(self.layout["inline_key"])
            unused = memory(place + room, 1)[0]
            if unused == 0xFF:
                return memory(word(place), word(place + room - 7) & ((1 << 56) - 1))
            return memory(place, room - unused)
        return memory(place, int(self.layout["key_size"]))

    def key(self, slot, key_type=None):
        if key_type is not None and self.kind == 3:
            return at(slot + 8 * int(self.layout["key_word"]), key_type)
        data = self.key_bytes(slot)
        if self.kind in (1, 2):
            return int.from_bytes(data, "little")
        if self.kind == 4:
            return '"%s"' % data.decode("utf-8", "replace")
        return data.hex(" ")

    def value_place(self, slot):
        place = slot + 8 * int(self.layout["value_word"])
        if bool(self.layout["packed"]):
            return place + 4
        return word(place) if bool(self.layout["value_boxed"]) else place

    def value(self, slot, value_type=None):
        if self.value_size == 0:
            return "-"
        place = self.value_place(slot)
        if value_type is not None and value_type.sizeof == self.value_size:
            return at(place, value_type)
        if self.value_size in (4, 8):
            return int.from_bytes(memory(place, self.value_size), "little")
        return memory(place, self.value_size).hex(" ")

    def summary(self):
        shards = list(self.shards())
        entries = sum(self.count(shard) for shard in shards)
        locks = [lock_text(shard["lock"]) for shard in shards]
        text = "%s keys, values of %d bytes: %d entries in %d shards%s" % (
            KINDS.get(self.kind, "?"),
            self.value_size,
            entries,
            len(shards),
            STATES[number(self.table["state"])],
        )
        held = ["shard %d %s" % (i, lock) for i, lock in enumerate(locks) if lock]
        if held:
            text += "; " + "; ".join(held[:8]) + ("; ..." if held[8:] else "")
        return text


class MapPrinter:
    """Of a struct cmap, or of a typed handle with the types of that."""

    def __init__(self, val, key_type=None, value_type=None):
        self.map = Map(val)
        self.types = (key_type, value_type)

    def to_string(self):
        return self.map.summary()

    def children(self):
        for i, slot in enumerate(self.map.slots()):
            yield "key %d" % i, self.map.key(slot, self.types[0])
            yield "value %d" % i, self.map.value(slot, self.types[1])

    def display_hint(self):
        return "map"


class StorePrinter:
    """Of a struct cmap_store."""

    def __init__(self, val):
        self.val = val

    def to_string(self):
        inner = Map(self.val["map"].dereference())
        kinds = [word(inner.value_place(slot)) & 3 for slot in inner.slots()]
        return "a store of %d objects: %d constructions run, %d threads wait" % (
            number(self.val["objects"]),
            kinds.count(1),
            number(self.val["waiters"]),
        )

    def children(self):
        inner = Map(self.val["map"].dereference())
        for i, slot in enumerate(inner.slots()):
            content = word(inner.value_place(slot))
            kind, address = content & 3, content & ~3
            text = WORDS[kind]
            if kind == 0:
                header = at(address, "struct cmap__object")
                text = "%s, %d references" % (
                    header["object"],
                    references(number(header["refs"])),
                )
            elif kind == 1:
                flight = at(address, "struct cmap__flight")
                text += ", %d threads wait" % int(flight["waiters"])
            yield "key %d" % i, inner.key(slot)
            yield "value %d" % i, text

    def display_hint(self):
        return "map"


def typed_handle(val):
    """struct NAME { struct cmap *map; } of CMAP_DEFINE(NAME, ...)."""
    kind = val.type.strip_typedefs()
    if kind.code != gdb.TYPE_CODE_STRUCT or not kind.tag:
        return None
    fields = kind.fields()
    if len(fields) != 1 or fields[0].name != "map":
        return None
    if str(fields[0].type) != "struct cmap *" or int(val["map"]) == 0:
        return None
    types = []
    for what in ("key", "value"):
        try:
            types.append(gdb.lookup_type("%s__%s" % (kind.tag, what)))
        except gdb.error:
            types.append(None)
    return MapPrinter(val["map"].dereference(), *types)


def printer(val):
    tag = val.type.strip_typedefs().tag
    try:
        if tag == "cmap":
            return MapPrinter(val)
        if tag == "cmap_store":
            return StorePrinter(val)
        return typed_handle(val)
    except (gdb.error, RuntimeError):
        return None  # no debug information, or no memory there


printer.name = "libcmap"
printer.enabled = True
printer.subprinters = []


def hold_text(hold):
    """A struct cmap__hold, or a struct cmap__wait."""
    where = int(hold["object"])
    text = MODES[int(hold["mode"])]
    if int(hold["lock"]) == 0:
        return "%s, map or construction at %#x" % (text, where)
    return "%s, map at %#x, shard's lock at %#x" % (text, where, int(hold["lock"]))


class InfoCmap(gdb.Command):
    """What each thread holds of maps and stores of libcmap, and waits for.

    Waits are listed of threads that hold something: others are in no circle."""

    def __init__(self):
        super().__init__("info cmap", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        before = gdb.selected_thread()
        waits = self.waits()
        try:
            for thread in sorted(gdb.selected_inferior().threads(), key=lambda t: t.num):
                thread.switch()
                self.one(thread, waits)
        finally:
            if before is not None:
                before.switch()

    def waits(self):
        """Those that are published (src/sync/deadlock.c), by their holder."""
        for file in ("deadlock.c", "cmap.c"):  # the latter: as one file
            try:
                wait = gdb.parse_and_eval("'%s'::waits" % file)
            except gdb.error:
                continue
            waits = {}
            while int(wait) != 0:
                waits[int(wait["holder"])] = hold_text(wait)
                wait = wait["next"]
            return waits
        raise gdb.GdbError("no debug information of libcmap")

    def seats(self, holder):
        """Of guards and of calls with user code (src/sync/bias.h)."""
        if int(holder["seats"]) == 0:
            return []
        objects = holder["seats"]["object"]
        return [i for i in range(objects.type.range()[1] + 1) if int(objects[i]) != 0]

    def one(self, thread, waits):
        try:
            holder = gdb.parse_and_eval("&cmap__self")
        except gdb.error as error:
            print("thread %d: %s" % (thread.num, error))
            return
        for what in ("calls", "guards"):
            hold = holder[what]
            while int(hold) != 0:
                noun = "a call" if what == "calls" else "a guard"
                print("thread %d holds by %s: %s" % (thread.num, noun, hold_text(hold)))
                hold = hold["outer"]
        for i in self.seats(holder):
            seats = holder["seats"]
            print(
                "thread %d holds in seat %d: to read, map at %#x, shard's lock at %#x"
                % (thread.num, i, int(seats["object"][i]), number(seats["lock"][i]))
            )
        if int(holder) in waits:
            print("thread %d waits: %s" % (thread.num, waits[int(holder)]))


gdb.printing.register_pretty_printer(gdb.current_objfile(), printer, replace=True)
InfoCmap()
