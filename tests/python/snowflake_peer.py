"""fakesnow as the tests start it, with one thing mended.

It sends a time that is NULL as a struct of NULLs, in fields that it says are never NULL, which readers of Arrow refuse. The
service sends such a struct as NULL itself.
"""

import sys

import fakesnow.arrow
import pyarrow as pa
from fakesnow.cli import main

times_as_structs = fakesnow.arrow.timestamp_to_sf_struct


def with_nulls(times):
    structs = times_as_structs(times)
    missing = times.is_null()
    if isinstance(missing, pa.ChunkedArray):
        missing = missing.combine_chunks()
    fields = [structs.type.field(index) for index in range(structs.type.num_fields)]
    parts = [structs.field(index).fill_null(0) for index in range(structs.type.num_fields)]
    return pa.StructArray.from_arrays(parts, fields=fields, mask=missing)


fakesnow.arrow.timestamp_to_sf_struct = with_nulls

sys.exit(main(["--server", "--port", sys.argv[1]]))
