#!/usr/bin/env python3
"""Computes the tables of costs.md from the price book and functions.json.

    infra/guides/costs.py            write them
    infra/guides/costs.py --check    exit 1 if what is written is not what they say
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
BOOK = json.loads((HERE.parents[1] / "shared/prices/books/list-2026-07.json").read_text())
PRICES = {(row["item"], row["unit"], row.get("capacity", "standard")): row["price"] for row in BOOK["rows"]}
FUNCTIONS = json.loads((HERE.parent / "functions.json").read_text())["functions"]
START, END = "<!-- computed -->", "<!-- /computed -->"

# What is assumed of the work, and so can be argued with: seconds an instance is busy for one request.
SECONDS = {"plan-run": 0.2, "ingest-file": 2.0, "load-table": 3.0, "transform-table": 3.0, "export-table": 3.0}
FILE_MB = 10  # one file
STEPS = {"ingest-file": 1, "load-table": 1, "transform-table": 2, "export-table": 1}  # its way through a pipeline
DELIVERIES = 1.5  # a step is asked for once, and every second one once more while its job runs
MESSAGE_KB = 2
HOURS = 730  # a month


def price(item: str, unit: str, capacity: str = "standard") -> float:
    """US dollars a unit; a row that the book lacks is an error that names it."""
    return PRICES[item, unit, capacity]


def gib(text: str) -> float:
    return float(text[:-2]) / (1024 if text.endswith("Mi") else 1)


def requests(function: str, count: float) -> float:
    """Cloud Run's price of so many requests, each alone on its instance: the dearest case."""
    size = FUNCTIONS[function]
    second = float(size["cpu"]) * price("cloud-run", "vcpu-second") + gib(size["memory"]) * price("cloud-run", "gib-second")
    return count * (SECONDS[function] * second + price("cloud-run", "million-requests") / 1e6)


def table(title: str, lines: list[tuple[str, str, float]]) -> str:
    rows = [f"| {what} | {how} | {usd:.2f} |" for what, how, usd in lines]
    return "\n".join([f"| {title} | how | USD |", "|---|---|---:|", *rows, f"| **sum** | | **{sum(l[2] for l in lines):.2f}** |"])


def at_rest() -> str:
    sweeps = 60 * HOURS
    return table("a month at rest", [
        ("the sweep", f"{sweeps:,} requests of {SECONDS['plan-run']} s", requests("plan-run", sweeps)),
    ])


def files() -> str:
    lines, events = [], 1000.0
    for function, steps in STEPS.items():
        count = 1000 * steps * DELIVERIES
        lines.append((function, f"{count:,.0f} requests of {SECONDS[function]} s", requests(function, count)))
        events += 2 * count  # each command and the fact or deferral that answers it
    lines.append(("plan-run", f"{events / 2:,.0f} requests of {SECONDS['plan-run']} s", requests("plan-run", events / 2)))
    tib = events * 2 * MESSAGE_KB / 2**30  # published once, delivered once
    lines.append(("Pub/Sub", f"{events:,.0f} messages of {MESSAGE_KB} KB, in and out", tib * price("pubsub", "tib")))
    scanned = 1000 * STEPS["transform-table"] * FILE_MB / 2**20
    lines.append(("BigQuery", f"{scanned:.3f} TiB scanned: each SELECT reads one file's rows", scanned * price("bigquery-query", "tib")))
    lines.append(("BigQuery", f"{1000 * FILE_MB / 1000:.0f} GB kept a month", 1000 * FILE_MB / 1000 * price("bigquery-storage", "gb-month")))
    return table(f"1,000 files of {FILE_MB} MB", lines)


def cluster() -> str:
    node = 2 * price("e2", "vcpu-hour") + 8 * price("e2", "gb-hour")
    l4 = {capacity: price("g2-standard-4", "hour", capacity) for capacity in ("spot", "standard")}
    return table("a month of the training cluster at rest", [
        ("control plane", f"{HOURS} h", HOURS * price("gke-cluster", "hour")),
        ("one e2-standard-2 for the operators", f"{HOURS} h", HOURS * node),
    ]) + f"\n\nA training hour on one L4: {l4['spot']:.2f} USD (spot), {l4['standard']:.2f} USD (on demand)."


def main() -> int:
    path = HERE / "costs.md"
    text = path.read_text()
    head, rest = text.split(START)
    tail = rest.split(END)[1]
    computed = f"{head}{START}\n\n" + "\n\n".join([at_rest(), files(), cluster()]) + f"\n\n{END}{tail}"
    if "--check" in sys.argv:
        if computed != text:
            print("infra/guides/costs.md is stale: run infra/guides/costs.py", file=sys.stderr)
        return int(computed != text)
    path.write_text(computed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
