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
cd "$(dirname "$0")/.."

venv=target/interop-phe/venv
if [ ! -x "$venv/bin/pheutil" ]; then
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check phe click
fi

if [ -z "${PDNN:-}" ]; then
    cargo build --release --quiet
    PDNN=target/release/pdnn
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
"$venv/bin/python" scripts/interop_phe.py "$PDNN" "$venv/bin/pheutil" "$work"
