#!/bin/sh
# Exchanges keys and encrypted integers with python-paillier, both ways: each
# program reads the other's keys and decrypts the other's ciphertexts and sums.
# Prints a table; exits with 1 if anything differs.
#
# Usage: scripts/interop-phe.sh
#   PDNN=path/to/pdnn   the program to test; built if absent
#   PYTHON=python3      the Python that makes the virtual environment
#
# The environment, with phe and click from PyPI, is kept under target/.
set -eu
. "$(dirname "$0")/pdnn.sh"
absolute_pdnn
cd "$(dirname "$0")/.."

fail() { echo "error: $*" >&2; exit 2; }
case ${1:-} in -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;; esac
[ $# -eq 0 ] || fail "unexpected argument: $1; see $0 -h"
check_pdnn

venv=target/interop-phe/venv
if [ ! -x "$venv/bin/pheutil" ]; then
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check phe click
fi

if [ -z "${PDNN:-}" ]; then
    cargo build --release --quiet
    PDNN=${CARGO_TARGET_DIR:-target}/release/pdnn
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
"$venv/bin/python" scripts/interop_phe.py "$PDNN" "$venv/bin/pheutil" "$work"
