#!/bin/sh
# The long proof of the scheduler core: scripts that no run has seen before, against the model; then ten seeds, ten
# million jobs each, through the simulated pool.
set -eu
cd "$(dirname "$0")/.."
cargo test --release --lib a_long_run_of_the_core_and_the_model -- --ignored
exec cargo test --release --lib a_hundred_million_jobs -- --ignored --nocapture
