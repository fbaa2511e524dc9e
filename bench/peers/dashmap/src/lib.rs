//! DashMap under test: the loops of the benchmark in Rust, so that map, hasher
//! and loop are compiled as one. `../dashmap.c` makes tables of them.
//!
//! Every function is called with a map that `create` made and has not been
//! destroyed, and with a trace as bench.h describes it; that is all that the
//! `unsafe` here rests on.

mod hash;
mod ints;
mod shapes;
mod strings;
mod trace;

use dashmap::DashMap;
use std::collections::hash_map::RandomState;
use std::ffi::c_void;
use std::hash::{BuildHasher, Hash};

/// As many shards as asked for; 0: DashMap's default.
fn create<K: Eq + Hash, V, S: BuildHasher + Clone + Default>(
    shards: usize,
) -> *mut c_void {
    let hasher = S::default();
    let map: DashMap<K, V, S> = match shards {
        0 => DashMap::with_hasher(hasher),
        n => DashMap::with_hasher_and_shard_amount(hasher, n),
    };
    Box::into_raw(Box::new(map)).cast()
}

/// Exports functions to C for a type of map; names begin with the prefix.
/// What they do is in the generic functions that they name.
macro_rules! export {
    ($prefix:expr, $key:ty, $value:ty, $hasher:ty, $trace:ty,
     passes: $($pass:literal = $pass_of:path as $result:ty,)*
     loops: $($name:literal = $loop:expr,)*) => {
        const _: () = {
            type Map = DashMap<$key, $value, $hasher>;

            #[export_name = concat!($prefix, "_create")]
            extern "C" fn create_map(shards: usize) -> *mut c_void {
                create::<$key, $value, $hasher>(shards)
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
        export!($prefix, u64, u64, $hasher, trace::Trace,
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
        export!($prefix, String, u64, $hasher, trace::StringTrace,
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

/// A shape of BENCH_SHAPES: its keys, its value, and a fast hasher.
macro_rules! export_shape {
    ($id:literal, $keys:ty, $value:ty, $hasher:ty) => {
        export!(concat!("dashmap_", $id), <$keys as shapes::Keys>::Key, $value,
            $hasher, shapes::ShapeTrace,
            passes:
            "_len" = DashMap::len as usize,
            loops:
            "_get" = shapes::get::<$keys, $value, $hasher>,
            "_insert" = shapes::insert::<$keys, $value, $hasher>,
            "_remove" = shapes::remove::<$keys, $value, $hasher>,
            "_count" = shapes::count::<$keys, $value, $hasher>,
            "_read_guard" = shapes::read_guard::<$keys, $value, $hasher>,
        );
    };
}

export_shape!("u64_8", shapes::U64, u64, hash::MultiplyFold);
export_shape!("u64_4", shapes::U64, u32, hash::MultiplyFold);
export_shape!("u64_16", shapes::U64, [u64; 2], hash::MultiplyFold);
export_shape!("u64_24", shapes::U64, [u64; 3], hash::MultiplyFold);
export_shape!("u64_64", shapes::U64, [u64; 8], hash::MultiplyFold);
export_shape!("u64_0", shapes::U64, (), hash::MultiplyFold);
export_shape!("u32_4", shapes::U32, u32, hash::MultiplyFold);
export_shape!("u32_8", shapes::U32, u64, hash::MultiplyFold);
export_shape!("fixed16_8", shapes::Fixed16, u64, hash::MultiplyFold);
export_shape!("fixed16_16", shapes::Fixed16, [u64; 2], hash::MultiplyFold);
export_shape!("str12_8", shapes::Str, u64, ahash::RandomState);
export_shape!("str12_16", shapes::Str, [u64; 2], ahash::RandomState);
export_shape!("str36_8", shapes::Str, u64, ahash::RandomState);
export_shape!("str36_16", shapes::Str, [u64; 2], ahash::RandomState);
export_shape!("str100_8", shapes::Str, u64, ahash::RandomState);
