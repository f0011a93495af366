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
# A Bayesian network is refused: `pdnn inspect` does not count its work.
#
# Prints Markdown. "In products" adds everything up in the cost of a product
# modulo n² on one core, one image: encryptions by the key's owner,
# re-randomisations, decryptions and squarings by what each costs in
# docs/performance/figures.csv (IFMA kernel), which scripts/measure.sh writes.
# The column stays empty for a length of key that is not in that file (4096).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/mnist.sh

bits=2048 data='' validation=''
fail() { echo "error: $*" >&2; exit 2; }
case ${1:-} in --help) set -- -h ;; esac
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
  prefix=train range=(--range 55000..60000)
else
  prefix=t10k range=()
fi
# One after the other: the first that is missing ends the script.
images=$(set_of $prefix-images-idx3)
labels=$(set_of $prefix-labels-idx1)
examples=(--data "$images" --labels "$labels" ${range[@]+"${range[@]}"})

if [ $# -eq 0 ]; then
  set -- models/lenet5 models/lenet5-fast
fi

command -v python3 >/dev/null || fail "python3 is needed to lay out the table"
cargo build --release --quiet
pdnn=${CARGO_TARGET_DIR:-target}/release/pdnn
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=100
for network; do
  number=$((number + 1))
  "$pdnn" inspect "$network" --bits "$bits" --json >"$work/$number.work"
  grep -q '"work":' "$work/$number.work" ||
    fail "$network: pdnn inspect counts no work of a Bayesian network; expected networks with fixed weights"
done
number=100
for network; do
  number=$((number + 1))
  "$pdnn" evaluate --network "$network" "${examples[@]}" --json >"$work/$number.accuracy"
done

python3 - "$work" "${validation:+validation}" "$bits" docs/performance/figures.csv <<'PYTHON'
import csv, glob, json, sys

work, which, bits, figures = sys.argv[1:]
which = which or "test"
# What an operation is called in `figures`, and the nanoseconds of its unit.
PRODUCT = "product mod n², IFMA kernel, a lane"
UNITS = {
    PRODUCT: 1, "square mod n², IFMA kernel, a lane": 1,
    "encrypt, owner": 1000, "re-randomise, combs": 1000, "decrypt": 1000,
}


def costs():
    """Of a squaring, an encryption, a re-randomisation and a decryption, in
    products; nothing if one of them is not in `figures`."""
    try:
        with open(figures, encoding="utf-8") as file:
            ns = {row["figure"]: float(row["measured"]) * UNITS[row["figure"]]
                  for row in csv.DictReader(file)
                  if row["figure"] in UNITS and row["key_bits"] == bits}
    except FileNotFoundError:
        return None
    if len(ns) < len(UNITS):
        return None
    return [ns[name] / ns[PRODUCT] for name in UNITS if name != PRODUCT]


known = costs()
if known:
    square, encrypt, rerandomise, decrypt = known
rows = []
for path in sorted(glob.glob(f"{work}/*.work")):
    facts = json.load(open(path))
    accuracy = json.load(open(path.replace(".work", ".accuracy")))
    for of in facts["work"]:
        total, images = of["total"], of["images"]
        up, down = total["ciphertexts_up"], total["ciphertexts_down"]
        cost = ""
        if known:
            cost = up * encrypt + down * (rerandomise + decrypt) + total["products"] + square * total["squarings"]
            cost = f"{cost / images:,.0f}"
        rows.append([
            facts["name"], f"{100 * accuracy['accuracy']:.2f}", f"{images:,}", f"{up:,}", f"{down:,}",
            f"{total['products']:,}", f"{total['squarings']:,}", cost,
        ])
head = ("network", f"{which}, %", "images", "up", "down", "products", "squarings", "in products, one image")
print("| " + " | ".join(head) + " |")
print("|---|---:|---:|---:|---:|---:|---:|---:|")
for row in rows:
    print("| " + " | ".join(row) + " |")
if known:
    print(
        f"\nIn products, from {figures} at {bits} bits: {encrypt:.0f} for an encryption by the key's owner, "
        f"{rerandomise:.0f} for a re-randomisation, {decrypt:.0f} for a decryption, {square:.2f} for a squaring."
    )
else:
    print(f"\nThe last column is empty: {figures} does not have what these cost at {bits} bits.")
PYTHON
