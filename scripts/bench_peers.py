"""Called by bench-peers.sh: measures the peers and pdnn, lays out the table."""

import platform, random, sys, time
from pathlib import Path

from figures import *

PDNN, OUT = sys.argv[1], sys.argv[3]
RUNS, TENSEAL = int(sys.argv[2]), sys.argv[4] == "yes"


def each(function, seconds=2.0, least=5):
    """Microseconds of a call: the median of as many as fit into `seconds`."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        function()
        times.append((time.perf_counter() - start) * 1e6)
    return median(times)


OPERATIONS = ["encrypt", "decrypt", "add", "times a scalar of 8 bits"]


def phe(bits):
    """python-paillier: microseconds of each of OPERATIONS."""
    from phe import paillier

    public, secret = paillier.generate_paillier_keypair(n_length=bits)
    a, b = public.encrypt(1234), public.encrypt(-567)
    scalars = [128 + 37 * i % 128 for i in range(64)]
    turn = iter(scalars * 100_000)
    assert secret.decrypt(a * 200 + b) == 1234 * 200 - 567
    return [
        each(lambda: public.encrypt(1234)),
        each(lambda: secret.decrypt(a)),
        each(lambda: a + b),
        each(lambda: a * next(turn)),
    ]


def ours():
    """pdnn: the same for each length of key, and encryption with the secret key
    beside the public one."""
    wanted = "one ciphertext of 64/(2048|3072) bits/(encrypt, (public|owner)|decrypt$|add|times)"
    found = benches("paillier", wanted, False)

    def rows(bits):
        at = lambda name: found[f"one ciphertext of 64/{bits} bits/{name}"] / 1e3
        rest = [at(operation) for operation in OPERATIONS[1:]]
        return [[at("encrypt, public key"), *rest], [at("encrypt, owner"), *rest]]

    return {bits: rows(bits) for bits in (2048, 3072)}


class Cnn:
    """A convolution of 4 channels (7x7, stride 3), x², 64 neurons, x², 10:
    the shape in TenSEAL's tutorial, with random weights: its cost does not
    depend on them."""

    def __init__(self):
        weight = lambda: random.uniform(-0.1, 0.1)
        matrix = lambda rows, columns: [[weight() for _ in range(columns)] for _ in range(rows)]
        self.kernels = [matrix(7, 7) for _ in range(4)]
        self.kernel_bias = [weight() for _ in range(4)]
        self.dense = [(matrix(256, 64), matrix(1, 64)[0]), (matrix(64, 10), matrix(1, 10)[0])]

    def clear(self, image):
        """The logits, in the clear."""
        x = [
            sum(kernel[i][j] * image[3 * row + i][3 * column + j] for i in range(7) for j in range(7)) + bias
            for kernel, bias in zip(self.kernels, self.kernel_bias)
            for row in range(8)
            for column in range(8)
        ]
        for matrix, bias in self.dense:
            squares = [v * v for v in x]
            x = [sum(s * row[k] for s, row in zip(squares, matrix)) + b for k, b in enumerate(bias)]
        return x

    def encrypted(self, tenseal, image, windows):
        channels = [
            image.conv2d_im2col(kernel, windows) + bias
            for kernel, bias in zip(self.kernels, self.kernel_bias)
        ]
        x = tenseal.CKKSVector.pack_vectors(channels)
        for matrix, bias in self.dense:
            x.square_()
            x = x.mm(matrix) + bias
        return x


def tenseal_image():
    """Milliseconds of encryption, inference and decryption; bytes up and down;
    the largest error of a logit."""
    import tenseal

    random.seed(1)
    # 8,192 slots' worth of ring at 218 bits of modulus: 128 bits of security.
    context = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, poly_modulus_degree=8192, coeff_mod_bit_sizes=[31, *[26] * 6, 31]
    )
    context.global_scale = 2**26
    context.generate_galois_keys()
    network = Cnn()
    image = [[random.random() for _ in range(28)] for _ in range(28)]
    runs = []
    for _ in range(RUNS):
        start = time.perf_counter()
        encrypted, windows = tenseal.im2col_encoding(context, image, 7, 7, 3)
        sent = time.perf_counter()
        result = network.encrypted(tenseal, encrypted, windows)
        answered = time.perf_counter()
        logits = result.decrypt()
        done = time.perf_counter()
        runs.append([done - start, sent - start, answered - sent, done - answered])
    error = max(abs(a - b) for a, b in zip(logits, network.clear(image)))
    times = [t * 1e3 for t in median(runs)]
    return times, len(encrypted.serialize()), len(result.serialize()), error


def main():
    ciphertexts = []
    integers = "GMP" if has_gmpy2() else "Python's integers"
    for bits, (public, owner) in ours().items():
        for name, values in (
            ("pdnn, public key", public), ("pdnn, key's owner", owner),
            (f"python-paillier ({integers})", phe(bits)),
        ):
            ciphertexts.append((name, bits, values))
            print(".", end="", file=sys.stderr, flush=True)
    images = []
    for network in ("lenet5", "lenet5-fast"):
        for bits in (2048, 3072):
            arguments = ["run", "data/sample/7-a.png", "--network", f"models/{network}", "--key", key_file(PDNN, bits)]
            result = median_run([pdnn(PDNN, arguments)[0] for _ in range(RUNS)])
            total = result["total"]
            times = [result["elapsed_ms"], total["encrypt_ms"], total["server_ms"], total["decrypt_ms"]]
            images.append((f"pdnn, {network}", f"Paillier, {bits} bits", times, total["bytes_up"], total["bytes_down"], "exact"))
            print(".", end="", file=sys.stderr, flush=True)
    if TENSEAL:
        times, up, down, error = tenseal_image()
        images.append(("TenSEAL 0.3.18, its tutorial's network", "CKKS, 8,192, 218 bits", times, up, down, f"{error:.2g}"))
    print(file=sys.stderr)

    text = [
        f"{machine()}, Python {platform.python_version()}; {today()}. Printed by `scripts/bench-peers.sh`.\n",
        "One ciphertext, microseconds, one core; `pdnn` works on 64 at a time with tables made beforehand, "
        "python-paillier 1.5.0 on one. Scalars are 128 to 255.\n",
        markdown(["program", "key bits", *OPERATIONS],
                 [(name, bits, *map(number, values)) for name, bits, values in ciphertexts]),
        f"\nOne encrypted image, milliseconds, all cores, median of {RUNS} runs, keys made beforehand. The client "
        "of `pdnn` takes part in every layer and computes the ReLU; TenSEAL's server answers alone, but with x² for "
        "activation, a smaller network, and approximate results. Error: the largest of a logit against the same "
        "network in the clear; that `pdnn` has none is held by its tests.\n",
        markdown(["program", "encryption", "total", "encrypt", "server", "decrypt", "KB up", "KB down", "error"],
                 [(name, scheme, *map(number, times), f"{up / 1e3:,.0f}", f"{down / 1e3:,.0f}", error)
                  for name, scheme, times, up, down, error in images]),
    ]
    if not TENSEAL:
        text.append(f"\nTenSEAL was left out: no wheel for Python {platform.python_version()}, or not wanted (-T).\n")
    text = "\n".join(text)
    print(text)
    if OUT:
        folder = Path(OUT)
        (folder / "peers.md").write_text("# Beside other programs\n\n" + text)
        csv_rows = [(name, bits, operation, "us", f"{value:.6g}")
                    for name, bits, values in ciphertexts for operation, value in zip(OPERATIONS, values)]
        csv_rows += [(name, scheme, part, "ms", f"{value:.6g}")
                     for name, scheme, times, *_ in images
                     for part, value in zip(("one image", "encrypt image", "server", "decrypt image"), times)]
        write_csv(folder / "peers.csv", ["program", "key", "operation", "unit", "value"], csv_rows)
        draw(folder / "peers.svg", ciphertexts, images)


def has_gmpy2():
    from phe import util

    return util.HAVE_GMP


def median_run(results):
    return sorted(results, key=lambda result: result["elapsed_ms"])[len(results) // 2]


def draw(path, ciphertexts, images):
    panels = []
    for at, operation in enumerate(OPERATIONS):
        entries = []
        for i, (name, bits, values) in enumerate(ciphertexts):
            # What differs between pdnn's two rows is encryption only.
            if at == 0 or "owner" not in name:
                label = name if at == 0 else name.split(",")[0]
                entries.append((f"{label}, {bits}", values[at], 0 if name.startswith("pdnn") else 1))
        panels.append((f"{operation[0].upper()}{operation[1:]}, one ciphertext, one core", "µs", entries))
    entries = [(f"{name.split(' 0')[0]}, {scheme.split(', ', 1)[1]}" if name.startswith("pdnn") else "TenSEAL, CKKS",
                times[0], 0 if name.startswith("pdnn") else 2) for name, scheme, times, *_ in images]
    panels.append(("One image, all cores", "ms", entries))
    bars(path, "pdnn beside other programs", f"{machine()}; {today()}; logarithmic; less is better", panels)


main()
