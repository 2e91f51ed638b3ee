"""What the image recipes share: Vertex AI's training contract (the `AIP_*` variables), rows, metrics and checkpoints.

The modules named here need Python's standard library only; `parallel` needs PyTorch and is imported by its name.
"""

from .errors import ContractError
from .paths import data_files, local_path

__all__ = ["ContractError", "data_files", "local_path"]
