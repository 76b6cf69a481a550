#!/bin/sh
# Fuzzes one target, or all, for so many seconds each (60), on one core.
#
#   fuzz/run.sh [path|claims|headers|batch|guard|all] [SECONDS]
#
# Needs a nightly toolchain and a C++ compiler, and nothing installed: the flags are those of
# `cargo fuzz`, which reads this directory as well. What is found stands in artifacts/.
set -eu
cd "$(dirname "$0")"
targets=${1:-all}
seconds=${2:-60}
[ "$targets" = all ] && targets="path claims headers batch guard"
triple=$(rustc -vV | sed -n 's/^host: //p')
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-pc-table"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
RUSTFLAGS="--cfg fuzzing $coverage" cargo +nightly build --release --target "$triple"
for target in $targets; do
    mkdir -p "artifacts/$target"
    "target/$triple/release/$target" -max_total_time="$seconds" -max_len=4096 \
        -print_final_stats=1 -artifact_prefix="artifacts/$target/" "corpus/$target"
done
