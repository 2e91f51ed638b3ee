"""Ten million rows of PostgreSQL to Parquet, beside ConnectorX and pandas on the same table in the same run.

In: the path of the built example `extract_postgres`. Out: rows of a table. A PostgreSQL server is started for it. Each program
is a process of its own, the programs taking turns, and the best of its runs is shown. All make the same: every row and
column, Snappy. What their files hold is compared before a figure is printed. pandas reads a tenth of the rows, because all of
them do not fit the memory of an ordinary machine; the others read that too.
"""

import glob
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version

import duckdb

from measured import run

FOLDER = os.path.abspath("target/bench/extraction")
TABLE = "readings"
ROWS = 10_000_000
ROUNDS = 3

# Eight columns of the types that tables mostly have. The values follow from the key alone: a program that mixes rows up is found.
GENERATE = f"""
CREATE TABLE {TABLE} AS SELECT
    id,
    ((id * 7919) % 1000000000 / 100.0)::numeric(12, 2) AS amount,
    timestamptz '2020-01-01 00:00:00+00' + id * 37 % 200000000 * interval '1 second' + id % 1000000 * interval '1 microsecond'
        AS taken_at,
    'C' || lpad((id * 31 % 500000)::text, 6, '0') AS customer,
    (id * 131 % 1000003) / 997.0::float8 AS weight,
    id % 3 = 0 AS is_paid,
    (id * 17 % 2000)::int4 AS pieces,
    CASE WHEN id % 5 >= 2 THEN (ARRAY['fragile', 'gift', 'second floor, left', 'call first', 'leave at door'])[1 + id % 5]
        || ' ' || id % 1000 END AS note
FROM generate_series(1::int8, {ROWS}) AS id;
ALTER TABLE {TABLE} ADD PRIMARY KEY (id);
VACUUM (ANALYZE, FREEZE) {TABLE};
CREATE TABLE a_tenth AS SELECT * FROM {TABLE} WHERE id <= {ROWS // 10};
ALTER TABLE a_tenth ADD PRIMARY KEY (id);
VACUUM (ANALYZE, FREEZE) a_tenth;
"""

CONNECTORX = """
import connectorx, pyarrow.parquet
rows = connectorx.read_sql({url!r}, "SELECT * FROM {table}", return_type="arrow", partition_on="id", partition_num=4)
pyarrow.parquet.write_table(rows, {output!r}, compression="snappy")
"""

PANDAS = """
import pandas, sqlalchemy
engine = sqlalchemy.create_engine({url!r}.replace("postgresql://", "postgresql+psycopg2://"))
pandas.read_sql("SELECT * FROM {table}", engine).to_parquet({output!r}, compression="snappy")
"""

# What a file holds in a few numbers, the last one over all the values of each row.
CONTENT = """
SELECT count(*), sum(id), sum(amount::DECIMAL(12, 2)), min(epoch_us(taken_at)), max(epoch_us(taken_at)), count(DISTINCT customer),
    count_if(is_paid), sum(pieces), count(note), sum(length(note)),
    sum(hash(id::BIGINT, amount::DECIMAL(12, 2), epoch_us(taken_at), customer::VARCHAR, weight::DOUBLE, is_paid::BOOLEAN,
        pieces::BIGINT, note::VARCHAR)::HUGEINT)
FROM read_parquet({files!r})
"""


class Server:
    """A PostgreSQL of its own, on a free port of the loopback address; ends with the block."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="millstream-bench-")
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin")) or [os.path.dirname(shutil.which("initdb") or "")]
        if not os.path.exists(f"{programs[-1]}/initdb"):
            sys.exit("PostgreSQL's server is not installed: run `make databases`")
        self.programs = programs[-1]
        # The server refuses to run as root.
        self.user = "nobody" if os.getuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)
        data = f"{self.folder}/data"
        self.call("initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = ["fsync=off", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_wal_size=4GB", f"port={self.port}"]
        options = [part for setting in settings for part in ("-c", setting)]
        command = [f"{self.programs}/postgres", "-D", data, *options]
        self.process = subprocess.Popen(command, user=self.user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = f"postgresql://postgres:postgres@127.0.0.1:{self.port}/postgres"
        ready = [f"{self.programs}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready).returncode != 0:
            if self.process.poll() is not None:
                sys.exit("PostgreSQL's server has ended instead of being ready")
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)

    def call(self, program, *arguments):
        subprocess.run([f"{self.programs}/{program}", *arguments], user=self.user, check=True, stdout=subprocess.DEVNULL)

    def sql(self, text):
        psql = [f"{self.programs}/psql", "-q", "-v", "ON_ERROR_STOP=1", self.url]
        subprocess.run(psql, input=text, text=True, check=True)


def programs(example, url, table, with_pandas):
    """Every program with its arguments; each writes into the folder of its own name."""
    script = {"url": url, "table": table}
    found = {
        "Millstream": [example, url.replace("postgresql://", "postgres://") + "?sslmode=disable", f"public.{table}", folder("Millstream")],
        "ConnectorX": [sys.executable, "-c", CONNECTORX.format(output=f"{folder('ConnectorX')}/rows.parquet", **script)],
    }
    if with_pandas:
        found["pandas"] = [sys.executable, "-c", PANDAS.format(output=f"{folder('pandas')}/rows.parquet", **script)]
    return found


def folder(name):
    return f"{FOLDER}/{name}"


def files(name):
    """The Parquet files that a program wrote."""
    return sorted(glob.glob(f"{folder(name)}/**/*.parquet", recursive=True))


def measure(example, url, table, rows, with_pandas):
    measured = {}
    for _ in range(ROUNDS):
        for name, arguments in programs(example, url, table, with_pandas).items():
            shutil.rmtree(folder(name), ignore_errors=True)
            os.makedirs(folder(name))
            measured.setdefault(name, []).append(run(arguments))
    contents = {name: duckdb.sql(CONTENT.format(files=files(name))).fetchone() for name in measured}
    for name, found in contents.items():
        if found != contents["ConnectorX"] or found[0] != rows:
            sys.exit(f"{name} wrote {found}, ConnectorX {contents['ConnectorX']}: they did not do the same work")
    for name, rounds in measured.items():
        seconds, processor, _ = min(rounds)
        memory = [mib for _, _, mib in rounds]
        size = sum(map(os.path.getsize, files(name))) / 1e6
        of = {"ConnectorX": f" {version('connectorx')}", "pandas": f" {version('pandas')}"}.get(name, "")
        print(
            f"| {rows // 1_000_000} M rows of PostgreSQL to Parquet, {name}{of} | {seconds:.1f} s ({processor:.1f} s of processor), "
            f"{min(memory):.0f} to {max(memory):.0f} MiB, {size:.0f} MB written |",
            flush=True,
        )


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.makedirs(FOLDER, exist_ok=True)
    duckdb.sql("SET TimeZone = 'UTC'")
    with Server() as server:
        print(f"Writing {ROWS:,} rows into PostgreSQL ...", file=sys.stderr)
        server.sql(GENERATE)
        measure(sys.argv[1], server.url, TABLE, ROWS, with_pandas=False)
        measure(sys.argv[1], server.url, "a_tenth", ROWS // 10, with_pandas=True)
    shutil.rmtree(FOLDER)


main()
