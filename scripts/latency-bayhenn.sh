#!/usr/bin/env bash
# Reproduces the latency table of BAYHENN (arXiv 1906.00639) with this project's
# Bayesian LeNet-5: seconds and bytes of a query for one image, both sides
# together on this machine, beside published figures of other systems.
#
#   scripts/latency-bayhenn.sh [-r RUNS] [-t "T …"] [-b "BITS …"] [-m MODEL_FOLDER] [-i IMAGE]
#
#   -r  runs, of which the median is printed                    (default 5)
#   -t  numbers of samples                                      (default "1 4 8")
#   -b  bits of the Paillier keys                               (default "2048 3072")
#   -m  the Bayesian network                                    (default models/lenet5-bayes)
#   -i  the image                                               (default data/sample/7-a.png)
#
# Prints Markdown. Each run has a key of its own, whose making is not counted.
# PDNN names another binary than the release one, which is built otherwise.
set -euo pipefail
. "$(dirname "$0")/pdnn.sh"
absolute_pdnn
cd "$(dirname "$0")/.."

runs=5 samples="1 4 8" bits="2048 3072" model=models/lenet5-bayes image=data/sample/7-a.png
fail() { echo "error: $*" >&2; exit 2; }
case ${1:-} in --help) set -- -h ;; esac
while getopts r:t:b:m:i:h option; do
  case $option in
    r) runs=$OPTARG ;;
    t) samples=$OPTARG ;;
    b) bits=$OPTARG ;;
    m) model=$OPTARG ;;
    i) image=$OPTARG ;;
    h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) fail "see $0 -h" ;;
  esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || fail "unexpected argument: $1; see $0 -h"
check_pdnn
case $runs in '' | *[!0-9]* | 0*) fail "-r $runs: expected a number from 1 on" ;; esac
[ -n "${samples//[[:space:]]/}" ] || fail "-t: expected numbers of samples"
for count in $samples; do
  case $count in *[!0-9]* | 0*) fail "-t $count: expected a number from 1 on" ;; esac
done
[ -n "${bits//[[:space:]]/}" ] || fail "-b: expected 2048, 3072 or 4096, or several of them"
for size in $bits; do
  case $size in 2048 | 3072 | 4096) ;; *) fail "-b $size: expected 2048, 3072 or 4096" ;; esac
done
[ -f "$model/profile.json" ] || fail "no network in $model; name its folder with -m"
[ -f "$image" ] || fail "no image $image; name one with -i"
command -v python3 >/dev/null || fail "python3 is needed to lay out the table"

pdnn=${PDNN:-}
if [ -z "$pdnn" ]; then
  cargo build --release --quiet
  pdnn=${CARGO_TARGET_DIR:-target}/release/pdnn
fi
exec python3 - "$pdnn" "$runs" "$samples" "$bits" "$model" "$image" <<'PYTHON'
import json, os, platform, subprocess, sys

pdnn, runs, samples, bits, model, image = sys.argv[1:]


def run(*options):
    """The run whose time is the median."""
    results = []
    for _ in range(int(runs)):
        done = subprocess.run(
            [pdnn, "run", image, *options, "--json", "--quiet"], stdout=subprocess.PIPE
        )
        if done.returncode != 0:
            sys.exit(f"error: run {' '.join(options)} failed")
        results.append(json.loads(done.stdout))
    results.sort(key=lambda result: result["elapsed_ms"])
    return results[len(results) // 2]


def row(name, size, result):
    total = result["total"]
    print(
        f"| {name} | {size} | **{result['elapsed_ms'] / 1e3:.3f}** "
        f"| {total['encrypt_ms'] / 1e3:.3f} | {total['server_ms'] / 1e3:.3f} "
        f"| {total['decrypt_ms'] / 1e3:.3f} | {total['bytes_up'] / 1024:,.0f} "
        f"| {total['bytes_down'] / 1024:,.0f} | {total['drawn']:,} | here |",
        flush=True,
    )


cpu = platform.processor() or platform.machine()
try:
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
except OSError:
    pass
print(f"One image; here: {cpu}, {os.cpu_count()} cores, median of {runs} runs, {model}.\n")
print(
    "| | key bits | seconds a query | encrypt | server | decrypt | KiB up | KiB down "
    "| weights drawn | whose machine |"
)
print("|---|---|---|---|---|---|---|---|---|---|")
for size in bits.split():
    row("2P-DNN, models/lenet5", size, run("--bits", size))
    for count in samples.split():
        result = run("--bits", size, "--network", model, "--samples", count)
        row(f"BAYHENN, T = {count}", size, result)
print("| CryptoNets, published | – | 298 a batch | | | | | | | its authors' |")
print("| GAZELLE, published | – | 0.20, of it 0.05 online | | | | | | | its authors' |")
print(
    "\nBoth sides run on one machine with no network between them. The published figures were "
    "taken by other authors on their machines, for networks and security parameters of their "
    "own: they show orders of magnitude. CryptoNets takes as long for one image as for a batch "
    "of thousands; GAZELLE's figures are for one image."
)
PYTHON
