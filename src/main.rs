//! The program `hookpool`.

mod cli;

fn main() {}
