//! What the C side passes: struct trace and struct string_trace of bench.h.

use std::slice;
use std::str;

/// `enum op`.
pub const OP_GET: u8 = 0;
pub const OP_INSERT: u8 = 1;
pub const OP_REMOVE: u8 = 2;

#[repr(C)]
pub struct Trace {
    keys: *const u64,
    ops: *const u8,
    count: usize,
}

impl Trace {
    pub fn keys(&self) -> &[u64] {
        // The harness made `count` keys that outlive the loop.
        unsafe { slice::from_raw_parts(self.keys, self.count) }
    }

    /// Only of mixed workloads.
    pub fn ops(&self) -> &[u8] {
        unsafe { slice::from_raw_parts(self.ops, self.count) }
    }
}

#[repr(C)]
pub struct BenchString {
    data: *const u8,
    size: usize,
}

impl BenchString {
    /// The benchmark's words are ASCII: they are not checked to be UTF-8, as a
    /// Rust program's own strings would not be either.
    pub fn text(&self) -> &str {
        unsafe {
            str::from_utf8_unchecked(slice::from_raw_parts(self.data, self.size))
        }
    }
}

#[repr(C)]
pub struct StringTrace {
    keys: *const BenchString,
    count: usize,
}

impl StringTrace {
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let keys = unsafe { slice::from_raw_parts(self.keys, self.count) };
        keys.iter().map(BenchString::text)
    }
}
