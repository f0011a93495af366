#!/usr/bin/env bash
# The networks for MNIST side by side: how many test images each gets right in
# integers, and what an encrypted prediction takes, as `pdnn inspect` counts it.
#
#   scripts/table-networks.sh [-b KEY_BITS] [-d MNIST_FOLDER] [-v] [NETWORK_FOLDER ...]
#
#   -b  bits of the Paillier key: 2048, 3072 or 4096      (default 2048)
#   -d  folder with the MNIST files, gzip'd or not        (default $PDNN_DATA/mnist, else data/mnist)
#   -v  the last 5,000 training images, on which choices are made, in place of the test images
#
# Networks are models/lenet5 and lenet5-fast, or those that are named.
#
# Prints Markdown. "In products" adds everything up in the cost of a product
# modulo n² on one core, one image: 65 for an encryption by the key's owner, 230
# for a re-randomisation, 450 for a decryption, 0.79 for a squaring (2048 bits,
# IFMA kernel; `cargo bench` measures them).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/mnist.sh

bits=2048 data='' validation=''
fail() { echo "error: $*" >&2; exit 2; }
while getopts b:d:vh option; do
  case $option in
    b) bits=$OPTARG ;;
    d) data=$OPTARG ;;
    v) validation=yes ;;
    h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) fail "see $0 -h" ;;
  esac
done
shift $((OPTIND - 1))
case $bits in 2048 | 3072 | 4096) ;; *) fail "-b $bits: expected 2048, 3072 or 4096" ;; esac

found=$(mnist_folder "$data")
[ -n "$found" ] ||
  fail "no MNIST images${data:+ in $data}; run scripts/fetch-mnist.sh, or name their folder with -d"
data=$found
set_of() {
  for file in "$data/$1-ubyte" "$data/$1-ubyte.gz"; do
    if [ -f "$file" ]; then echo "$file"; return; fi
  done
  fail "no $1-ubyte in $data; run scripts/fetch-mnist.sh"
}
if [ -n "$validation" ]; then
  examples=(--data "$(set_of train-images-idx3)" --labels "$(set_of train-labels-idx1)" --range 55000..60000)
else
  examples=(--data "$(set_of t10k-images-idx3)" --labels "$(set_of t10k-labels-idx1)")
fi

if [ $# -eq 0 ]; then
  set -- models/lenet5 models/lenet5-fast
fi

command -v python3 >/dev/null || fail "python3 is needed to lay out the table"
cargo build --release --quiet
pdnn=target/release/pdnn
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=100
for network; do
  number=$((number + 1))
  at="$work/$number"
  "$pdnn" inspect "$network" --bits "$bits" --json >"$at.work"
  "$pdnn" evaluate --network "$network" "${examples[@]}" --json >"$at.accuracy"
done

python3 - "$work" "${validation:+validation}" <<'PYTHON'
import glob, json, sys

work, which = sys.argv[1], sys.argv[2] or "test"
rows = []
for path in sorted(glob.glob(f"{work}/*.work")):
    facts = json.load(open(path))
    accuracy = json.load(open(path.replace(".work", ".accuracy")))
    for of in facts["work"]:
        total, images = of["total"], of["images"]
        up, down = total["ciphertexts_up"], total["ciphertexts_down"]
        cost = up * 65 + down * (230 + 450) + total["products"] + 0.79 * total["squarings"]
        rows.append([
            facts["name"], f"{100 * accuracy['accuracy']:.2f}", f"{images:,}", f"{up:,}", f"{down:,}",
            f"{total['products']:,}", f"{total['squarings']:,}", f"{cost / images:,.0f}",
        ])
head = ("network", f"{which}, %", "images", "up", "down", "products", "squarings", "in products, one image")
print("| " + " | ".join(head) + " |")
print("|---|---:|---:|---:|---:|---:|---:|---:|")
for row in rows:
    print("| " + " | ".join(row) + " |")
PYTHON
