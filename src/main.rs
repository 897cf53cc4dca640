//! The program `hookpool`.

fn main() {}
