//! String keys: the loops of struct impl_string.

use crate::trace::StringTrace;
use dashmap::DashMap;
use std::hash::BuildHasher;

pub type Map<S> = DashMap<String, u64, S>;

pub fn len<S: BuildHasher + Clone>(map: &Map<S>) -> usize {
    map.len()
}

pub fn get<S: BuildHasher + Clone>(map: &Map<S>, trace: &StringTrace) -> u64 {
    let mut sum = 0u64;
    for key in trace.keys() {
        if let Some(value) = map.get(key) {
            sum = sum.wrapping_add(*value);
        }
    }
    sum
}

/// An entry needs an owned key, so it is asked for only if the key is new.
pub fn count<S: BuildHasher + Clone>(map: &Map<S>, trace: &StringTrace) -> u64 {
    let mut n = 0;
    for key in trace.keys() {
        n += 1;
        if let Some(mut value) = map.get_mut(key) {
            *value += 1;
            continue;
        }
        *map.entry(key.to_owned()).or_insert(0) += 1;
    }
    n
}

pub fn entry<S: BuildHasher + Clone>(map: &Map<S>, trace: &StringTrace) -> u64 {
    let mut sum = 0u64;
    for key in trace.keys() {
        sum = sum.wrapping_add(*map.entry(key.to_owned()).or_insert(0));
    }
    sum
}

pub fn check_insert<S: BuildHasher + Clone>(
    map: &Map<S>,
    trace: &StringTrace,
) -> u64 {
    let mut sum = 0u64;
    for key in trace.keys() {
        let found = map.get(key).map(|value| *value);
        match found {
            Some(value) => sum = sum.wrapping_add(value),
            None => {
                map.insert(key.to_owned(), 0);
            }
        }
    }
    sum
}
