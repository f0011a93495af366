#!/bin/sh
# Brings the four files of MNIST to data/mnist, from public mirrors.
#
# A file is accepted only if its unpacked contents have the MD5 that MNIST's
# readers have always listed and the SHA-256 below; whatever does not match is
# refused and removed. A file that is already there and right is kept. Nothing
# is ever left half written: files are unpacked and checked in a temporary
# folder beside their target, and then renamed.
set -eu

usage() {
    cat <<'END'
Usage: scripts/fetch-mnist.sh [--from DIR] [--to DIR]

  --from DIR   take the files from DIR (plain or .gz) instead of the network
  --to DIR     where to put them; default: mnist in $PDNN_DATA, or else in data

Environment:
  PDNN_MNIST_MIRRORS   base URLs, separated by spaces, instead of the built-in
  PDNN_DATA            folder of data sets; default: data in the repository
END
}

fail() {
    printf 'fetch-mnist: %s\n' "$*" >&2
    exit 1
}

# name, MD5 and SHA-256 of the unpacked contents
files='
train-images-idx3-ubyte 6bbc9ace898e44ae57da46a324031adb ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db
train-labels-idx1-ubyte a25bea736e30d166cdddb491f175f624 65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5
t10k-images-idx3-ubyte 2646ac647ad5339dbf082846283269ea 0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7
t10k-labels-idx1-ubyte 27ae3e4e09519cfbb04c329615203637 ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2
'
mirrors=${PDNN_MNIST_MIRRORS:-'https://ossci-datasets.s3.amazonaws.com/mnist https://storage.googleapis.com/cvdf-datasets/mnist'}
from=
to=

while [ $# -gt 0 ]; do
    case $1 in
        --from | --to)
            [ $# -ge 2 ] || fail "$1 needs a folder"
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

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
[ -n "$to" ] || to=${PDNN_DATA:-$root/data}/mnist
[ -z "$from" ] || [ -d "$from" ] || fail "no folder $from"

# The tools differ between systems; the sum is the first word of each.
sum() { # sum md5|sha256 FILE
    if command -v "$1sum" >/dev/null; then
        "$1sum" <"$2"
    elif [ "$1" = md5 ] && command -v md5 >/dev/null; then
        md5 -q "$2"
    elif [ "$1" = sha256 ] && command -v shasum >/dev/null; then
        shasum -a 256 <"$2"
    elif command -v openssl >/dev/null; then
        openssl dgst -r "-$1" <"$2"
    else
        fail "needs $1sum, shasum or openssl to check what it fetches"
    fi | cut -d ' ' -f 1
}

right() { # right FILE MD5 SHA256
    [ "$(sum md5 "$1")" = "$2" ] && [ "$(sum sha256 "$1")" = "$3" ]
}

fetch() { # fetch URL FILE
    if command -v curl >/dev/null; then
        curl --fail --silent --show-error --location --connect-timeout 15 \
            --speed-limit 1000 --speed-time 30 --retry 2 --max-filesize 100000000 \
            --output "$2" "$1"
    elif command -v wget >/dev/null; then
        wget --quiet --timeout=30 --tries=3 --output-document="$2" "$1"
    else
        fail "needs curl or wget"
    fi
}

# unpack GZ FILE: no further than 64 MiB, so that no archive fills the disk
unpack() {
    gzip -dc "$1" 2>/dev/null | head -c 67108864 >"$2"
}

mkdir -p "$to" || fail "cannot make the folder $to"
work=$(mktemp -d "$to/.fetch-XXXXXX") || fail "cannot write to $to"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

# Puts the file $name, checked, at $work/$name; false if there is none.
from_folder() {
    if [ -f "$from/$name" ]; then
        cp "$from/$name" "$work/$name"
    elif [ -f "$from/$name.gz" ]; then
        unpack "$from/$name.gz" "$work/$name"
    else
        fail "neither $name nor $name.gz in $from"
    fi
    right "$work/$name" "$md5" "$sha256" ||
        fail "$name in $from is not MNIST's: its checksum does not match"
}

from_mirrors() {
    for mirror in $mirrors; do
        url=${mirror%/}/$name.gz
        printf 'fetching %s\n' "$url" >&2
        rm -f "$work/$name" "$work/$name.gz"
        if ! fetch "$url" "$work/$name.gz"; then
            printf 'fetch-mnist: %s gave nothing\n' "${mirror%/}" >&2
        elif ! unpack "$work/$name.gz" "$work/$name" ||
            ! right "$work/$name" "$md5" "$sha256"; then
            printf 'fetch-mnist: refused %s: its checksum does not match\n' "$url" >&2
        else
            return 0
        fi
    done
    fail "no mirror gave $name; is there a network? With local copies, use --from DIR"
}

# A here-document, not a pipe: `fail` must end the script.
while read -r name md5 sha256; do
    [ -n "$name" ] || continue
    if [ -f "$to/$name" ] && right "$to/$name" "$md5" "$sha256"; then
        printf '%s is there\n' "$name"
        continue
    fi
    if [ -n "$from" ]; then from_folder; else from_mirrors; fi
    chmod 644 "$work/$name"
    mv -f "$work/$name" "$to/$name"
    printf '%s fetched and checked\n' "$name"
done <<END
$files
END
printf 'MNIST is in %s\n' "$to"
