#!/usr/bin/env bash
# Measures what the README and docs/performance state, each figure beside the
# one that was asked for: arithmetic and ciphertexts on one core, one image and
# batches from end to end with every kernel that this machine has. Markdown.
#
#   scripts/measure.sh [-r RUNS] [-n IMAGES] [-d MNIST_FOLDER] [-m "MODEL …"] [-o FOLDER] [-u] [-B] [-G]
#
#   -r  runs of one image, of which the median is printed       (default 9)
#   -n  images in a batch; 0 leaves batches out                 (default 2000)
#   -d  folder with the MNIST files                             (default $PDNN_DATA/mnist, else data/mnist)
#   -m  networks under models/                                  (default "lenet5 lenet5-fast")
#   -o  also write figures.md, figures.csv and figures.svg into FOLDER
#   -u  also put the tables of images into README.md, between its marks
#   -B  leave out the benches (arithmetic, ciphertexts), which take minutes to build
#   -G  leave out GMP, which needs m4, make and a C compiler    (default without m4)
#
# Nothing else should run on the machine. Takes about ten minutes once built.
# Exits with 1, after the tables, if a figure that was asked for is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/mnist.sh

runs=9 images=2000 data= models="lenet5 lenet5-fast" out= update=no benches=yes gmp=yes
fail() { echo "error: $*" >&2; exit 2; }
case ${1:-} in --help) set -- -h ;; esac
while getopts r:n:d:m:o:uBGh option; do
  case $option in
    r) runs=$OPTARG ;;
    n) images=$OPTARG ;;
    d) data=$OPTARG ;;
    m) models=$OPTARG ;;
    o) out=$OPTARG ;;
    u) update=yes ;;
    B) benches=no ;;
    G) gmp=no ;;
    h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) fail "see $0 -h" ;;
  esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || fail "unexpected argument: $1; see $0 -h"
case $runs in '' | *[!0-9]* | 0*) fail "-r $runs: expected a number from 1 on" ;; esac
[[ $images =~ ^[0-9]{1,5}$ && 10#$images -le 10000 ]] || fail "-n $images: expected a number from 0 to 10000"
[ -z "$out" ] || [ -d "$out" ] || fail "-o $out: no such folder"
[ -n "${models//[[:space:]]/}" ] || fail "-m: expected at least one network under models/"
for model in $models; do
  [ -f "models/$model/profile.json" ] || fail "-m: no network in models/$model"
done
if [ "$images" -gt 0 ]; then
  found=$(mnist_folder "$data")
  has_mnist_test "$found" ||
    fail "no MNIST test images${data:+ in $data}; run scripts/fetch-mnist.sh, name their folder with -d, or leave batches out with -n 0"
  data=$found
fi
if [ $gmp = yes ] && [ $benches = yes ] && ! command -v m4 >/dev/null; then
  echo "no m4, so GMP is left out" >&2
  gmp=no
fi
command -v python3 >/dev/null || fail "python3 is needed to lay out the tables"

cargo build --release --quiet
exec python3 -B scripts/measure.py "${CARGO_TARGET_DIR:-target}/release/pdnn" \
  "$runs" "$images" "$data" "$out" "$models" $update $benches $gmp
