#!/bin/sh
# The long proof of the scheduler core: ten seeds, ten million jobs each, through the simulated pool.
set -eu
cd "$(dirname "$0")/.."
exec cargo test --release --lib a_hundred_million_jobs -- --ignored --nocapture
