//! Integer keys: the loops of struct impl_u64.

use crate::trace::{Trace, OP_GET, OP_INSERT, OP_REMOVE};
use dashmap::DashMap;
use std::hash::BuildHasher;

pub type Map<S> = DashMap<u64, u64, S>;

pub fn len<S: BuildHasher + Clone>(map: &Map<S>) -> usize {
    map.len()
}

pub fn get<S: BuildHasher + Clone>(map: &Map<S>, trace: &Trace) -> u64 {
    let mut sum = 0u64;
    for key in trace.keys() {
        if let Some(value) = map.get(key) {
            sum = sum.wrapping_add(*value);
        }
    }
    sum
}

pub fn insert<S: BuildHasher + Clone>(map: &Map<S>, trace: &Trace) -> u64 {
    for key in trace.keys() {
        map.insert(*key, *key);
    }
    trace.keys().len() as u64
}

pub fn remove<S: BuildHasher + Clone>(map: &Map<S>, trace: &Trace) -> u64 {
    let mut removed = 0;
    for key in trace.keys() {
        removed += u64::from(map.remove(key).is_some());
    }
    removed
}

fn update<S: BuildHasher + Clone>(map: &Map<S>, key: &u64) -> bool {
    match map.get_mut(key) {
        Some(mut value) => {
            *value = value.wrapping_add(1);
            true
        }
        None => false,
    }
}

pub fn mixed<S: BuildHasher + Clone>(map: &Map<S>, trace: &Trace) -> u64 {
    let mut hits = 0;
    for (key, op) in trace.keys().iter().zip(trace.ops()) {
        hits += u64::from(match *op {
            OP_GET => map.get(key).is_some(),
            OP_INSERT => {
                map.insert(*key, *key);
                false
            }
            OP_REMOVE => map.remove(key).is_some(),
            _ => update(map, key),
        });
    }
    hits
}

pub fn count<S: BuildHasher + Clone>(map: &Map<S>, trace: &Trace) -> u64 {
    for key in trace.keys() {
        *map.entry(*key).or_insert(0) += 1;
    }
    trace.keys().len() as u64
}

pub fn iterate<S: BuildHasher + Clone>(map: &Map<S>) -> u64 {
    map.iter()
        .fold(0, |sum, entry| sum.wrapping_add(*entry.value()))
}

pub fn write_guard<S: BuildHasher + Clone>(map: &Map<S>, trace: &Trace) -> u64 {
    let mut sum = 0u64;
    for key in trace.keys() {
        if let Some(value) = map.get_mut(key) {
            sum = sum.wrapping_add(*value);
        }
    }
    sum
}
