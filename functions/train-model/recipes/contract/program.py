"""A recipe's way from its command line to its exit code. Needs PyTorch."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from .environment import Environment
from .errors import ContractError
from .parallel import Processes, become_torchrun
from .preemption import EXIT_CODE, Preemption
from .topology import Topology

Train = Callable[[Namespace, Environment, Processes, Preemption], bool]
"""Trains and writes the model. False when it was asked to stop before the end."""


def run(module: str, arguments: Sequence[str], options: Namespace, train: Train) -> int:
    """Runs `train` in as many processes as there are to be; the exit code. `options` are the parsed `arguments`."""
    try:
        become_torchrun(module, arguments, options.device)
        preemption = Preemption()
        environment = Environment.from_variables(os.environ)
        processes = Processes(options.device, Topology.from_variables(os.environ))
        try:
            finished = train(options, environment, processes, preemption)
        finally:
            processes.leave()
    except ContractError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    return 0 if finished else EXIT_CODE
