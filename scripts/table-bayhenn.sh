#!/usr/bin/env bash
# Reproduces the tables of BAYHENN (arXiv 1906.00639) with this project's
# LeNet-5.
#
# Accuracy: rows Normal (ReLU), Square (x² in place of ReLU, as systems that only
# add and multiply need) and Bayes (weights drawn anew, the mean of 4 softmax
# vectors); columns training accuracy, test accuracy and the gap between the
# two, in integers, as mean and standard deviation over several seeds. Data sets
# are MNIST and, where the paper has IDC, of which no usable copy could be had,
# PneumoniaMNIST. Every network is trained here, without distorting the images:
# the gap is about overfitting. Finished trainings are not repeated.
#
# Latency: scripts/latency-bayhenn.sh, called at the end.
#
#   scripts/table-bayhenn.sh [--seeds N] [--sets "SET …"] [--out FOLDER] [--quick] [--no-latency]
#
#   --seeds N      seeds 1 to N                                  (default 3)
#   --sets "…"     of mnist and pneumonia                        (default both)
#   --out FOLDER   trainings, accuracy.md, accuracy.csv          (default target/table-bayhenn)
#   --quick        one seed, one epoch of each kind: to see that it works
#   --no-latency   accuracy only
#
# The data are looked for in $PDNN_DATA, or else in data: scripts/fetch-mnist.sh
# and scripts/fetch-pneumonia.sh bring them there. PDNN names another binary
# than the release one, which is built otherwise.
set -euo pipefail
. "$(dirname "$0")/pdnn.sh"
absolute_pdnn
cd "$(dirname "$0")/.."

seeds=3 sets="mnist pneumonia" out=target/table-bayhenn quick= latency=yes
fail() { echo "error: $*" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --seeds | --sets | --out)
      [ $# -ge 2 ] || fail "$1 needs a value; see $0 --help"
      case $1 in --seeds) seeds=$2 ;; --sets) sets=$2 ;; --out) out=$2 ;; esac
      shift 2 ;;
    --quick) quick=yes seeds=1; shift ;;
    --no-latency) latency=; shift ;;
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) fail "unexpected argument: $1; see $0 --help" ;;
  esac
done
check_pdnn
case $seeds in '' | *[!0-9]* | 0*) fail "--seeds $seeds: expected a number from 1 on" ;; esac
command -v python3 >/dev/null || fail "python3 is needed to lay out the table"

data=${PDNN_DATA:-data}
for set in $sets; do
  case $set in mnist | pneumonia) ;; *) fail "--sets: no set $set; choose mnist, pneumonia" ;; esac
  [ -d "$data/$set" ] || fail "no $data/$set; scripts/fetch-$set.sh brings it, PDNN_DATA names another folder than data"
done
pdnn=${PDNN:-}
if [ -z "$pdnn" ]; then
  cargo build --release --quiet --features train
  pdnn=${CARGO_TARGET_DIR:-target}/release/pdnn
fi
[ -z "$quick" ] || out=$out-quick
mkdir -p "$out"

# What sets the rows apart. x² has steep gradients: a lower rate, and clipping.
row_options() {
  case $1 in
    normal) echo "--topology lenet5" ;;
    square) echo "--topology lenet5-square --rate 0.001 --clip 1" ;;
    bayes) echo "--topology lenet5 --bayesian" ;;
  esac
}
# What sets the data sets apart: MNIST has thirteen times the images.
epochs() {
  case $quick$1 in
    mnist) echo "--epochs 5 --qat-epochs 1" ;;
    pneumonia) echo "--epochs 25 --qat-epochs 5" ;;
    yes*) echo "--epochs 1 --qat-epochs 1" ;;
  esac
}
labels() { case $1 in pneumonia) echo "--labels normal,pneumonia" ;; esac; }

total=0 done=0
for set in $sets; do total=$((total + 3 * seeds)); done
for seed in $(seq 1 "$seeds"); do
  for set in $sets; do
    for row in normal square bayes; do
      done=$((done + 1))
      name=$set-$row-$seed
      if [ -s "$out/$name.json" ]; then
        echo "[$done/$total] $name: is there" >&2
        continue
      fi
      echo "[$done/$total] $name" >&2
      # Words, not one argument each.
      # shellcheck disable=SC2046
      "$pdnn" train --data "$data/$set" --out "$out/$name" --force --name "$set-$row" --seed "$seed" \
        $(row_options "$row") $(epochs "$set") $(labels "$set") --no-augment --training --test --json >"$out/$name.part" \
        2>"$out/$name.log" || { tail -3 "$out/$name.log" >&2; fail "$name was not trained"; }
      mv "$out/$name.part" "$out/$name.json"
    done
  done
done

python3 - "$out" "$seeds" $sets <<'PYTHON'
import csv, json, statistics, sys

out, seeds, *sets = sys.argv[1:]
titles = {"mnist": "MNIST", "pneumonia": "PneumoniaMNIST"}
rows = {"normal": "Normal", "square": "Square", "bayes": "Bayes (4 draws)"}
table, lines = [], []
for data in sets:
    for row, title in rows.items():
        figures = {}
        for seed in range(1, int(seeds) + 1):
            run = json.load(open(f"{out}/{data}-{row}-{seed}.json"))
            for kind in ("integer", "float"):
                train, test = (100 * run[of][kind] for of in ("training", "test"))
                figures.setdefault(kind, []).append((train, test, train - test))
                table.append([data, row, seed, kind, f"{train:.3f}", f"{test:.3f}", f"{train - test:.3f}"])
        cells = []
        for column in zip(*figures["integer"]):
            mean = f"{statistics.mean(column):.2f}"
            cells.append(f"{mean} ± {statistics.stdev(column):.2f}" if len(column) > 1 else mean)
        lines.append(f"| {titles[data]} | {title} | " + " | ".join(cells) + " |")
text = (
    f"Accuracy in integers, %, mean ± standard deviation over {seeds} seeds.\n\n"
    "| data set | network | training | test | gap |\n|---|---|---|---|---|\n" + "\n".join(lines) + "\n"
)
open(f"{out}/accuracy.md", "w").write(text)
with open(f"{out}/accuracy.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["data", "network", "seed", "arithmetic", "training_percent", "test_percent", "gap_points"])
    writer.writerows(table)
print(text, end="")
PYTHON
echo "written: $out/accuracy.md $out/accuracy.csv" >&2

if [ -n "$latency" ]; then
  echo
  scripts/latency-bayhenn.sh
fi
