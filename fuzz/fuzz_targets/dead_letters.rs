#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hookpool::fuzzing::dead_letters(bytes));
