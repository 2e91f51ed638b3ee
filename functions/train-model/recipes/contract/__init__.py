"""What the image recipes share: Vertex AI's training contract (the `AIP_*` variables), rows, metrics and checkpoints.

The names given here need Python's standard library only (parquet needs pyarrow). `parallel` needs PyTorch and is imported by
its own name.
"""

from .checkpoints import Checkpoints
from .environment import Environment
from .errors import ContractError
from .metrics import write_metrics
from .paths import data_files, local_path
from .preemption import EXIT_CODE, Preemption
from .progress import Progress
from .rows import read_rows
from .topology import Topology

__all__ = [
    "EXIT_CODE",
    "Checkpoints",
    "ContractError",
    "Environment",
    "Preemption",
    "Progress",
    "Topology",
    "data_files",
    "local_path",
    "read_rows",
    "write_metrics",
]
