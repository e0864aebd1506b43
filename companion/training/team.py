"""The processes that train together, through accelerate: one alone, or as many as ``accelerate launch`` starts."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from companion._optional import optional_import
from companion.device import pick_device
from companion.training.errors import RunError


class Team:
    """One process and those beside it.

    ``accelerate launch`` says in the environment how many there are and what each holds (a copy of the model, or a
    shard of it); the same code runs alone where nothing is said.
    """

    def __init__(self) -> None:
        accelerate = optional_import("accelerate", extra="labs", purpose="to train")
        # A part of the model may have no gradient at a step, such as the pooler of a BERT that only fills gaps.
        handler = accelerate.DistributedDataParallelKwargs(find_unused_parameters=True)
        # The mode of a run says in which numbers it computes, not the launcher.
        self.accelerator = accelerate.Accelerator(
            cpu=pick_device().type == "cpu", mixed_precision="no", kwargs_handlers=[handler]
        )
        self.rank: int = self.accelerator.process_index
        self.size: int = self.accelerator.num_processes
        self.device: torch.device = self.accelerator.device
        self.is_first: bool = self.accelerator.is_main_process

    def prepare(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
        """Spread a module over the processes; the optimizer follows in place.

        Raises
        ------
        RunError
            If the launcher asks for shards that join all parameters into one flat vector.
        """
        kind = str(self.accelerator.distributed_type).rpartition(".")[2]
        if kind == "FSDP" and not getattr(self.accelerator, "is_fsdp2", False):
            # A flat vector has no matrices for Muon, and no names for a checkpoint.
            raise RunError("FSDP's first version is not supported here; launch with --fsdp_version 2")
        prepared, _ = self.accelerator.prepare(module, optimizer)
        return prepared

    def forget_whole(self, module: nn.Module) -> None:
        """Drop the whole parameters that a sharded module keeps after it computed something without a gradient."""
        for part in module.modules():
            reshard = getattr(part, "reshard", None)
            if reshard is not None:
                reshard()

    def backward(self, total: Tensor) -> None:
        """Add the gradients of a number."""
        self.accelerator.backward(total)

    def syncing(self, module: nn.Module, is_last: bool) -> contextlib.AbstractContextManager[Any]:
        """Exchange gradients in the last backward pass of a step only."""
        return contextlib.nullcontext() if is_last or self.size == 1 else self.accelerator.no_sync(module)

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Add up numbers over all processes."""
        if self.size == 1:
            return list(numbers)
        kind = torch.float32 if self.device.type == "mps" else torch.float64
        return self.accelerator.reduce(torch.tensor(numbers, dtype=kind, device=self.device), "sum").tolist()

    def collect(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Bring small tensors of all processes together, named ``<process>.<name>``."""
        collected = {}
        for name, tensor in tensors.items():
            everyone = self.accelerator.gather(tensor[None].to(self.device)) if self.size > 1 else tensor[None]
            collected |= {f"{rank}.{name}": everyone[rank].cpu().clone() for rank in range(self.size)}
        return collected

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Let the first process do something while the others wait; when it fails, all do."""
        failed, error = 0.0, None
        try:
            yield self.is_first
        except Exception as caught:
            failed, error = 1.0, caught
        failed = self.sum([failed])[0]
        if error is not None:
            raise error
        if failed:
            raise RunError("the first process failed; its message says why")
