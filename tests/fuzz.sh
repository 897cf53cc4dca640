#!/bin/sh
# Fuzzes each door of the library (`src/fuzzing`) for so many seconds, 180 without an argument; further arguments are the
# doors that are meant, all without. Needs `cargo install cargo-fuzz`; no nightly toolchain.
#
# What a run finds lies in `fuzz/target/corpus`. KEEP=1 takes what leads further than what is there into `fuzz/corpus`,
# as few inputs as possible. A failure lies in `fuzz/artifacts`; it becomes a plain test before it is mended.
set -eu
cd "$(dirname "$0")/../fuzz"
seconds=${1:-180}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- answers configuration dead_letters event recording redaction selector simulation variables

export RUSTC_BOOTSTRAP=1 CARGO_BUILD_JOBS=1
seeds() {
  case $1 in
    configuration) echo ../tests/fixtures/check ../tests/fixtures/config ../config ;;
    dead_letters | event) echo ../tests/fixtures/events ;;
  esac
}

failed=
for door; do
  new=target/corpus/$door
  mkdir -p "$new" "corpus/$door"
  # shellcheck disable=SC2046
  nice cargo fuzz run --sanitizer none "$door" "$new" "corpus/$door" $(seeds "$door") -- \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -max_len=16384 -print_final_stats=1 ||
    failed="$failed $door"
  if [ -n "${KEEP:-}" ]; then
    known=target/known/$door
    rm -rf "$known" && mkdir -p "$known"
    # shellcheck disable=SC2046
    find "corpus/$door" $(seeds "$door") -type f -exec cp --backup=numbered {} "$known" \;
    touch target/known/begun
    nice cargo fuzz run --sanitizer none "$door" "$known" "$new" -- \
      -set_cover_merge=1 -use_counters=0 -max_len=4096
    find "$known" -type f -newer target/known/begun -exec cp {} "corpus/$door" \;
  fi
done
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
