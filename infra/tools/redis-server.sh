#!/usr/bin/env bash
# Prints the path of the server that the tests run their own instances of: Redis or Valkey, 7 or newer. Where there is
# none and it may, it installs Debian's, without leaving that package's own service running.
set -euo pipefail

readonly oldest=7

# find_server: the path of the server, if there is one.
find_server() {
  if [[ -n ${TURNPIKE_REDIS_SERVER:-} ]]; then
    command -v "$TURNPIKE_REDIS_SERVER"
  else
    command -v redis-server || command -v valkey-server
  fi
}

# fail SENTENCE...: why there is no server, and what to do about it.
fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# as_root COMMAND...: by oneself, or by a sudo that asks for no password.
as_root() {
  if ((EUID == 0)); then "$@"; else sudo --non-interactive "$@"; fi
}

may_install() {
  command -v apt-get >/dev/null && { ((EUID == 0)) || sudo --non-interactive true 2>/dev/null; }
}

# A policy-rc.d that answers 101 forbids packages to start services (invoke-rc.d(8)). One that is there already is left
# as it is.
install_from_apt() {
  local policy=/usr/sbin/policy-rc.d
  printf '\n==> redis-server: installing it with apt-get, without its service\n' >&2
  if [[ ! -e $policy ]]; then
    # shellcheck disable=SC2064 # The path is meant to be that of now.
    trap "as_root rm -f '$policy'" EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  as_root apt-get update --quiet=2 >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends redis-server >&2
  # It would start with the machine's next start otherwise.
  if [[ -d /run/systemd/system ]]; then as_root systemctl --quiet disable redis-server >&2; fi
}

server=$(find_server) || {
  [[ -z ${TURNPIKE_REDIS_SERVER:-} ]] || fail "TURNPIKE_REDIS_SERVER is $TURNPIKE_REDIS_SERVER, and no program is there."
  may_install || fail "redis-server is missing: install Redis or Valkey $oldest or newer (Debian and Ubuntu: apt-get" \
    "install redis-server; macOS: brew install valkey), or put the server's path into TURNPIKE_REDIS_SERVER."
  install_from_apt
  server=$(find_server)
}

# "Redis server v=7.0.15 sha=…", "Valkey server v=8.1.1 sha=…".
version=$("$server" --version)
[[ $version =~ v=([0-9]+)\. ]] || fail "$server does not say which version it is: $version"
((BASH_REMATCH[1] >= oldest)) || fail "$server is $version; the tests need $oldest or newer." \
  "Put the path of another Redis or Valkey into TURNPIKE_REDIS_SERVER."
printf '%s\n' "$server"
