#!/usr/bin/env python3
"""Turns the table of people tested for COVID-19 into training and test tables.

  scripts/prepare-covid-symptoms.py [--raw FILE] [--out FOLDER] [--seed N]

Reads the English table of the Israeli Ministry of Health as published in the
repository nshomron/covidpred (CSV, plain, .gz or .zip; scripts/fetch-covid.sh
brings it), and writes two splits:

  by-date/train.csv, test.csv   tested 22 to 31 March 2020, tested 1 to 7 April
                                2020: the dates of Zoabi, Deri-Rozov and
                                Shomron (npj Digital Medicine 4, 2021)
  random/train.csv, test.csv    all dates; a fifth, drawn at random with a seed,
                                is for testing

Every row is a person tested. The columns are eight features and the label:

  cough, fever, sore_throat, shortness_of_breath, head_ache   0, 1 or unknown
  age_60_and_above                                            no, yes or unknown
  sex                                                         female or male
  contact          yes if the reason for the test was contact with someone known
                   to be infected, else no
  label            negative or positive

People whose result is "other" (unclear) or whose sex is not known are left out;
the dates then give the 51,831 and 47,401 people of that paper. Whatever else the
source calls None is unknown and kept: three of four rows after 7 April have no age. Rows
are shuffled with the seed, so that the last ones serve for validation.

Python 3 and its standard library only.
"""

import argparse
import csv
import gzip
import io
import os
import random
import sys
import zipfile

SYMPTOMS = ("cough", "fever", "sore_throat", "shortness_of_breath", "head_ache")
HEADING = SYMPTOMS + ("age_60_and_above", "sex", "contact", "label")
RAW = "corona_tested_individuals_ver_006.english.csv"
TRAIN = ("2020-03-22", "2020-03-31")
TEST = ("2020-04-01", "2020-04-07")

# What each column of the source may hold, and what becomes of it.
FLAG = {"0": "0", "1": "1", "None": "unknown"}
# None: the row is left out.
MEANING = {name: FLAG for name in SYMPTOMS}
MEANING["age_60_and_above"] = {"No": "no", "Yes": "yes", "None": "unknown"}
MEANING["gender"] = {"female": "female", "male": "male", "None": None}
MEANING["test_indication"] = {"Contact with confirmed": "yes", "Abroad": "no", "Other": "no"}
MEANING["corona_result"] = {"negative": "negative", "positive": "positive", "other": None}
SOURCE = SYMPTOMS + ("age_60_and_above", "gender", "test_indication", "corona_result")


def fail(text):
    sys.exit(f"prepare-covid-symptoms: {text}")


def lines(path):
    """The table's lines, whatever it is packed in."""
    if path.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".csv")]
            if len(names) != 1:
                fail(f"{path}: holds {len(names)} CSV files, expected 1")
            with archive.open(names[0]) as file:
                yield from io.TextIOWrapper(file, encoding="utf-8", newline="")
        return
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8", newline="") as file:
        yield from file


def read(path):
    """(date, row) of everyone with a result and a sex, in the source's order."""
    table = csv.DictReader(lines(path))
    missing = [name for name in SOURCE + ("test_date",) if name not in (table.fieldnames or ())]
    if missing:
        fail(f"{path}: no column {missing[0]}; expected the English table of nshomron/covidpred")
    rows = []
    for row in table:
        cells = []
        for name in SOURCE:
            if row[name] not in MEANING[name]:
                fail(f"{path}: line {table.line_num}, column {name}: {row[name]!r} is not known")
            cells.append(MEANING[name][row[name]])
        if None not in cells:
            rows.append((row["test_date"], cells))
    if not rows:
        fail(f"{path}: holds no row with a result")
    return rows


def write(path, rows):
    part = path + ".part"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(part, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(HEADING)
        out.writerows(rows)
    os.replace(part, path)
    positive = sum(row[-1] == "positive" for row in rows)
    print(f"{path}: {len(rows)} rows, {positive} positive")


def find_raw(data):
    for end in (".gz", ".zip", ""):
        path = os.path.join(data, RAW + end)
        if os.path.isfile(path):
            return path
    fail(f"no {RAW}, plain, .gz or .zip, in {data}; scripts/fetch-covid.sh brings it")


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    data = os.path.join(os.environ.get("PDNN_DATA") or os.path.join(root, "data"), "covid_symptoms")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raw", metavar="FILE", help=f"the table [default: in {data}]")
    parser.add_argument("--out", metavar="FOLDER", help="where to write [default: data/covid_symptoms]")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="of the shuffle [default: 1]")
    options = parser.parse_args()

    try:
        rows = read(options.raw or find_raw(data))
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        fail(f"cannot read the table: {error}")
    # Python keeps random() stable between versions, but not shuffle().
    draw = random.Random(options.seed)
    keys = [draw.random() for _ in rows]
    rows = [row for _, row in sorted(zip(keys, rows), key=lambda pair: pair[0])]

    def dated(span):
        return [cells for date, cells in rows if span[0] <= date <= span[1]]

    out = options.out or os.path.join(root, "data", "covid_symptoms")
    test = len(rows) // 5
    everyone = [cells for _, cells in rows]
    try:
        for split, train_rows, test_rows in (
            ("by-date", dated(TRAIN), dated(TEST)),
            ("random", everyone[test:], everyone[:test]),
        ):
            write(os.path.join(out, split, "train.csv"), train_rows)
            write(os.path.join(out, split, "test.csv"), test_rows)
    except OSError as error:
        fail(f"cannot write: {error}")


if __name__ == "__main__":
    main()
