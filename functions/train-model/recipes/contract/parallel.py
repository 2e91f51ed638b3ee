"""PyTorch on whatever there is: one process or many, CPU or CUDA. Needs PyTorch."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .checkpoints import Checkpoints
from .errors import ContractError
from .topology import Topology, torchrun_arguments

ASK_EVERY = 10
"""Steps between two questions to the other processes whether one of them must stop: each costs a round trip."""


def become_torchrun(module: str, arguments: Sequence[str], device: str) -> None:
    """Becomes torchrun running `module`, where the platform or the GPUs of this machine ask for more than one process."""
    topology = torchrun_arguments(os.environ, 0 if device == "cpu" else torch.cuda.device_count())
    if topology is not None:
        command = [sys.executable, "-m", "torch.distributed.run", *topology, "-m", module, *arguments]
        os.execv(sys.executable, command)


class Processes:
    """The group of processes that train together; this process's device."""

    def __init__(self, device: str, topology: Topology) -> None:
        """Joins the group. `device` is `auto` (CUDA where there is one), `cpu` or `cuda`."""
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda":
            if not torch.cuda.is_available():
                raise ContractError("--device cuda: PyTorch sees no CUDA device here; use --device cpu or auto")
            if topology.local_rank >= torch.cuda.device_count():
                gpus = torch.cuda.device_count()
                raise ContractError(f"process {topology.local_rank} of this node has no GPU: there are {gpus}; start one a GPU")
            self.device = torch.device("cuda", topology.local_rank)
            torch.cuda.set_device(self.device)
            # TF32 for what stays in 32 bits.
            torch.set_float32_matmul_precision("high")
        else:
            self.device = torch.device("cpu")
        self.rank = topology.rank
        self.world_size = topology.world_size
        if self.world_size > 1:
            dist.init_process_group("nccl" if device == "cuda" else "gloo", rank=self.rank, world_size=self.world_size)

    @property
    def first(self) -> bool:
        """True for the one process that writes."""
        return self.rank == 0

    def share(self, total: int, what: str) -> slice:
        """This process's part of `total` things that all processes have in the same order."""
        if total % self.world_size:
            raise ContractError(f"{what} is {total}: it must be a multiple of the {self.world_size} processes")
        each = total // self.world_size
        return slice(self.rank * each, (self.rank + 1) * each)

    def wrapped(self, model: nn.Module, compiled: bool) -> Callable[[Tensor], Tensor]:
        """`model` as it is trained: gradients averaged over the processes, compiled if asked for."""
        if self.world_size > 1:
            ids = [self.device.index] if self.device.type == "cuda" else None
            model = nn.parallel.DistributedDataParallel(model, device_ids=ids)
        return torch.compile(model) if compiled else model

    def from_first(self, value: Any) -> Any:
        """The first process's `value`, in all of them."""
        if self.world_size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def must_stop(self, asked: bool, step: int) -> bool:
        """True in all processes at the same step when one of them was asked to stop."""
        if self.world_size == 1:
            return asked
        if step % ASK_EVERY:
            return False
        flag = torch.tensor(float(asked), device=self.device)
        dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        return bool(flag.item())

    def mean(self, value: Tensor) -> Tensor:
        """The mean of `value` over the processes."""
        value = value.detach().clone()
        if self.world_size > 1:
            dist.all_reduce(value)
            value /= self.world_size
        return value

    def autocast(self, precision: str) -> AbstractContextManager[Any]:
        """`auto` is bfloat16 on CUDA and 32 bits on the CPU."""
        if precision == "bf16" or (precision == "auto" and self.device.type == "cuda"):
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def wait(self) -> None:
        """Until the device has done what it was given: for the clock."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def peak_memory(self) -> dict[str, float]:
        """The most memory that PyTorch held on this process's GPU, as the metric `peak_gpu_mib`; nothing on the CPU."""
        if self.device.type != "cuda":
            return {}
        return {"peak_gpu_mib": torch.cuda.max_memory_allocated(self.device) / 2**20}

    def leave(self) -> None:
        """Ends the group."""
        if self.world_size > 1:
            dist.destroy_process_group()


def seed_step(seed: int, step: int) -> torch.Generator:
    """Seeds PyTorch for one step, and gives a generator for the step's choice of data.

    Each step starts from its own seed, so a training that goes on after an interruption sees the numbers it would have seen.
    """
    mixed = (seed * 1_000_003 + step * 7_919 + 17) % (1 << 63)
    torch.manual_seed(mixed)
    return torch.Generator().manual_seed(mixed ^ 0x5DEECE66D)


def restored(checkpoints: Checkpoints, processes: Processes, identity: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """The steps done and the state of the newest checkpoint, as the first process finds it; 0 and nothing without one.

    `identity` is what the training is of. Raises `ContractError` where the checkpoint is of something else.
    """
    found = processes.from_first(checkpoints.newest() if processes.first else None)
    if found is None:
        return 0, {}
    step, content = found
    state = unpacked(content)
    for name, value in identity.items():
        if state.get("identity", {}).get(name) != value:
            raise ContractError(f"AIP_CHECKPOINT_DIR holds a training with another {name}: give this one a folder of its own")
    return step, state


def packed(state: Mapping[str, Any]) -> bytes:
    """A checkpoint's content as bytes."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return buffer.getvalue()


def unpacked(content: bytes) -> dict[str, Any]:
    """The content of `packed`, on the CPU. Runs no code that the bytes may carry."""
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
