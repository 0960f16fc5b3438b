#!/usr/bin/env bash
# Installs the system packages that the tests need and that are missing, on Debian and Ubuntu. With "browsers" also Firefox and
# WebKit, for `make browsers`.
set -euo pipefail

missing=()
command -v chromium >/dev/null || missing+=(chromium fonts-liberation fonts-noto-color-emoji)
command -v strace >/dev/null || missing+=(strace)
command -v prlimit >/dev/null || missing+=(util-linux)
command -v python3 >/dev/null || missing+=(python3)
# Without ensurepip Python cannot create the virtual environment of the Python client.
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
# The Rust client of the tests links OpenSSL.
[ -f /usr/include/openssl/ssl.h ] || missing+=(libssl-dev pkg-config)
# What several nodes need: tests and `make cluster` start these themselves.
command -v redis-server >/dev/null || missing+=(redis-server)
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing+=(postgresql)
command -v nginx >/dev/null || missing+=(nginx)
command -v pgbouncer >/dev/null || missing+=(pgbouncer)
command -v openssl >/dev/null || missing+=(openssl)
if [ "${1:-}" = browsers ]; then
  command -v firefox-esr >/dev/null || missing+=(firefox-esr)
  command -v WebKitWebDriver >/dev/null || missing+=(webkit2gtk-driver)
  command -v xvfb-run >/dev/null || missing+=(xvfb xauth)
fi

[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null; then
  echo "The tests need: ${missing[*]}. Install them and run make test again." >&2
  exit 1
fi
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
echo "Installing ${missing[*]} …"
$sudo apt-get update -qq
# Packages of servers start them at the installation, on their usual ports. Not here.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
  $sudo chmod +x $policy
  trap '$sudo rm -f $policy' EXIT
fi
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
