//! The program `hookpool`: hooks off the critical path.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
