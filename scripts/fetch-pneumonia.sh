#!/bin/sh
# Brings PneumoniaMNIST (MedMNIST v2, CC BY 4.0) to data/pneumonia, from its
# public home on Zenodo, as six IDX files named as MNIST's: train-, val- and
# test-, images and labels.
#
# The archive is accepted only if it has the MD5 that MedMNIST lists for it.
# Its NumPy arrays are then written as IDX files by python3, standard library
# alone. A set that is there is kept. Nothing is ever left half written: files
# are made in a temporary folder beside their target, and then renamed.
set -eu

usage() {
    cat <<'END'
Usage: scripts/fetch-pneumonia.sh [--from FILE] [--to DIR]

  --from FILE  take pneumoniamnist.npz from FILE instead of the network
  --to DIR     where to put the set; default: pneumonia in $PDNN_DATA, or else
               in data

Environment:
  PDNN_PNEUMONIA_URL   where the archive is, instead of the built-in address
  PDNN_DATA            folder of data sets; default: data in the repository
END
}

fail() {
    printf 'fetch-pneumonia: %s\n' "$*" >&2
    exit 1
}

url=${PDNN_PNEUMONIA_URL:-'https://zenodo.org/records/6496656/files/pneumoniamnist.npz?download=1'}
md5=28209eda62fecd6e6a2d98b1501bb15f
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

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
[ -n "$to" ] || to=${PDNN_DATA:-$root/data}/pneumonia
[ -z "$from" ] || [ -f "$from" ] || fail "no file $from"
command -v python3 >/dev/null || fail "needs python3 to unpack NumPy arrays"

there=yes
for set in train val test; do
    for name in "$set-images-idx3-ubyte" "$set-labels-idx1-ubyte"; do
        [ -f "$to/$name" ] || [ -f "$to/$name.gz" ] || there=no
    done
done
if [ $there = yes ]; then
    printf 'PneumoniaMNIST is in %s\n' "$to"
    exit 0
fi

mkdir -p "$to" || fail "cannot make the folder $to"
work=$(mktemp -d "$to/.fetch-XXXXXX") || fail "cannot write to $to"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

archive=$from
if [ -z "$archive" ]; then
    archive=$work/pneumoniamnist.npz
    printf 'fetching %s\n' "$url" >&2
    if command -v curl >/dev/null; then
        curl --fail --silent --show-error --location --connect-timeout 15 \
            --speed-limit 1000 --speed-time 30 --retry 2 --max-filesize 20000000 \
            --output "$archive" "$url"
    elif command -v wget >/dev/null; then
        wget --quiet --timeout=30 --tries=3 --output-document="$archive" "$url"
    else
        fail "needs curl or wget"
    fi || fail "$url gave nothing; is there a network? With a local copy, use --from FILE"
fi

python3 - "$archive" "$md5" "$work" <<'END' || fail "$archive was refused"
"""Writes the arrays of a checked PneumoniaMNIST archive as IDX files."""
import ast, hashlib, struct, sys, zipfile

archive, md5, work = sys.argv[1:]
with open(archive, "rb") as file:
    if hashlib.md5(file.read(20_000_000), usedforsecurity=False).hexdigest() != md5:
        sys.exit("its checksum does not match")


def array(packed, name):
    """Shape and bytes of an array of bytes in NumPy's format 1.0."""
    data = packed.read(name + ".npy")
    if data[:8] != b"\x93NUMPY\x01\x00":
        sys.exit(name + " is no NumPy array")
    start = 10 + struct.unpack("<H", data[8:10])[0]
    head = ast.literal_eval(data[10:start].decode("latin1"))
    if head["descr"] != "|u1" or head["fortran_order"]:
        sys.exit(name + " is not an array of bytes, row by row")
    return head["shape"], data[start:]


counts = {"train": 4708, "val": 524, "test": 624}
with zipfile.ZipFile(archive) as packed:
    for part, count in counts.items():
        shape, pixels = array(packed, part + "_images")
        if shape != (count, 28, 28) or len(pixels) != count * 784:
            sys.exit(f"{part}_images has the shape {shape}")
        with open(f"{work}/{part}-images-idx3-ubyte", "wb") as file:
            file.write(struct.pack(">4I", 0x803, count, 28, 28) + pixels)
        shape, labels = array(packed, part + "_labels")
        if shape != (count, 1) or len(labels) != count or max(labels) > 1:
            sys.exit(f"{part}_labels has the shape {shape}")
        with open(f"{work}/{part}-labels-idx1-ubyte", "wb") as file:
            file.write(struct.pack(">2I", 0x801, count) + labels)
END

for file in "$work"/*-ubyte; do
    chmod 644 "$file"
    mv -f "$file" "$to/"
done
printf 'PneumoniaMNIST is in %s\n' "$to"
