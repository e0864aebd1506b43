"""Train, and be killed: run by test_killed.py in a process of its own, which forks one for each attempt.

Forked, because each would else import torch anew; the processes share nothing that they write but the folder.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import torch
import torch._dynamo  # optimizers do so at their first step; here once for all

from companion.training import checkpoint
from tests.training.small import batches, gpt, losses, trainer, weights

STEPS, SAVE_EVERY = 16, 3


def train(folder, die_at=None):
    """Train from where the folder stands; killed by itself in the ``die_at``-th push to the disk, if that comes."""
    if die_at is not None:
        pushes, push = iter(range(die_at)), checkpoint._push_to_disk

        def fatal(path):
            if next(pushes, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            push(path)

        checkpoint._push_to_disk = fatal
    # The weights of a fresh process: what counts must come from the checkpoint.
    run = trainer(gpt(), folder, steps=STEPS, save_every=SAVE_EVERY, ema=0.9, validation=[batches(90)], eval_every=5)
    resumed = run.resume()
    history = run.run()
    found = {name: tensor.tolist() for name, tensor in weights(run.model).items()}
    (folder / "result.json").write_text(json.dumps({"losses": losses(history), "weights": found}))
    return resumed


def attempt(folder, die_at=None, kill_after=None):
    """Do so in a process of its own; return whether it was killed."""
    child = os.fork()
    if child == 0:
        train(folder, die_at)
        os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def main(root):
    torch.set_num_threads(1)
    trainer()  # imports what a run needs, once for all
    began = time.perf_counter()
    attempt(root / "whole")
    seconds = time.perf_counter() - began
    draw = random.Random(0)
    kills = {"random": 0, "saving": 0}
    while kills["random"] < 4:
        if attempt(root / "random", kill_after=draw.uniform(0.1, 0.5) * seconds):
            kills["random"] += 1
        else:  # the machine has become faster, and the run has ended
            seconds /= 2
            kills["random"] = 0
            shutil.rmtree(root / "random")
    attempt(root / "random")
    # 7 pushes are one checkpoint: 4 files of tensors, the facts, the folder, and the folder around it.
    for die_at in range(8):
        kills["saving"] += attempt(root / "saving", die_at=die_at)
    attempt(root / "saving")
    (root / "kills.json").write_text(json.dumps(kills))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
