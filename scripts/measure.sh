#!/usr/bin/env bash
# Measures what the README states: one image and a batch, end to end, for every
# kernel that this machine has, as Markdown.
#
#   scripts/measure.sh [-r RUNS] [-n IMAGES] [-d MNIST_FOLDER]
#
#   -r  runs of one image, of which the median is printed       (default 5)
#   -n  images in the batch; 0 leaves the batch out             (default 1000)
#   -d  folder with the MNIST files                             (default $PDNN_DATA/mnist, else data/mnist)
set -euo pipefail
cd "$(dirname "$0")/.."

runs=5 images=1000 data=
fail() { echo "error: $*" >&2; exit 2; }
while getopts r:n:d:h option; do
  case $option in
    r) runs=$OPTARG ;;
    n) images=$OPTARG ;;
    d) data=$OPTARG ;;
    h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) fail "see $0 -h" ;;
  esac
done
case $runs$images in *[!0-9]*) fail "-r and -n take numbers; see $0 -h" ;; esac
[ "$runs" -ge 1 ] || fail "-r $runs: expected at least 1"
if [ -z "$data" ] && [ "$images" -gt 0 ]; then
  for folder in ${PDNN_DATA:+"$PDNN_DATA/mnist"} data/mnist; do
    if [ -d "$folder" ]; then data=$folder; break; fi
  done
  [ -n "$data" ] || fail "no MNIST test images; run scripts/fetch-mnist.sh, name their folder with -d, or leave the batch out with -n 0"
fi

command -v python3 >/dev/null || fail "python3 is needed to lay out the table"
cargo build --release --quiet
exec python3 - "$runs" "$images" "$data" <<'PYTHON'
import json, os, platform, statistics, subprocess, sys

runs, images, data = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
pdnn = "target/release/pdnn"


def call(kernel, *arguments):
    """JSON result, and the peak memory of the process in MiB."""
    process = subprocess.Popen(
        [pdnn, *arguments, "--json", "--quiet"],
        env={**os.environ, "PDNN_KERNEL": kernel},
        stdout=subprocess.PIPE,
    )
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"error: {' '.join(arguments)} with the {kernel} kernel failed")
    return json.loads(output), usage.ru_maxrss / 1024


def has(kernel):
    done = subprocess.run(
        [pdnn, "run", "data/sample/7-a.png", "--insecure", "--bits", "512", "--quiet"],
        env={**os.environ, "PDNN_KERNEL": kernel},
        capture_output=True,
    )
    return done.returncode == 0


kernels = [kernel for kernel in ("portable", "ifma") if has(kernel)]
cpu = platform.processor() or platform.machine()
try:
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
except OSError:
    pass
print(f"{cpu}, {os.cpu_count()} cores. One image: median of {runs} runs.\n")
print("| kernel | key bits | one image, ms | encrypt | server | decrypt | KiB up | KiB down |")
print("|---|---|---|---|---|---|---|---|")
for kernel in kernels:
    for bits in (2048, 3072, 4096):
        results = [
            call(kernel, "run", "data/sample/7-a.png", "--bits", str(bits))[0]
            for _ in range(runs)
        ]
        results.sort(key=lambda result: result["elapsed_ms"])
        middle = results[len(results) // 2]
        total = middle["total"]
        print(
            f"| {kernel} | {bits} | **{middle['elapsed_ms']:.0f}** "
            f"| {total['encrypt_ms']:.0f} | {total['server_ms']:.0f} | {total['decrypt_ms']:.0f} "
            f"| {total['bytes_up'] / 1024:.0f} | {total['bytes_down'] / 1024:.0f} |",
            flush=True,
        )
if images:
    print(f"\nThe first {images} MNIST test images.\n")
    print("| kernel | key bits | seconds | images an hour | differing | accuracy, % | peak MiB |")
    print("|---|---|---|---|---|---|---|")
    for kernel in kernels:
        for bits in (2048, 3072):
            result, memory = call(
                kernel, "evaluate", "--data", data, "--limit", str(images),
                "--encrypted", "--bits", str(bits),
            )
            print(
                f"| {kernel} | {bits} | **{result['elapsed_ms'] / 1e3:.1f}** "
                f"| {result['images_per_hour']:,.0f} | {result['encrypted']['differing']} "
                f"| {100 * result['accuracy']:.2f} | {memory:.0f} |",
                flush=True,
            )
PYTHON
