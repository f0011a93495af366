"""The exchange that interop-phe.sh describes; run by it.

Usage: interop_phe.py PDNN PHEUTIL FOLDER
"""

import json
import os
import subprocess
import sys

import phe
from phe.command_line import load_public_key
from phe.util import base64_to_int, int_to_base64

PDNN, PHEUTIL, FOLDER = sys.argv[1:]


def path(name):
    return os.path.join(FOLDER, name)


def call(*command):
    """Standard output of a command, or a text that equals no integer."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return f"failed: {done.stderr.strip()}"
    return done.stdout.strip()


def must(*command):
    answer = call(*command)
    if answer.startswith("failed: "):
        sys.exit(f"{' '.join(command)}: {answer}")
    return answer


def save(name, text):
    with open(path(name), "w") as file:
        file.write(text)
    return path(name)


def make_pheutil(name, bits):
    must(PHEUTIL, "genpkey", "--keysize", str(bits), path(f"{name}.key.json"))
    must(PHEUTIL, "extract", path(f"{name}.key.json"), path(f"{name}.pub.json"))


def make_phe(name, bits):
    """A key of phe's library, in the form of pheutil's files."""
    public, private = phe.generate_paillier_keypair(n_length=bits)
    head = {"kty": "DAJ", "kid": "interop"}
    n = int_to_base64(public.n)
    public = {**head, "alg": "PAI-GN1", "key_ops": ["encrypt"], "n": n}
    p, q = int_to_base64(private.p), int_to_base64(private.q)
    secret = {**head, "key_ops": ["decrypt"], "p": p, "q": q, "pub": public}
    save(f"{name}.key.json", json.dumps(secret))
    save(f"{name}.pub.json", json.dumps(public))


def make_pdnn(name, bits):
    must(PDNN, "--quiet", "keygen", "--bits", str(bits), "--out", path(name))


def make_subgroup(name, bits):
    must(PDNN, "--quiet", "keygen", "--scheme", "subgroup", "--bits", str(bits), "--out", path(name))


def exchange(name):
    """For each direction: how many of how many came out right."""
    key, pub = path(f"{name}.key.json"), path(f"{name}.pub.json")
    os.chmod(key, 0o600)
    with open(pub) as file:
        public = load_public_key(json.load(file))
    with open(key) as file:
        secret = json.load(file)
    p, q = base64_to_int(secret["p"]), base64_to_int(secret["q"])
    private = phe.PaillierPrivateKey(public, p, q)

    most = public.n // 3 - 1
    values = [0, 1, -1, most, -most]
    pairs = [(0, 1), (1, 2), (1, 4), (2, 3), (3, 4)]
    results = {}

    def check(what, expected, found):
        right, total = results.get(what, (0, 0))
        same = str(expected) == str(found)
        results[what] = (right + same, total + 1)
        if not same:
            print(f"{name}, {what}: expected {expected}, found {found}", file=sys.stderr)

    def number(encrypted):
        assert encrypted.exponent == 0
        return json.dumps({"v": str(encrypted.ciphertext()), "e": 0})

    def load(text):
        text = json.loads(text)
        return phe.EncryptedNumber(public, int(text["v"]), text["e"])

    def pdnn_decrypt(file):
        return call(PDNN, "number", "decrypt", "--key", key, file)

    def phe_decrypt(file):
        return call(PHEUTIL, "decrypt", key, file)

    theirs = [public.encrypt(value) for value in values]
    their_files = [save(f"{name}.phe.{i}", number(c)) for i, c in enumerate(theirs)]
    our_files = [path(f"{name}.pdnn.{i}") for i in range(len(values))]
    for value, file in zip(values, our_files):
        must(PDNN, "number", "encrypt", "--key", pub, "-o", file, "--", str(value))
    ours = [load(open(file).read()) for file in our_files]

    for value, file in zip(values, their_files):
        check("phe encrypts, pdnn decrypts", value, pdnn_decrypt(file))
    for value, file in zip(values, our_files):
        check("pdnn encrypts, phe decrypts", value, phe_decrypt(file))
    for a, b in pairs:
        expected = values[a] + values[b]
        # Each adds one number of its own and one of the other's.
        file = save(f"{name}.sum", number(ours[a] + theirs[b]))
        check("phe adds, pdnn decrypts", expected, pdnn_decrypt(file))
        files = [their_files[a], our_files[b]]
        must(PDNN, "number", "add", "--key", pub, *files, "-o", path(f"{name}.sum"))
        check("pdnn adds, phe decrypts", expected, phe_decrypt(path(f"{name}.sum")))
        check("pdnn adds, phe's library decrypts", expected,
              private.decrypt(load(open(path(f"{name}.sum")).read())))
    # pheutil itself encrypts floating-point numbers, with e = -32.
    for value in (0, 1, -1, 123456):
        file = save(f"{name}.float", must(PHEUTIL, "encrypt", pub, "--", str(value)))
        check("pheutil encrypts, pdnn decrypts", value, pdnn_decrypt(file))
    return results


def main():
    keys = [
        ("pheutil-2048", make_pheutil, 2048),
        ("phe-3072", make_phe, 3072),
        ("pdnn-2048", make_pdnn, 2048),
        ("pdnn-3072", make_pdnn, 3072),
        ("subgroup-2048", make_subgroup, 2048),
    ]
    tables = {}
    for name, make, bits in keys:
        print(f"key {name} …", file=sys.stderr)
        make(name, bits)
        tables[name] = exchange(name)
    rows = list(next(iter(tables.values())))
    width = max(map(len, rows))
    print(f"{'':{width}}  " + "  ".join(f"{name:>13}" for name in tables))
    wrong = 0
    for row in rows:
        cells = [results[row] for results in tables.values()]
        wrong += sum(total - right for right, total in cells)
        shown = "  ".join(f"{f'{right}/{total}':>13}" for right, total in cells)
        print(f"{row:{width}}  {shown}")
    if wrong:
        sys.exit(f"{wrong} exchanges went wrong")
    print("every exchange came out right")


main()
