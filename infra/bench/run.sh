#!/usr/bin/env bash
# Builds what is measured, each program as it is deployed, and measures it. `make bench` calls it, and has made .venv.
# The first time takes as long as four builds with full link-time optimisation.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf '\n==> %s\n' "$1"; }

if [[ $(uname -s) != Linux ]] || ! command -v taskset >/dev/null || (($(nproc) < 2)); then
  echo 'make bench needs Linux, two cores, and taskset (Debian and Ubuntu: apt-get install util-linux).' >&2
  exit 1
fi

# The sizes are those of the archives that are deployed.
packages=$(mktemp)
trap 'rm -f "$packages"' EXIT
make package | tee "$packages"

# Starts are measured here, so for this processor. Cargo merges the features of what it builds together; therefore each
# program by itself.
bootstraps=target/bench
bootstrap() { PATH="$PWD/.venv/bin:$PATH" cargo lambda build --release --locked --lambda-dir "$bootstraps" "$@"; }
say 'bench: building the functions for this processor'
bootstrap --package turnpike-auth
bootstrap --package turnpike-system
say 'bench: building what they are measured against'
bootstrap --package turnpike-bench --no-default-features --bin hello
bootstrap --package turnpike-bench --no-default-features --features clients --bin client-start
say 'bench: building the local stack and the bench'
cargo build --release --locked --package turnpike-local
cargo build --release --locked --package turnpike-bench --no-default-features --features report --bin turnpike-bench

say 'bench: measuring; for a minute, leave the machine alone'
target/release/turnpike-bench report \
  --bootstraps "$bootstraps" --local target/release/turnpike-local --packages "$packages" --into docs/benchmarks.md
