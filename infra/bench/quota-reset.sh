#!/usr/bin/env bash
# Builds and runs the measurement of quota-reset, and puts its table into docs/benchmarks.md. `make bench-quota-reset`
# calls it. It takes some minutes, most of them for making eleven thousand users.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf '\n==> %s\n' "$1"; }

say 'bench-quota-reset: building'
cargo build --release --locked --package turnpike-bench --no-default-features --features quota-reset --bin bench-quota-reset

say 'bench-quota-reset: measuring; leave the machine alone'
table=$(mktemp)
trap 'rm -f "$table"' EXIT
"${CARGO_TARGET_DIR:-target}/release/bench-quota-reset" | tee "$table"

page=docs/benchmarks.md
awk -v table="$table" '
  /<!-- end: figures of `make bench-quota-reset` -->/ { skips = 0 }
  !skips
  /<!-- begin: figures of `make bench-quota-reset` -->/ {
    skips = 1
    print ""
    while ((getline line < table) > 0) print line
    print ""
  }
' "$page" > "$page.new"
mv "$page.new" "$page"
