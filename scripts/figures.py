"""What the measuring scripts share: the machine, benches, tables, a plot."""

import csv, functools, html, json, math, os, platform, shutil, subprocess, sys, tempfile, time
from pathlib import Path

TARGET = Path("target")
KEYS_FOLDER = tempfile.TemporaryDirectory()


def fail(message):
    sys.exit(f"error: {message}")


def machine():
    """The processor, as /proc/cpuinfo has it, and the number of cores."""
    known = {}
    try:
        for line in open("/proc/cpuinfo"):
            name, _, value = line.partition(":")
            known.setdefault(name.strip(), value.strip())
    except OSError:
        pass
    name = known.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in known:
        name += f" (family {known['cpu family']}, model {known['model']})"
    flags = known.get("flags", "").split()
    vectors = "with" if "avx512ifma" in flags else "without"
    return f"{name}, {os.cpu_count()} cores, {vectors} AVX-512 IFMA"


def median(values):
    values = sorted(values)
    return values[len(values) // 2]


def one_core():
    """For a child process: one core of this machine, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@functools.cache
def key_file(program, bits, scheme="djn"):
    """A key in a folder that is gone when this ends."""
    name = f"{KEYS_FOLDER.name}/{bits}-{scheme}"
    arguments = ["keygen", "--out", name, "--bits", str(bits), "--scheme", scheme]
    subprocess.run([program, *arguments], check=True, capture_output=True)
    return f"{name}.key.json"


def pdnn(program, arguments, kernel=None, single=False):
    """The JSON that a command of pdnn prints, and its peak memory in MiB."""
    environment = dict(os.environ)
    if kernel:
        environment["PDNN_KERNEL"] = kernel
    if single:
        environment["RAYON_NUM_THREADS"] = "1"
    process = subprocess.Popen(
        [program, *arguments, "--json", "--quiet"],
        env=environment,
        stdout=subprocess.PIPE,
        preexec_fn=one_core if single else None,
    )
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        fail(f"pdnn {' '.join(arguments)} failed")
    return json.loads(output), usage.ru_maxrss / 1024


def has_kernel(program, kernel):
    arguments = ["run", "data/sample/7-a.png", "--insecure", "--bits", "512", "--quiet"]
    done = subprocess.run(
        [program, *arguments], env={**os.environ, "PDNN_KERNEL": kernel}, capture_output=True
    )
    return done.returncode == 0


def benches(bench, pattern, gmp):
    """Median nanoseconds of the named benches, on one core, by full name.

    They are run now, into a folder of their own, so that no older result can
    be taken for one of these.
    """
    home = TARGET / "measured" / bench
    shutil.rmtree(home, ignore_errors=True)
    package = "pdnn-gmp" if gmp else "pdnn"
    command = ["cargo", "bench", "--quiet", "-p", package, "--bench", bench]
    build = subprocess.run([*command, "--no-run"])
    if build.returncode != 0:
        fail(f"{' '.join(command)} --no-run failed" + (
            "; without m4, make and a C compiler leave GMP out with -G" if gmp else ""))
    home.mkdir(parents=True)
    log = home.with_suffix(".log")
    with open(log, "w") as file:
        done = subprocess.run(
            [*command, "--", "--noplot", pattern],
            env={**os.environ, "CRITERION_HOME": str(home.resolve()), "RAYON_NUM_THREADS": "1"},
            stdout=file,
            stderr=file,
            preexec_fn=one_core,
        )
    if done.returncode != 0:
        fail(f"{' '.join(command)} failed; see {log}")
    found = {}
    for name in home.rglob("new/benchmark.json"):
        estimates = json.loads((name.parent / "estimates.json").read_text())
        full = json.loads(name.read_text())["full_id"]
        found[full] = estimates["median"]["point_estimate"]
    return found


def number(x):
    """Three digits, at least those before the point."""
    if x is None:
        return ""
    if x == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(x))))
    return f"{x:,.{digits}f}"


def markdown(header, rows):
    """A table; columns after the first to the right where they hold numbers."""
    lines = ["| " + " | ".join(header) + " |"]
    lines.append("|" + "|".join("---" for _ in header) + "|")
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def write_csv(path, header, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def today():
    return time.strftime("%Y-%m-%d")


# Okabe and Ito's palette, which colour-blind readers can tell apart; the same
# as in `pdnn`'s own plots.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]


def bars(path, title, subtitle, panels):
    """Bars as SVG, a panel below the other, each with a logarithmic axis.

    A panel is (title, unit, [(label, value, colour)]), a bar for each entry.
    """
    width, left, right, line, top = 860, 300, 90, 22, 64
    panels = [(name, unit, entries) for name, unit, entries in panels if entries]
    height = top + sum(70 + line * len(entries) for _, _, entries in panels)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="18">{html.escape(title)}</text>',
        f'<text x="16" y="48" fill="#555555">{html.escape(subtitle)}</text>',
    ]
    y = top
    for name, unit, entries in panels:
        values = [value for _, value, _ in entries]
        low = math.floor(math.log10(min(values)) - 0.15)
        high = max(math.ceil(math.log10(max(values))), low + 1)
        scale = (width - left - right) / (high - low)
        bottom = y + 30 + line * len(entries)
        out.append(f'<text x="16" y="{y + 20}" font-weight="bold">{html.escape(name)}</text>')
        for power in range(low, high + 1):
            x = left + (power - low) * scale
            tick = f"{10 ** power:,}" if power >= 0 else f"{10.0 ** power:g}"
            out.append(f'<line x1="{x:.1f}" y1="{y + 28}" x2="{x:.1f}" y2="{bottom}" stroke="#dddddd"/>')
            out.append(
                f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle" fill="#555555" '
                f'font-size="11">{tick}</text>')
        out.append(
            f'<text x="{width - 16}" y="{y + 20}" text-anchor="end" fill="#555555">'
            f"{html.escape(unit)}</text>")
        for i, (label, value, colour) in enumerate(entries):
            at = y + 32 + line * i
            length = max((math.log10(value) - low) * scale, 1)
            out.append(
                f'<text x="{left - 8}" y="{at + 13}" text-anchor="end">{html.escape(label)}</text>')
            out.append(
                f'<rect x="{left}" y="{at}" width="{length:.1f}" height="{line - 5}" '
                f'fill="{COLOURS[colour % len(COLOURS)]}"/>')
            out.append(f'<text x="{left + length + 6:.1f}" y="{at + 13}">{number(value)}</text>')
        y = bottom + 40
    out.append("</svg>\n")
    Path(path).write_text("\n".join(out))
