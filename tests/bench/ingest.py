"""Ingest of a 1 GB CSV file under a contract, beside DuckDB and Polars on the same file in the same run.

In: the path of the built example `ingest_csv`. Out: rows of a table. Each program is a process of its own: its time goes from
its start to its end, its memory is the most it had resident. All do the same work: typed columns, one Parquet file, Snappy.
The best of three runs is shown, the programs taking turns.
"""

import os
import random
import sys

import duckdb

from measured import run

FOLDER = "target/bench"
INPUT = f"{FOLDER}/orders.csv"
SIZE = 1_000_000_000
ROUNDS = 3

# Millstream's names for the columns' types, DuckDB's, and how Polars makes them.
COLUMNS = {
    "order_id": ("INT64 required", "BIGINT", "Int64()"),
    "ordered_at": ("TIMESTAMP required", "TIMESTAMP", "Datetime('us')"),
    "customer": ("STRING required", "VARCHAR", "String()"),
    "amount": ("NUMERIC(12, 2)", "DECIMAL(12, 2)", "Decimal(12, 2)"),
    "weight": ("FLOAT64", "DOUBLE", "Float64()"),
    "is_paid": ("BOOL", "BOOLEAN", "Boolean()"),
    "note": ("STRING", "VARCHAR", "String()"),
}

DUCKDB = """
import duckdb
duckdb.sql("COPY (SELECT * FROM read_csv({input!r}, header=true, auto_detect=false, delim=',', quote='\\"', escape='\\"', "
           "columns={columns})) TO {output!r} (FORMAT parquet, COMPRESSION snappy)")
"""

POLARS = """
import polars as pl
pl.scan_csv({input!r}, schema={{{columns}}}).sink_parquet({output!r}, compression="snappy")
"""


def generate():
    """Writes the file once; the same seed makes the same file everywhere."""
    if os.path.exists(INPUT):
        return
    print(f"Writing {INPUT} ({SIZE / 1e9:.0f} GB) ...", file=sys.stderr)
    choose = random.Random(7)
    # A row's tail is one of these: making ten million different ones would take minutes.
    tails = [tail(choose) for _ in range(99_991)]
    with open(f"{INPUT}.partial", "w", newline="") as file:
        written = file.write(",".join(COLUMNS) + "\n")
        order = 0
        while written < SIZE:
            rows = "".join(f"{at},{tails[at * 31 % len(tails)]}\n" for at in range(order, order + 50_000))
            written += file.write(rows)
            order += 50_000
    os.rename(f"{INPUT}.partial", INPUT)


def tail(choose):
    moment = f"20{choose.randrange(20, 27)}-{choose.randrange(1, 13):02}-{choose.randrange(1, 29):02}"
    moment += f" {choose.randrange(24):02}:{choose.randrange(60):02}:{choose.randrange(60):02}"
    amount = "" if choose.random() < 0.02 else f"{choose.randrange(1, 9_999_999) / 100:.2f}"
    paid = choose.choice(["true", "false"])
    words = choose.sample(["fragile", "gift", "second floor", "call first", "leave at door", "no signature"], 2)
    note = choose.choice(["", " ".join(words), words[0], f'"{words[0]}, ""{words[1]}"""'])
    weight = f"{choose.random() * 40:.3f}"
    return f"{moment},C{choose.randrange(500_000):06},{amount},{weight},{paid},{note}"


def programs(example):
    """Every program with its arguments; each writes the Parquet file of its own name."""
    ours = ", ".join(f"{name} {types[0]}" for name, types in COLUMNS.items())
    duck = {name: types[1] for name, types in COLUMNS.items()}
    polars = ", ".join(f"{name!r}: pl.{types[2]}" for name, types in COLUMNS.items())
    duck_script = DUCKDB.format(input=INPUT, output=output("DuckDB"), columns=duck)
    polars_script = POLARS.format(input=INPUT, output=output("Polars"), columns=polars)
    return {
        "Millstream": [example, INPUT, output("Millstream"), ours],
        "DuckDB": [sys.executable, "-c", duck_script],
        "Polars": [sys.executable, "-c", polars_script],
    }


def output(name):
    return f"{FOLDER}/{name}.parquet"


def content(name):
    """What a file holds, in a few numbers: programs that do the same work agree on them."""
    return duckdb.sql(
        "SELECT count(*), sum(order_id), min(ordered_at)::TIMESTAMP, max(ordered_at)::TIMESTAMP, sum(amount)::DECIMAL(38, 2), "
        "count(amount), sum(weight::DECIMAL(12, 3)), count_if(is_paid), count(DISTINCT customer), "
        "count_if(note IS NOT NULL AND note <> ''), sum(length(note)) "
        f"FROM read_parquet('{output(name)}')"
    ).fetchone()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.makedirs(FOLDER, exist_ok=True)
    duckdb.sql("SET TimeZone = 'UTC'")
    generate()
    with open(INPUT, "rb") as file:
        # From here on the file is in memory for all of them, as far as memory goes.
        while file.read(1 << 24):
            pass
    measured = {}
    for _ in range(ROUNDS):
        for name, arguments in programs(sys.argv[1]).items():
            measured.setdefault(name, []).append(run(arguments))
    contents = {name: content(name) for name in measured}
    for name, found in contents.items():
        if found != contents["DuckDB"]:
            sys.exit(f"{name} wrote {found}, DuckDB {contents['DuckDB']}: they did not do the same work")
    gigabytes = os.path.getsize(INPUT) / 1e9
    for name, rounds in measured.items():
        seconds, processor, _ = min(rounds)
        memory = [mib for _, _, mib in rounds]
        version = {"DuckDB": f" {duckdb.__version__}", "Polars": f" {polars_version()}"}.get(name, "")
        size = os.path.getsize(output(name)) / 1e6
        print(
            f"| {gigabytes:.1f} GB of CSV to Parquet, {name}{version} "
            f"| {seconds:.1f} s ({processor:.1f} s of processor), {min(memory):.0f} to {max(memory):.0f} MiB, {size:.0f} MB written |"
        )


def polars_version():
    import polars

    return polars.__version__


main()
