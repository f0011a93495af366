#!/usr/bin/env bash
# Reproduces the statements of the secure scalar product (Tran et al., RIVF
# 2021: 98.8 % on MNIST, 95.02 % on COVID-19, about 120,000 predictions an hour
# on one PC) for this project's masked protocol: accuracy in floats, integers
# and masked side by side, and predictions an hour.
#
#   scripts/table-scalar-product.sh [-n IMAGES] [-t IMAGES] [-k KEYS] [-d DATA] [-w WORK] [-o OUTPUT_STEM]
#
#   -n  how many test images or rows of each set are classified masked; 0: all (default 1000)
#   -t  how many MNIST images predictions an hour are measured with (default 2000)
#   -k  keys, separated by commas: bits, or bits:subgroup
#       (default 2048,3072,2048:subgroup,3072:subgroup)
#   -d  folder with the data sets                         (default $PDNN_DATA, else data)
#   -w  folder for what is made on the way and kept       (default target/scalar-product)
#   -o  write STEM.md and STEM.csv                        (default target/table-scalar-product)
#
# Data sets, each left out with a line that says so if it is not there:
#   mnist            scripts/fetch-mnist.sh
#   covid_symptoms   scripts/fetch-covid.sh
#   covid_xray       chest X-rays, COVID-19 or normal: "COVID-19 Radiography
#                    Database" on Kaggle, which wants an account, so no script
#                    fetches it. Expected are gzip'd or plain IDX files of grey
#                    images of 32x32 pixels, label 0 normal and 1 COVID-19:
#                    train-images-idx3-ubyte, train-labels-idx1-ubyte,
#                    test-images-idx3-ubyte, test-labels-idx1-ubyte. To make
#                    them: scale the pictures of the folders COVID and Normal
#                    to 32x32 grey pixels, shuffle, keep a fifth for testing.
#                    Its licence is not known: the network trained on it stays
#                    in WORK.
#
# The X-ray network is trained here, in a quarter of an hour or so; the same
# command again goes on after an interruption: a network that is in WORK is not
# trained again, nor floats that were trained before. Prints the table as
# Markdown; exits with 1 if masked and clear logits differ anywhere.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/mnist.sh

masked=1000 timed=2000 keys=2048,3072,2048:subgroup,3072:subgroup
data=${PDNN_DATA:-data} work=target/scalar-product out=target/table-scalar-product
fail() { echo "error: $*" >&2; exit 2; }
case ${1:-} in --help) set -- -h ;; esac
while getopts n:t:k:d:w:o:h option; do
  case $option in
    n) masked=$OPTARG ;;
    t) timed=$OPTARG ;;
    k) keys=$OPTARG ;;
    d) data=$OPTARG ;;
    w) work=$OPTARG ;;
    o) out=$OPTARG ;;
    h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) fail "see $0 -h" ;;
  esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || fail "unexpected argument: $1; see $0 -h"
case $masked in '' | *[!0-9]*) fail "-n $masked: expected a number" ;; esac
case $timed in '' | *[!0-9]* | 0*) fail "-t $timed: expected a number from 1 on" ;; esac
[ -n "$keys" ] || fail "-k: expected keys, separated by commas"
IFS=, read -ra each_key <<<"$keys"
for key in "${each_key[@]}"; do
  case ${key%:subgroup} in 2048 | 3072 | 4096) ;; *) fail "-k $key: expected 2048, 3072 or 4096, or one of them with :subgroup" ;; esac
done
[ -n "$work" ] || fail "-w: expected a folder"
[ -n "$out" ] || fail "-o: expected a path"

# What there is, before the results of an earlier call are removed.
mnist='' symptoms='' xrays=''
if has_mnist_test "$data/mnist"; then mnist=$data/mnist; fi
raw=$data/covid_symptoms/corona_tested_individuals_ver_006.english.csv
for packed in "$raw" "$raw.gz" "$raw.zip"; do
  [ ! -f "$packed" ] || symptoms=$packed
done
for packed in "$data"/covid_xray/train-images-idx3-ubyte{,.gz}; do
  [ ! -f "$packed" ] || xrays=$data/covid_xray
done
[ -n "$mnist$symptoms$xrays" ] ||
  fail "none of the data sets is in '$data'; run scripts/fetch-mnist.sh, or name their folder with -d"
command -v python3 >/dev/null || fail "python3 is needed to lay out the table"
mkdir -p "$work" "$(dirname "$out")"
cargo build --release --quiet --features train
pdnn=${CARGO_TARGET_DIR:-target}/release/pdnn
results=$work/results
rm -rf "$results"
mkdir -p "$results"
limit=()
[ "$masked" -eq 0 ] || limit=(--limit "$masked")
status=0

# Accuracy of one network on one set: name, network, checkpoint, data.
accuracy() {
  echo "$1: float, integer, masked" >&2
  if [ -f "$3" ]; then
    "$pdnn" evaluate --network "$2" --float "$3" --data "$4" --json >"$results/$1.float"
  fi
  "$pdnn" evaluate --network "$2" --data "$4" --json >"$results/$1.integer"
  "$pdnn" evaluate --network "$2" --data "$4" --encrypted --protocol masked --bits 2048 \
    ${limit[@]+"${limit[@]}"} --json >"$results/$1.masked" || status=1
  [ -s "$results/$1.masked" ] || exit 1
}

network=models/lenet5
[ ! -d models/lenet5-fast ] || network=models/lenet5-fast

if [ -n "$mnist" ]; then
  accuracy mnist "$network" "$network/checkpoint.safetensors" "$mnist"
else
  echo "left out: MNIST; scripts/fetch-mnist.sh brings it" >&2
fi

if [ -n "$symptoms" ]; then
  scripts/prepare-covid-symptoms.py --raw "$symptoms" --out "$work/covid_symptoms" >&2
  accuracy symptoms-by-date models/covid-symptoms models/covid-symptoms/checkpoint.safetensors \
    "$work/covid_symptoms/by-date/test.csv"
  accuracy symptoms-random models/covid-symptoms-random \
    models/covid-symptoms-random/checkpoint.safetensors "$work/covid_symptoms/random/test.csv"
else
  echo "left out: COVID-19 symptoms; scripts/fetch-covid.sh brings them" >&2
fi

if [ -n "$xrays" ]; then
  echo "The X-rays of the two classes come from different hospitals: accuracy flatters." >&2
  if [ ! -f "$work/covid-xray/model.safetensors" ]; then
    from=()
    rm -rf "$work/covid-xray"
    # Floats that an earlier call trained.
    [ ! -f "$work/covid-xray.checkpoint" ] || from=(--from "$work/covid-xray.checkpoint")
    "$pdnn" train --out "$work/covid-xray" --data "$xrays" --labels normal,COVID-19 \
      --name covid-xray --topology lenet5-strided --epochs "$([ ${#from[@]} -eq 0 ] && echo 40 || echo 0)" \
      --qat-epochs 8 --checkpoint "$work/covid-xray.checkpoint" --force \
      ${from[@]+"${from[@]}"} >&2
  fi
  accuracy xray "$work/covid-xray" "$work/covid-xray.checkpoint" "$xrays"
else
  echo "left out: COVID-19 X-rays; see $0 -h for what is expected in $data/covid_xray" >&2
fi

if [ -n "$mnist" ]; then
  for key in "${each_key[@]}"; do
    echo "predictions an hour: key $key" >&2
    scheme=()
    [ "$key" = "${key%:subgroup}" ] || scheme=(--scheme subgroup)
    "$pdnn" evaluate --network "$network" --data "$mnist" --limit "$timed" --encrypted \
      --protocol masked --bits "${key%:subgroup}" ${scheme[@]+"${scheme[@]}"} --json \
      >"$results/hourly.$key" || status=1
    [ -s "$results/hourly.$key" ] || exit 1
  done
fi

python3 - "$results" "$out" "$network" "$keys" <<'PYTHON'
import csv, json, os, sys

results, out, network, keys = sys.argv[1:]


def load(name):
    path = os.path.join(results, name)
    if not os.path.exists(path):
        return None
    with open(path) as file:
        return json.load(file)


def percent(record, member="accuracy"):
    return "" if record is None or record.get(member) is None else f"{100 * record[member]:.2f}"


SETS = (
    ("mnist", f"MNIST, {os.path.basename(network)}", "98.8"),
    ("symptoms-by-date", "COVID-19 symptoms, tested later", "95.02"),
    ("symptoms-random", "COVID-19 symptoms, random split", "95.02"),
    ("xray", "COVID-19 X-rays", "95.02"),
)
HEAD = (
    "set", "theirs, %", "test examples", "float, %", "integer, %", "masked, %", "masked examples",
    "differing", "balanced, %", "ROC AUC", "majority class, %",
)
rows = []
for name, title, theirs in SETS:
    integer = load(name + ".integer")
    if integer is None:
        continue
    masked = load(name + ".masked")
    two = len(integer["labels"]) == 2
    area = integer.get("roc_auc")
    rows.append((
        title, theirs, str(integer["images"]), percent(load(name + ".float")), percent(integer),
        percent(masked), str(masked["images"]), str(masked["encrypted"]["differing"]),
        percent(integer, "balanced_accuracy") if two else "",
        f"{area:.4f}" if two and area is not None else "",
        percent(integer, "majority_share") if two else "",
    ))
HOURLY = ("key", "predictions", "online an hour", "preparation an hour", "both an hour", "differing")
speeds = [("theirs, one PC", "", "", "", "about 120,000", "")]
for key in keys.split(","):
    record = load(f"hourly.{key}")
    if record is None:
        continue
    phases = record["encrypted"]["phases"]
    hourly = lambda member: f"{int(phases[member]):,}"
    speeds.append((
        key.replace(":", " bits, ") if ":" in key else f"{key} bits", str(record["images"]),
        hourly("online_per_hour"), hourly("preparation_per_hour"), hourly("both_per_hour"),
        str(record["encrypted"]["differing"]),
    ))


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


lines = table(HEAD, rows) + [
    "",
    "Theirs on COVID-19 is on a set that they do not name. Float, integer and the columns behind",
    "\"differing\" are on all test examples. A masked logit that differs from the clear one is an error.",
]
if any("X-rays" in row[0] for row in rows):
    lines += [
        "The two classes of the X-rays come from different hospitals, so their accuracy flatters; the",
        "licence of that set is not known.",
    ]
lines += ["", f"MNIST, {os.path.basename(network)}, masked:", ""] + table(HOURLY, speeds)
text = "\n".join(lines) + "\n"
with open(f"{out}.md", "w") as file:
    file.write(text)
with open(f"{out}.csv", "w", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows(rows)
    writer.writerow(())
    writer.writerow(HOURLY)
    writer.writerows(speeds)
print(text, end="")
PYTHON
echo "written: $out.md $out.csv" >&2
exit "$status"
