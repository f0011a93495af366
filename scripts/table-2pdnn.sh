#!/usr/bin/env bash
# Reproduces the accuracy statement of 2P-DNN (arXiv 1807.08459: "above 97 %"
# on MNIST) for this project's LeNet-5: float, integer and encrypted accuracy
# side by side, for the first N test images.
#
#   scripts/table-2pdnn.sh [-n IMAGES] [-b KEY_BITS] [-d MNIST_FOLDER] [-o OUTPUT_STEM]
#
#   -n  how many test images, from the first on           (default 1000)
#   -b  bits of the Paillier key: 2048, 3072 or 4096      (default 3072)
#   -d  folder with the MNIST files, gzip'd or not        (default $PDNN_DATA/mnist, else data/mnist)
#   -o  write STEM.md and STEM.csv                        (default target/table-2pdnn)
#
# Prints the table as Markdown; exits with 1 if encrypted and clear logits differ
# for any image.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/mnist.sh

images=1000 bits=3072 out=target/table-2pdnn data=
fail() { echo "error: $*" >&2; exit 2; }
case ${1:-} in --help) set -- -h ;; esac
while getopts n:b:d:o:h option; do
  case $option in
    n) images=$OPTARG ;;
    b) bits=$OPTARG ;;
    d) data=$OPTARG ;;
    o) out=$OPTARG ;;
    h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) fail "see $0 -h" ;;
  esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || fail "unexpected argument: $1; see $0 -h"
case $images in '' | *[!0-9]* | 0*) fail "-n $images: expected a number of images, 1 to 10000" ;; esac
case $bits in 2048 | 3072 | 4096) ;; *) fail "-b $bits: expected 2048, 3072 or 4096" ;; esac

found=$(mnist_folder "$data")
has_mnist_test "$found" ||
  fail "no MNIST test images${data:+ in $data}; run scripts/fetch-mnist.sh, or name their folder with -d"
data=$found

command -v python3 >/dev/null || fail "python3 is needed to lay out the table"
cargo build --release --quiet --features train
pdnn=${CARGO_TARGET_DIR:-target}/release/pdnn
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What the network answers before it is quantised.
"$pdnn" evaluate --float models/lenet5/checkpoint.safetensors --data "$data" --limit "$images" --json >"$work/float"
"$pdnn" evaluate --data "$data" --limit "$images" --json >"$work/integer"
status=0
"$pdnn" evaluate --data "$data" --limit "$images" --encrypted --bits "$bits" --json >"$work/encrypted" || status=$?
[ -s "$work/encrypted" ] || exit "$status"

mkdir -p "$(dirname "$out")"
python3 - "$work" "$out" <<'PYTHON'
import json, sys

work, out = sys.argv[1:]
float_, integer, encrypted = (
    json.load(open(f"{work}/{name}")) for name in ("float", "integer", "encrypted")
)
count = encrypted["images"]
assert float_["images"] == integer["images"] == count, "the three ran on different images"
crypto = encrypted["encrypted"]
rows = [
    ("2P-DNN, as published (10,000 images)", "> 97", "", ""),
    ("float", f"{100 * float_['accuracy']:.2f}", "", ""),
    ("integer, in the clear", f"{100 * integer['accuracy']:.2f}", "", ""),
    (
        f"integer, encrypted ({crypto['key_bits']} bits)",
        f"{100 * encrypted['accuracy']:.2f}",
        str(crypto["differing"]),
        f"{encrypted['elapsed_ms'] / 1e3:.1f}",
    ),
]
head = ("LeNet-5 on MNIST", "accuracy, %", "differing images", "seconds")
lines = [f"First {count} test images.", ""]
lines += ["| " + " | ".join(head) + " |", "|---|---|---|---|"]
lines += ["| " + " | ".join(row) + " |" for row in rows]
text = "\n".join(lines) + "\n"
open(f"{out}.md", "w").write(text)
with open(f"{out}.csv", "w") as file:
    file.write("row,images,accuracy_percent,differing_images,seconds\n")
    for name, accuracy, differing, seconds in rows:
        images = 10000 if "published" in name else count
        file.write(f'"{name}",{images},{accuracy},{differing},{seconds}\n')
print(text, end="")
PYTHON
echo "written: $out.md $out.csv" >&2
exit "$status"
