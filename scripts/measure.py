"""Called by measure.sh: runs the measurements, lays out the tables."""

import sys
from pathlib import Path

from figures import *

PDNN = sys.argv[1]
RUNS, IMAGES = int(sys.argv[2]), int(sys.argv[3])
DATA, OUT = sys.argv[4:6]
NETWORKS = sys.argv[6].split()
UPDATE, BENCHES, GMP = (argument == "yes" for argument in sys.argv[7:10])
IMAGE = "data/sample/7-a.png"

# Keys: length and scheme, and how they are called.
KEYS = [(2048, "djn"), (3072, "djn"), (2048, "subgroup"), (3072, "subgroup")]


def key_name(bits, scheme):
    return f"{bits}, subgroup" if scheme == "subgroup" else f"{bits}"


figures, missing = [], []


def figure(what, key, unit, value, asked=None, at_least=False, due=True):
    """A line of the table: `asked` is the most, or with `at_least` the least.

    No value is an error at the end if one was asked for and was `due`.
    """
    if value is None:
        if asked is not None and due:
            missing.append(f"{what} ({key})")
        return
    reached = ""
    if asked is not None:
        reached = "yes" if (value >= asked if at_least else value <= asked) else "no"
    figures.append((what, key, unit, asked, at_least, value, reached))


def bound(asked, at_least):
    if asked is None:
        return ""
    return ("≥ " if at_least else "≤ ") + f"{asked:,}"


def arithmetic(kernels):
    """Products, and combs that are read as a whole; gives costs for `counted`."""
    found = benches("kernels", r"product mod n\^2/(2048|3072)|comb", GMP)
    costs, has_ifma = {}, "ifma" in kernels
    for bits, ifma, portable in ((2048, 360, 2100), (3072, 750, 4800)):
        at = lambda name: found.get(f"product mod n^2/{bits} bits/{name}")
        gmp, vector, scalar = at("GMP"), at("pdnn ifma"), at("pdnn portable")
        ratio = lambda x: gmp / x if gmp and x else None
        figure("product mod n², IFMA kernel, a lane", bits, "ns", vector, ifma, due=has_ifma)
        figure("square mod n², IFMA kernel, a lane", bits, "ns", at("pdnn ifma, square"))
        figure("product mod n², portable kernel", bits, "ns", scalar, portable)
        figure("square mod n², portable kernel", bits, "ns", at("pdnn portable, square"))
        for peer in ("GMP", "num-bigint", "crypto-bigint"):
            figure(f"product mod n², {peer}", bits, "ns", at(peer))
        first = bits == 2048
        figure("IFMA kernel, times as fast as GMP", bits, "", ratio(vector), 11 if first else None, True, GMP and has_ifma)
        figure("portable kernel, times as fast as GMP", bits, "", ratio(scalar), 2 if first else None, True, GMP)
        for full, ns in found.items():
            if f"{bits} bits" in full and "ifma, scanning comb" in full:
                figure("randomiser with --scan-tables, the power alone", bits, "µs", ns / 1e3)
        best = "ifma" if vector else "portable"
        costs[bits] = {"product": at(f"pdnn {best}"), "square": at(f"pdnn {best}, square")}
    return costs


def ciphertexts(costs):
    found = benches("paillier", "one ciphertext", GMP)
    asked = {
        "2048": {"encrypt, public key": 50, "encrypt, owner": 28, "re-randomise, combs": 95, "decrypt": 270},
        "2048, subgroup": {"decrypt": 80},
        "3072": {"encrypt, public key": 150, "re-randomise, combs": 290, "decrypt": 850},
    }
    for bits, scheme in KEYS:
        key = key_name(bits, scheme)
        suffix = " in a subgroup" if scheme == "subgroup" else ""
        at = lambda name: found.get(f"one ciphertext of 64/{bits} bits{suffix}/{name}")
        names = ["encrypt, public key", "encrypt, owner", "re-randomise, combs", "decrypt"]
        scanned = [f"{name}, --scan-tables" for name in names[:3]]
        names += [*scanned, "encrypt, randomisers made ahead"]
        names += [f"{verb}, {peer}" for peer in ("GMP", "num-bigint", "crypto-bigint") for verb in ("encrypt", "decrypt")]
        for name in names:
            ns = at(name)
            figure(name, key, "µs", ns and ns / 1e3, asked.get(key, {}).get(name))
        if scheme == "djn":
            taken = {"encrypt": "encrypt, owner", "rerandomise": "re-randomise, combs", "decrypt": "decrypt"}
            costs[bits] |= {what: at(name) for what, name in taken.items()}


def run_once(network, bits, scheme, kernel=None, single=False):
    """The run whose time is the median."""
    arguments = ["run", IMAGE, "--network", f"models/{network}", "--key", key_file(PDNN, bits, scheme)]
    results = [pdnn(PDNN, arguments, kernel, single)[0] for _ in range(RUNS)]
    return sorted(results, key=lambda result: result["elapsed_ms"])[RUNS // 2]


def counted(total, costs):
    """Milliseconds of one core for what a run counts, by the costs of each."""
    return (
        total["products"] * costs["product"]
        + total["squarings"] * costs["square"]
        + total["ciphertexts_up"] * costs["encrypt"]
        + total["ciphertexts_down"] * (costs["rerandomise"] + costs["decrypt"])
    ) / 1e6


def single_images(kernels, costs, rows):
    """Every network, key and kernel; adds the rows of its own table to `rows`."""
    asked = {
        ("lenet5", "2048"): 75, ("lenet5", "3072"): 200,
        ("lenet5-fast", "2048"): 35, ("lenet5-fast", "3072"): 100,
        ("lenet5-fast", "2048, subgroup"): 20,
    }
    for kernel in reversed(kernels):
        for network in NETWORKS:
            for bits, scheme in [*KEYS, (4096, "djn")]:
                key = key_name(bits, scheme)
                # The portable kernel is slow: the plain keys are enough.
                if kernel == "portable" and scheme == "subgroup":
                    continue
                result = run_once(network, bits, scheme, kernel)
                alone = run_once(network, bits, scheme, kernel, single=True)
                total, ms = result["total"], result["elapsed_ms"]
                rows.append([
                    network, kernel, key, f"**{ms:.0f}**", f"{alone['elapsed_ms']:.0f}",
                    f"{total['encrypt_ms']:.0f}", f"{total['server_ms']:.0f}", f"{total['decrypt_ms']:.0f}",
                    f"{total['products'] + total['squarings']:,}",
                    total["ciphertexts_up"], total["ciphertexts_down"],
                    f"{total['bytes_up'] / 1e3:.0f}", f"{total['bytes_down'] / 1e3:.0f}",
                ])
                print(".", end="", file=sys.stderr, flush=True)
                if kernel == "portable":
                    limit = 400 if (network, key) == ("lenet5", "2048") else None
                    figure(f"one image, {network}, portable kernel", key, "ms", ms, limit)
                    continue
                figure(f"one image, {network}", key, "ms", ms, asked.get((network, key)))
                figure(f"one image, {network}, one core", key, "ms", alone["elapsed_ms"])
                if scheme == "djn" and bits in costs and all(costs[bits].values()):
                    figure(f"one image, {network}, one core, counts times costs", key, "ms", counted(total, costs[bits]))
                limits = {"2048": 430, "3072": 650} if network == "lenet5-fast" else {}
                both = (total["bytes_up"] + total["bytes_down"]) / 1e3
                figure(f"bytes both ways, one image, {network}", key, "KB", both, limits.get(key))


def evaluate(network, bits, scheme, images, kernel, single=False):
    arguments = [
        "evaluate", "--data", DATA, "--limit", str(images), "--encrypted",
        "--network", f"models/{network}", "--bits", str(bits), "--scheme", scheme,
    ]
    return pdnn(PDNN, arguments, kernel, single)


def batches(kernels, rows):
    """Adds the rows of its own table to `rows`."""
    asked = {"2048": 1_100_000, "2048, subgroup": 3_000_000, "3072": 450_000}
    best = kernels[-1]

    def row(network, kernel, key, cores, images, result, memory):
        rows.append([
            network, kernel, key, cores, f"{images:,}", f"{result['elapsed_ms'] / 1e3:.1f}",
            f"**{result['images_per_hour']:,.0f}**", result["encrypted"]["differing"],
            f"{100 * result['accuracy']:.2f}", f"{memory:.0f}",
        ])
        print(".", end="", file=sys.stderr, flush=True)
        return result["images_per_hour"]

    for network, (bits, scheme) in ((network, key) for network in NETWORKS for key in KEYS):
        key = key_name(bits, scheme)
        if network == "lenet5" and (bits, scheme) != KEYS[0]:
            continue
        results = [evaluate(network, bits, scheme, IMAGES, best) for _ in range(3)]
        result, memory = sorted(results, key=lambda r: r[0]["elapsed_ms"])[1]
        both = row(network, best, key, "all", IMAGES, result, memory)
        alone = row(network, best, key, 1, IMAGES, *evaluate(network, bits, scheme, IMAGES, best, True))
        fast = network == "lenet5-fast"
        figure(f"batch, {network}", key, "images an hour", both, asked.get(key) if fast else None, True)
        figure(f"batch, {network}, all cores, times one core", key, "", both / alone, 1.8 if fast else None, True)
    if "lenet5-fast" not in NETWORKS:
        return
    if "portable" in kernels[:-1]:
        few = min(IMAGES, 500)
        row("lenet5-fast", "portable", "2048", "all", few, *evaluate("lenet5-fast", 2048, "djn", few, "portable"))
    result, memory = evaluate("lenet5-fast", 2048, "djn", 10_000, best)
    row("lenet5-fast", best, "2048", "all", 10_000, result, memory)
    figure("all 10,000 test images, lenet5-fast", "2048", "s", result["elapsed_ms"] / 1e3, 40)
    figure("of them with other logits than in the clear", "2048", "images", result["encrypted"]["differing"], 0)
    figure("peak memory of it", "2048", "MiB", memory, 1024)


def main():
    kernels = [kernel for kernel in ("portable", "ifma") if has_kernel(PDNN, kernel)]
    if not kernels:
        fail(f"{PDNN} does not classify {IMAGE}")
    if "ifma" not in kernels:
        print("no IFMA kernel on this machine, so its figures are left out", file=sys.stderr)
    costs, singles, many, failure = {}, [], [], None
    try:
        if BENCHES:
            costs = arithmetic(kernels)
            ciphertexts(costs)
        single_images(kernels, costs, singles)
        if IMAGES:
            batches(kernels, many)
    except SystemExit as error:
        # What was measured before is printed all the same, but written nowhere.
        failure = error
    print(file=sys.stderr)

    text = [f"{machine()}; {today()}.\n"]
    text.append(
        "Arithmetic and ciphertexts: one core, `cargo bench` (`kernels`, `paillier`), medians. One image: median of "
        f"{RUNS} runs of `pdnn run`, everything that both parties compute, nothing prepared ahead; the key and the "
        "network with its plan are read, and the plan compiled, before. Batches: median of 3 runs of `pdnn evaluate --encrypted`. Counts times costs: what a run counts "
        "(products, squarings, encryptions by the owner, re-randomisations, decryptions) times what each costs above. "
        "Printed by `scripts/measure.sh`.\n")
    header = ["figure", "key bits", "unit", "asked", "measured", "reached"]
    cells = [
        (what, key, unit, bound(asked, at_least), number(value), "**no**" if reached == "no" else reached)
        for what, key, unit, asked, at_least, value, reached in figures
    ]
    text.append(markdown(header, cells))
    images = ["One image, milliseconds:\n", markdown(
        ["network", "kernel", "key bits", "all cores", "one core", "encrypt", "server", "decrypt",
         "products", "ciphertexts up", "down", "KB up", "down"], singles)]
    if many:
        images += ["The first MNIST test images:\n", markdown(
            ["network", "kernel", "key bits", "cores", "images", "seconds", "images an hour",
             "differing", "accuracy, %", "peak MiB"], many)]
    images = "\n".join(images)
    text = "\n".join([*text, images])
    print(text)
    if failure:
        raise failure
    if UPDATE:
        update_readme(f"{machine()}; {today()}; one image: median of {RUNS} runs.\n\n{images}")
    if OUT:
        folder = Path(OUT)
        (folder / "figures.md").write_text("# Figures\n\n" + text)
        write_csv(
            folder / "figures.csv",
            ["figure", "key_bits", "unit", "asked", "asked_is", "measured", "reached"],
            [(what, key, unit, "" if asked is None else asked,
              "" if asked is None else ("least" if at_least else "most"), f"{value:.6g}", reached)
             for what, key, unit, asked, at_least, value, reached in figures])
        draw(folder / "figures.svg")
    if missing:
        fail(f"figures that were asked for were not found: {'; '.join(missing)}")


def update_readme(text):
    readme = Path("README.md")
    before, begin, rest = readme.read_text().partition("<!-- measured by scripts/measure.sh -->\n")
    _, end, after = rest.partition("<!-- end of what it measured -->")
    if not end:
        fail("README.md has lost its marks")
    readme.write_text(f"{before}{begin}{text}{end}{after}")


def draw(path):
    found = {(what, str(key)): value for what, key, _, _, _, value, _ in figures}

    def entries(names, key, divide=1):
        return [(label, found[what, key] / divide, colour)
                for what, label, colour in names if (what, key) in found]

    products = [
        ("product mod n², IFMA kernel, a lane", "pdnn, IFMA", 0),
        ("product mod n², portable kernel", "pdnn, portable", 5),
        ("product mod n², GMP", "GMP", 1),
        ("product mod n², crypto-bigint", "crypto-bigint", 2),
        ("product mod n², num-bigint", "num-bigint", 4),
    ]
    encryption = lambda verb, mine: [*mine] + [
        (f"{verb}, {peer}", f"{peer}, textbook Paillier", colour)
        for peer, colour in (("GMP", 1), ("crypto-bigint", 2), ("num-bigint", 4))]
    owner = [("encrypt, owner", "pdnn, key's owner", 0), ("encrypt, public key", "pdnn, public key", 5)]
    panels = []
    for key in ("2048", "3072"):
        panels.append((f"Product mod n², n of {key} bits, one core", "ns", entries(products, key)))
        panels.append((f"Encryption, {key} bits, one core", "µs", entries(encryption("encrypt", owner), key)))
        panels.append((
            f"Decryption, {key} bits, one core", "µs",
            entries(encryption("decrypt", [("decrypt", "pdnn", 0)]), key)))
    keys = [key_name(*key) for key in KEYS]
    images = [(f"{network}, {key}", found[f"one image, {network}", key], i)
              for i, network in enumerate(NETWORKS) for key in keys
              if (f"one image, {network}", key) in found]
    panels.append(("One image, both parties, all cores", "ms", images))
    hours = [(f"{network}, {key}", found[f"batch, {network}", key], i)
             for i, network in enumerate(NETWORKS) for key in keys
             if (f"batch, {network}", key) in found]
    panels.append(("Batch, all cores", "images an hour", hours))
    bars(path, "What it costs", f"{machine()}; {today()}; logarithmic; less is better but in the last panel", panels)


main()
