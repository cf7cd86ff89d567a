#!/usr/bin/env bash
# Builds what is measured, each program as it is deployed, and measures it. `make bench` calls it, and has made .venv.
# The first time takes as long as four builds with full link-time optimisation. With `admission` it builds and measures
# what admission costs, with `usage` how usage is summed up, with `query` what a cached query costs, and nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf '\n==> %s\n' "$1"; }

if [[ $(uname -s) != Linux ]] || ! command -v taskset >/dev/null || (($(nproc) < 2)); then
  echo 'make bench needs Linux, two cores, and taskset (Debian and Ubuntu: apt-get install util-linux).' >&2
  exit 1
fi

# Cargo merges the features of what it builds together; therefore each program by itself.
target=${CARGO_TARGET_DIR:-target}
program() { cargo build --release --locked "$@"; }
bench() { program --package turnpike-bench --no-default-features --features "$1" --bin "$2"; }
if [[ ${1:-} == usage ]]; then
  say 'bench: building the bench and the rollup of usage'
  bench report turnpike-bench
  bench rollup rollup
  say 'bench: measuring; for a minute, leave the machine alone'
  exec "$target/release/turnpike-bench" usage --rollup "$target/release/rollup" --into docs/benchmarks.md
fi

redis=$(infra/tools/redis-server.sh)
queries=(--local "$target/release/turnpike-local" --caching "$target/release/caching" --redis "$redis")
if [[ ${1:-} == query ]]; then
  say 'bench: building the local stack, the bench and the cache'
  program --package turnpike-local
  bench report turnpike-bench
  bench caching caching
  say 'bench: measuring; for two minutes, leave the machine alone'
  exec "$target/release/turnpike-bench" query "${queries[@]}" --into docs/benchmarks.md
fi

say 'bench: building the local stack, the bench and what the local stack is measured against'
program --package turnpike-local
for feature in report caching engines plain rollup; do
  name=$feature
  [[ $feature != report ]] || name=turnpike-bench
  bench "$feature" "$name"
done
programs=(--local "$target/release/turnpike-local" --engines "$target/release/engines" --plain "$target/release/plain"
  --redis "$redis")

if [[ ${1:-} == admission ]]; then
  say 'bench: measuring; for five minutes, leave the machine alone'
  exec "$target/release/turnpike-bench" admission "${programs[@]}" --into docs/benchmarks.md
fi

# The sizes are those of the archives that are deployed.
packages=$(mktemp)
trap 'rm -f "$packages"' EXIT
make package | tee "$packages"

# Starts are measured here, so for this processor.
bootstraps=target/bench
bootstrap() { PATH="$PWD/.venv/bin:$PATH" cargo lambda build --release --locked --lambda-dir "$bootstraps" "$@"; }
say 'bench: building the functions for this processor'
for function in admin auth system users; do
  [[ ! -d functions/$function ]] || bootstrap --package "turnpike-$function"
done
say 'bench: building what they are measured against'
bootstrap --package turnpike-bench --no-default-features --bin hello
bootstrap --package turnpike-bench --no-default-features --features clients --bin client-start

say 'bench: measuring; for eight minutes, leave the machine alone'
"$target/release/turnpike-bench" report \
  --bootstraps "$bootstraps" --packages "$packages" --rollup "$target/release/rollup" "${programs[@]}" --into docs/benchmarks.md
"$target/release/turnpike-bench" query "${queries[@]}" --into docs/benchmarks.md
