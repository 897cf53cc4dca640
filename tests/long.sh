#!/bin/sh
# The long proofs. The queue, the scheduler and the counters under Miri, where there is a nightly toolchain with it. Ten
# seconds without a wake-up: a pool, and the program while it listens. The scheduler core: scripts that no run has seen
# before, against the model; then ten seeds, ten million jobs each, through the simulated pool; then minutes of the real
# pool, where submitters, pauses, resizes, changes of hooks and the shutdown meet in every way; and of whole `HookPool`s,
# whose books are compared with what each submitter, handler and observer was told.
set -eu
cd "$(dirname "$0")/.."
if cargo +nightly miri --version >/dev/null 2>&1; then
  # What Miri has none of, as the working directory, is an error for the test and not for Miri.
  MIRIFLAGS=-Zmiri-isolation-error=hide cargo +nightly miri test --lib --no-default-features \
    --target-dir target/miri -- metrics:: outcome::wait pool:: scheduler:: \
    runtime::accounts runtime::budget runtime::crew runtime::tests::race
else
  echo "skipped: Miri (rustup toolchain install nightly --component miri rust-src)" >&2
fi
cargo test --test idle --test cli in_ten_seconds -- --ignored
cargo test --release --lib a_long_run_of_the_core_and_the_model -- --ignored
cargo test --release --lib the_books_balance_for_minutes -- --ignored
LIFE_SECONDS=300 cargo test --release --test life_random -- --nocapture
exec cargo test --release --lib a_hundred_million_jobs -- --ignored --nocapture
