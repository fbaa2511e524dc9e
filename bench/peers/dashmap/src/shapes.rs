//! Keys and values of many shapes: the loops of BENCH_SHAPES in bench.h.

use crate::trace::BenchString;
use dashmap::DashMap;
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, Hasher};
use std::{ptr, slice};

/// What a kind of key is in a trace, in a map, and in a look-up.
pub trait Keys {
    type Item;
    type Key: Eq + Hash + Borrow<Self::View>;
    type View: ?Sized + Eq + Hash;
    fn view(item: &Self::Item) -> &Self::View;
    fn own(view: &Self::View) -> Self::Key;
    fn word(view: &Self::View) -> u64;
}

pub struct U64;
impl Keys for U64 {
    type Item = u64;
    type Key = u64;
    type View = u64;
    fn view(item: &u64) -> &u64 {
        item
    }
    fn own(view: &u64) -> u64 {
        *view
    }
    fn word(view: &u64) -> u64 {
        *view
    }
}

pub struct U32;
impl Keys for U32 {
    type Item = u32;
    type Key = u32;
    type View = u32;
    fn view(item: &u32) -> &u32 {
        item
    }
    fn own(view: &u32) -> u32 {
        *view
    }
    fn word(view: &u32) -> u64 {
        u64::from(*view)
    }
}

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fixed16 {
    word: [u64; 2],
}

impl Hash for Fixed16 {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.word[0]);
        state.write_u64(self.word[1]);
    }
}

impl Keys for Fixed16 {
    type Item = Fixed16;
    type Key = Fixed16;
    type View = Fixed16;
    fn view(item: &Fixed16) -> &Fixed16 {
        item
    }
    fn own(view: &Fixed16) -> Fixed16 {
        *view
    }
    fn word(view: &Fixed16) -> u64 {
        view.word[0]
    }
}

pub struct Str;
impl Keys for Str {
    type Item = BenchString;
    type Key = String;
    type View = str;
    fn view(item: &BenchString) -> &str {
        item.text()
    }
    fn own(view: &str) -> String {
        view.to_owned()
    }
    fn word(view: &str) -> u64 {
        let end = &view.as_bytes()[view.len() - 8..];
        u64::from_ne_bytes(end.try_into().unwrap())
    }
}

pub trait Value: Copy {
    fn of(word: u64) -> Self;
    fn word(&self) -> u64;
    /// Only of numbers.
    fn count(&mut self) {}
}

impl Value for () {
    fn of(_: u64) -> Self {}
    fn word(&self) -> u64 {
        1
    }
}

impl Value for u32 {
    fn of(word: u64) -> Self {
        word as u32
    }
    fn word(&self) -> u64 {
        u64::from(*self)
    }
    fn count(&mut self) {
        *self += 1;
    }
}

impl Value for u64 {
    fn of(word: u64) -> Self {
        word
    }
    fn word(&self) -> u64 {
        *self
    }
    fn count(&mut self) {
        *self += 1;
    }
}

impl<const N: usize> Value for [u64; N] {
    fn of(word: u64) -> Self {
        [word; N]
    }
    fn word(&self) -> u64 {
        self[0]
    }
}

/// struct trace, whose keys are of the shape.
#[repr(C)]
pub struct ShapeTrace {
    keys: *const u8,
    ops: *const u8,
    count: usize,
}

impl ShapeTrace {
    fn items<Item>(&self) -> &[Item] {
        // The harness made `count` such keys that outlive the loop.
        unsafe { slice::from_raw_parts(self.keys.cast(), self.count) }
    }
}

pub type Map<K, V, S> = DashMap<<K as Keys>::Key, V, S>;

pub fn get<K: Keys, V: Value, S: BuildHasher + Clone>(
    map: &Map<K, V, S>,
    trace: &ShapeTrace,
) -> u64 {
    let mut sum = 0u64;
    for item in trace.items::<K::Item>() {
        if let Some(value) = map.get(K::view(item)) {
            // All of it is copied out, although one word is used.
            let copy = unsafe { ptr::read_volatile(&*value) };
            sum = sum.wrapping_add(copy.word());
        }
    }
    sum
}

pub fn insert<K: Keys, V: Value, S: BuildHasher + Clone>(
    map: &Map<K, V, S>,
    trace: &ShapeTrace,
) -> u64 {
    for item in trace.items::<K::Item>() {
        let view = K::view(item);
        map.insert(K::own(view), V::of(K::word(view)));
    }
    trace.count as u64
}

pub fn remove<K: Keys, V: Value, S: BuildHasher + Clone>(
    map: &Map<K, V, S>,
    trace: &ShapeTrace,
) -> u64 {
    let mut removed = 0;
    for item in trace.items::<K::Item>() {
        removed += u64::from(map.remove(K::view(item)).is_some());
    }
    removed
}

pub fn count<K: Keys, V: Value, S: BuildHasher + Clone>(
    map: &Map<K, V, S>,
    trace: &ShapeTrace,
) -> u64 {
    for item in trace.items::<K::Item>() {
        let view = K::view(item);
        if let Some(mut value) = map.get_mut(view) {
            value.count();
            continue;
        }
        map.entry(K::own(view)).or_insert(V::of(0)).count();
    }
    trace.count as u64
}

pub fn read_guard<K: Keys, V: Value, S: BuildHasher + Clone>(
    map: &Map<K, V, S>,
    trace: &ShapeTrace,
) -> u64 {
    let mut sum = 0u64;
    for item in trace.items::<K::Item>() {
        if let Some(value) = map.get(K::view(item)) {
            sum = sum.wrapping_add(value.word());
        }
    }
    sum
}
