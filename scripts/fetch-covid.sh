#!/bin/sh
# Brings the table of people tested for COVID-19 to data/covid_symptoms.
#
# It is accepted only if its unpacked contents, with line feeds as line ends,
# have the SHA-256 below; whatever
# does not match is refused and removed, and nothing is left half written.
# scripts/prepare-covid-symptoms.py makes training and test tables of it.
set -eu

usage() {
    cat <<'END'
Usage: scripts/fetch-covid.sh [--from FILE] [--to DIR]

  --from FILE   take the table from FILE (.csv, .csv.gz or .csv.zip) instead of
                the network
  --to DIR      where to put it; default: covid_symptoms in $PDNN_DATA, or else
                in data

Environment:
  PDNN_COVID_URL   where to fetch the .zip instead of from github.com
  PDNN_DATA        folder of data sets; default: data in the repository
END
}

fail() {
    printf 'fetch-covid: %s\n' "$*" >&2
    exit 1
}

name=corona_tested_individuals_ver_006.english.csv
sha256=6f439e3c03527307f614e92742d6ccf2d9dbe7a1958e8b5d706f8a5a318c9b62
url=${PDNN_COVID_URL:-https://github.com/nshomron/covidpred/raw/master/data/$name.zip}
from=
to=

while [ $# -gt 0 ]; do
    case $1 in
        --from | --to)
            [ $# -ge 2 ] || fail "$1 needs a path"
            if [ "$1" = --from ]; then from=$2; else to=$2; fi
            shift 2
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            fail "unknown argument: $1"
            ;;
    esac
done

command -v python3 >/dev/null || fail "needs python3 to unpack and check the table"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
[ -n "$to" ] || to=${PDNN_DATA:-$root/data}/covid_symptoms
[ -z "$from" ] || [ -f "$from" ] || fail "no file $from"

# unpack_and_check PACKED OUT: false if it is not the table
unpack_and_check() {
    python3 - "$1" "$2" "$sha256" <<'PYTHON'
import gzip, hashlib, sys, zipfile

packed, out, expected = sys.argv[1:]
MOST = 64 << 20  # no archive fills the disk
try:
    with open(packed, "rb") as file:
        magic = file.read(4)
    if magic[:2] == b"PK":
        with zipfile.ZipFile(packed) as archive:
            names = [n for n in archive.namelist() if n.endswith(".csv") and "/" not in n]
            with archive.open(names[0]) as file:
                data = file.read(MOST)
    elif magic[:2] == b"\x1f\x8b":
        with gzip.open(packed) as file:
            data = file.read(MOST)
    else:
        with open(packed, "rb") as file:
            data = file.read(MOST)
except (OSError, EOFError, IndexError, zipfile.BadZipFile):
    sys.exit(1)
# Line ends differ between copies; rows do not.
data = data.replace(b"\r\n", b"\n")
if hashlib.sha256(data).hexdigest() != expected:
    sys.exit(1)
with open(out, "wb") as file:
    file.write(data)
PYTHON
}

mkdir -p "$to" || fail "cannot make the folder $to"
work=$(mktemp -d "$to/.fetch-XXXXXX") || fail "cannot write to $to"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

if [ -f "$to/$name" ] && unpack_and_check "$to/$name" "$work/again"; then
    printf '%s is there\n' "$name"
    exit 0
fi
if [ -n "$from" ]; then
    unpack_and_check "$from" "$work/$name" ||
        fail "$from is not the table: its checksum does not match"
else
    printf 'fetching %s\n' "$url" >&2
    if command -v curl >/dev/null; then
        curl --fail --silent --show-error --location --connect-timeout 15 \
            --speed-limit 1000 --speed-time 30 --retry 2 --max-filesize 100000000 \
            --output "$work/packed" "$url" || fail "$url gave nothing; with a local copy, use --from FILE"
    elif command -v wget >/dev/null; then
        wget --quiet --timeout=30 --tries=3 --output-document="$work/packed" "$url" ||
            fail "$url gave nothing; with a local copy, use --from FILE"
    else
        fail "needs curl or wget"
    fi
    unpack_and_check "$work/packed" "$work/$name" ||
        fail "refused $url: its checksum does not match"
fi
chmod 644 "$work/$name"
mv -f "$work/$name" "$to/$name"
printf '%s is in %s, checked\n' "$name" "$to"
