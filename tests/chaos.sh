#!/bin/sh
# The long run of the chaos test: 100,000 events, or as many as the first argument says, from the seed in the second.
# An even seed ends in the middle of everything.
set -eu
cd "$(dirname "$0")/.."
HOOKPOOL_CHAOS_EVENTS=${1:-100000} HOOKPOOL_CHAOS_SEED=${2:-1} exec cargo test --release --test chaos -- --nocapture
