"""Train in one of the processes that `accelerate launch` starts, once with copies and once with shards.

Run by test_processes.py. accelerate turns sharding on for accelerators only (`AcceleratorState` asks for a list of
kinds of devices that the processor is not in), though torch's `fully_shard` works over gloo; so it is turned on by
hand.
"""

import json
import sys
from pathlib import Path

from companion.training.team import Team
from tests.training.small import batches, gpt, losses, trainer, weights

OPTIONS = {"steps": 5, "save_every": 2, "ema": 0.9, "eval_every": 2, "validation": [batches(90)]}
START = Team.__init__


def shard(team):
    """Start a team as on accelerators launched with `--use_fsdp --fsdp_version 2`."""
    from accelerate import FullyShardedDataParallelPlugin
    from accelerate.utils import DistributedType

    START(team)
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        transformer_cls_names_to_wrap=["Block"],
        cpu_ram_efficient_loading=False,
    )
    team.accelerator.state.distributed_type = DistributedType.FSDP
    team.accelerator.state.fsdp_plugin = plugin


def outcome(history):
    return {
        "losses": losses(history),
        "validation": [dict(r.validation) for r in history],
        "tokens": history[-1].tokens,
    }


def main(root):
    found = {}
    run = trainer(gpt(dropout=0.0), root / "copies", **OPTIONS)
    found["kind"] = str(run.team.accelerator.distributed_type)
    found["copies"] = outcome(run.run())
    for optimizer in ("adamw", "muon"):
        Team.__init__ = shard
        sharded = trainer(gpt(dropout=0.0), root / optimizer, optimizer=optimizer, **OPTIONS)
        found["parts"] = sorted({type(parameter).__name__ for parameter in sharded.model.parameters()})
        found[optimizer] = outcome(sharded.run())
        Team.__init__ = shard
        resumed = trainer(gpt(dropout=0.0, seed=9), root / optimizer, optimizer=optimizer, **OPTIONS)
        found["resumed"] = resumed.resume()
        same = {name: tensor.full_tensor() for name, tensor in weights(resumed.model).items()}
        found["same"] = all(
            bool((tensor.full_tensor() == same[name]).all()) for name, tensor in weights(sharded.model).items()
        )
    if run.team.is_first:
        (root / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
