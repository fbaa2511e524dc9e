//! DashMap under test: the loops of the benchmark in Rust, so that map, hasher
//! and loop are compiled as one. `../dashmap.c` makes tables of them.
//!
//! Every function is called with a map that `create` made and has not been
//! destroyed, and with a trace as bench.h describes it; that is all that the
//! `unsafe` here rests on.

mod hash;
mod ints;
mod strings;
mod trace;

use dashmap::DashMap;
use std::collections::hash_map::RandomState;
use std::ffi::c_void;
use std::hash::{BuildHasher, Hash};

/// As many shards as asked for; 0: DashMap's default.
fn create<K: Eq + Hash, S: BuildHasher + Clone + Default>(
    shards: usize,
) -> *mut c_void {
    let hasher = S::default();
    let map: DashMap<K, u64, S> = match shards {
        0 => DashMap::with_hasher(hasher),
        n => DashMap::with_hasher_and_shard_amount(hasher, n),
    };
    Box::into_raw(Box::new(map)).cast()
}

/// Exports functions to C for a type of map; names begin with the prefix.
/// What they do is in the generic functions that they name.
macro_rules! export {
    ($prefix:literal, $key:ty, $hasher:ty, $trace:ty,
     passes: $($pass:literal = $pass_of:path as $result:ty,)*
     loops: $($name:literal = $loop:path,)*) => {
        const _: () = {
            type Map = DashMap<$key, u64, $hasher>;

            #[export_name = concat!($prefix, "_create")]
            extern "C" fn create_map(shards: usize) -> *mut c_void {
                create::<$key, $hasher>(shards)
            }

            #[export_name = concat!($prefix, "_destroy")]
            unsafe extern "C" fn destroy(map: *mut c_void) {
                drop(Box::from_raw(map.cast::<Map>()));
            }

            $(const _: () = {
                #[export_name = concat!($prefix, $pass)]
                unsafe extern "C" fn pass(map: *mut c_void) -> $result {
                    $pass_of(&*map.cast::<Map>())
                }
            };)*

            $(const _: () = {
                #[export_name = concat!($prefix, $name)]
                unsafe extern "C" fn run(
                    map: *mut c_void,
                    trace: *const $trace,
                ) -> u64 {
                    $loop(&*map.cast::<Map>(), &*trace)
                }
            };)*
        };
    };
}

macro_rules! export_ints {
    ($prefix:literal, $hasher:ty) => {
        export!($prefix, u64, $hasher, trace::Trace,
            passes:
            "_len" = ints::len as usize,
            "_iterate" = ints::iterate as u64,
            loops:
            "_get" = ints::get,
            "_insert" = ints::insert,
            "_remove" = ints::remove,
            "_mixed" = ints::mixed,
            "_count" = ints::count,
            "_read_guard" = ints::get, // a Ref is a read guard
            "_write_guard" = ints::write_guard,
        );
    };
}

macro_rules! export_strings {
    ($prefix:literal, $hasher:ty) => {
        export!($prefix, String, $hasher, trace::StringTrace,
            passes:
            "_len" = strings::len as usize,
            loops:
            "_get" = strings::get,
            "_count" = strings::count,
            "_entry" = strings::entry,
            "_check_insert" = strings::check_insert,
        );
    };
}

export_ints!("dashmap_u64", RandomState);
export_ints!("dashmap_fast_u64", hash::MultiplyFold);
export_strings!("dashmap_string", RandomState);
export_strings!("dashmap_fast_string", ahash::RandomState);
