"""Which of how many processes this one is, and how they are started.

A recipe's command is `python -m gpt.train` everywhere. What a platform says about the nodes is read here:

| set | by | what follows |
|---|---|---|
| `LOCAL_RANK` | torchrun | a process of a group, ready to train |
| `PET_NNODES` | Kubeflow Trainer v2, newer PyTorchJobs | torchrun, which reads the `PET_*` variables itself |
| `WORLD_SIZE`, `RANK`, `MASTER_ADDR` | PyTorchJob v1 | a node: trains itself, or with several GPUs becomes torchrun |
| `CLUSTER_SPEC` | Vertex AI with several nodes | a node, likewise |
| none of them | one machine | trains itself, or with several GPUs becomes torchrun |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import ContractError

PORT = "29500"


@dataclass(frozen=True)
class Topology:
    """A process's place in its group."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> Topology:
        """Reads `RANK`, `WORLD_SIZE` and `LOCAL_RANK`; without them the process is alone."""
        rank, size, local = (_number(variables, name, at) for name, at in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0)))
        if not 0 <= rank < size:
            raise ContractError(f"RANK is {rank} and WORLD_SIZE is {size}: the rank must be smaller")
        return cls(rank, size, local)


def torchrun_arguments(variables: Mapping[str, str], gpus: int) -> list[str] | None:
    """What torchrun must be started with, before `-m MODULE`; None where this process trains by itself.

    `gpus` is how many this node has: a process for each.
    """
    if "LOCAL_RANK" in variables:
        return None
    if variables.get("PET_NNODES"):
        alone = variables["PET_NNODES"] in ("1", "1:1") and variables.get("PET_NPROC_PER_NODE", "1") == "1"
        return None if alone else []
    processes = max(gpus, 1)
    nodes, node, address, port = _node(variables)
    if nodes == 1:
        return None if processes == 1 else ["--standalone", f"--nproc-per-node={processes}"]
    if processes == 1 and "WORLD_SIZE" in variables:
        return None
    return [
        f"--nnodes={nodes}",
        f"--node-rank={node}",
        f"--nproc-per-node={processes}",
        f"--master-addr={address}",
        f"--master-port={port}",
    ]


def _node(variables: Mapping[str, str]) -> tuple[int, int, str, str]:
    """How many nodes there are, which this is, and where the first listens."""
    if "WORLD_SIZE" in variables:
        place = Topology.from_variables(variables)
        if place.world_size > 1 and not variables.get("MASTER_ADDR"):
            raise ContractError("WORLD_SIZE is set without MASTER_ADDR, where the first process listens")
        return place.world_size, place.rank, variables.get("MASTER_ADDR", ""), variables.get("MASTER_PORT") or PORT
    if spec := variables.get("CLUSTER_SPEC"):
        try:
            description = json.loads(spec)
            pools, task = description["cluster"], description["task"]
            first, others = pools["workerpool0"], pools.get("workerpool1", [])
            node = int(task["index"]) + (len(first) if task["type"] == "workerpool1" else 0)
            address = first[0].rpartition(":")[0] or first[0]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise ContractError(f"CLUSTER_SPEC cannot be read: {error!r}") from None
        return len(first) + len(others), node, address, PORT
    return 1, 0, "", PORT


def _number(variables: Mapping[str, str], name: str, absent: int) -> int:
    value = variables.get(name)
    if not value:
        return absent
    if not value.isdecimal():
        raise ContractError(f"{name} is {value!r}, not a number")
    return int(value)
