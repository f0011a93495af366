#!/usr/bin/env bash
# Measures other programs beside pdnn, in one run on this machine:
# python-paillier (phe) encrypting, decrypting, adding and multiplying by an
# 8-bit scalar, and TenSEAL (CKKS) classifying an encrypted image with a network
# of the shape that its tutorial has. Markdown.
#
#   scripts/bench-peers.sh [-r RUNS] [-o FOLDER] [-T]
#
#   -r  runs of one image, of which the median is printed   (default 5)
#   -o  also write peers.md, peers.csv and peers.svg into FOLDER
#   -T  leave out TenSEAL
#   PYTHON=python3   the Python that makes the virtual environment
#
# The environment, with phe, gmpy2 and TenSEAL from PyPI, is kept under target/.
# What has no wheel for this Python is left out, and the table says so. Nothing
# else should run on the machine. Takes a few minutes once built.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=5 out= tenseal=yes
fail() { echo "error: $*" >&2; exit 2; }
case ${1:-} in --help) set -- -h ;; esac
while getopts r:o:Th option; do
  case $option in
    r) runs=$OPTARG ;;
    o) out=$OPTARG ;;
    T) tenseal=no ;;
    h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) fail "see $0 -h" ;;
  esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || fail "unexpected argument: $1; see $0 -h"
case $runs in '' | *[!0-9]* | 0*) fail "-r $runs: expected a number from 1 on" ;; esac
[ -z "$out" ] || [ -d "$out" ] || fail "-o $out: no such folder"
python=${PYTHON:-python3}
command -v "$python" >/dev/null || fail "$python is needed; name another with PYTHON"

venv=target/bench-peers/venv
if [ ! -x "$venv/bin/python" ]; then
  rm -rf "$venv"
  "$python" -m venv "$venv" || fail "$python cannot make a virtual environment; on Debian: apt-get install python3-venv"
fi
install() {
  "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "$@"
}
install phe==1.5.0 || fail "python-paillier could not be installed from PyPI"
install gmpy2==2.3.2 ||
  echo "no wheel of gmpy2 for $("$python" --version): python-paillier will use Python's own, far slower integers" >&2
if [ $tenseal = yes ] && ! install tenseal==0.3.18; then
  echo "no wheel of TenSEAL for $("$python" --version): it is left out; name another Python with PYTHON" >&2
  tenseal=no
fi

cargo build --release --quiet
exec "$venv/bin/python" -B scripts/bench_peers.py "${CARGO_TARGET_DIR:-target}/release/pdnn" "$runs" "$out" $tenseal
