"""What a run of training is: every number that decides what comes out, and a few that do not."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

from companion._validation import describe, require_count, require_finite, require_probability
from companion.training.mode import PLAIN, Mode
from companion.training.schedules import warmup_constant, warmup_cosine, warmup_linear, wsd

OPTIMIZERS = ("adamw", "sgd", "muon")
SCHEDULES = ("cosine", "linear", "wsd", "constant")
#: What may differ between a checkpoint and the run that goes on from it: nothing of this changes what is computed, but
#: for the rounding.
MAY_CHANGE = {"accumulation", "gradient_checkpointing", "keep", "log_every", "mode", "save_every"}


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How a model is trained.

    Parameters
    ----------
    steps
        How many updates.
    optimizer
        ``"adamw"``, ``"sgd"`` or ``"muon"``; Muon leaves what is not a matrix of a hidden layer to AdamW.
    lr
        The learning rate at its highest.
    weight_decay
        How strongly matrices are pulled to zero; vectors are not.
    betas
        How slowly AdamW forgets gradients and their squares.
    momentum, nesterov
        How slowly SGD and Muon forget gradients, and whether they look one step ahead.
    schedule
        ``"cosine"``, ``"linear"``, ``"wsd"`` or ``"constant"``.
    warmup
        How many steps the learning rate rises.
    floor
        The share of the learning rate that is left at the end.
    decay
        The share of the steps that fall, with ``"wsd"``.
    max_norm
        Gradients longer than this are shortened to it; None leaves them.
    accumulation
        Into how many parts a batch is cut, one after the other: less memory, the same numbers.
    mode
        How a step is computed; :func:`fast_mode` says what is fastest here.
    ema
        How slowly a moving average of the weights forgets; None keeps none.
    gradient_checkpointing
        Whether blocks are computed twice instead of remembered: less memory, the same numbers.
    seed
        Of everything that is random while training.
    log_every, eval_every, save_every
        How many steps lie between two rows of the log, two validations and two checkpoints; None for none.
    keep
        How many checkpoints are kept, the newest ones.

    Raises
    ------
    TypeError, ValueError
        If a number is of the wrong type or out of range, or a name is unknown.
    """

    steps: int
    optimizer: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    momentum: float = 0.95
    nesterov: bool = True
    schedule: str = "cosine"
    warmup: int = 0
    floor: float = 0.1
    decay: float = 0.2
    max_norm: float | None = 1.0
    accumulation: int = 1
    mode: Mode = PLAIN
    ema: float | None = None
    gradient_checkpointing: bool = False
    seed: int = 0
    log_every: int = 1
    eval_every: int | None = None
    save_every: int | None = None
    keep: int = 2

    def __post_init__(self) -> None:
        for name in ("steps", "accumulation", "log_every", "keep"):
            require_count(name, getattr(self, name))
        for name in ("warmup", "seed"):
            require_count(name, getattr(self, name), minimum=0)
        for name in ("eval_every", "save_every"):
            if getattr(self, name) is not None:
                require_count(name, getattr(self, name))
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {describe(getattr(self, name))}")
        for name in ("nesterov", "gradient_checkpointing"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, got {describe(getattr(self, name))}")
        self._check_numbers()

    def _check_numbers(self) -> None:
        for name in ("lr", "weight_decay", "floor", "decay"):
            require_finite(name, getattr(self, name))
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        for name in ("floor", "decay"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} must be at most 1, got {getattr(self, name)}")
        if not isinstance(self.betas, tuple) or len(self.betas) != 2:
            raise TypeError(f"betas must be a tuple of two numbers, got {describe(self.betas)}")
        for i, beta in enumerate(self.betas):
            require_probability(f"betas[{i}]", beta)
        require_probability("momentum", self.momentum)
        if self.ema is not None:
            require_probability("ema", self.ema)
        if self.max_norm is not None:
            require_finite("max_norm", self.max_norm)
            if self.max_norm <= 0:
                raise ValueError(f"max_norm must be above 0 or None, got {self.max_norm}")
        if self.warmup > self.steps:
            raise ValueError(f"warmup must be at most steps, got {self.warmup} of {self.steps}")
        if not isinstance(self.mode, Mode):
            raise TypeError(f"mode must be a Mode, such as fast_mode(), got {describe(self.mode)}")

    def make_schedule(self) -> Callable[[int], float]:
        """Make the function from a step to the factor of the learning rate."""
        common: dict[str, Any] = {"steps": self.steps, "warmup": self.warmup}
        makers: dict[str, Callable[[], Callable[[int], float]]] = {
            "cosine": lambda: warmup_cosine(**common, floor=self.floor),
            "linear": lambda: warmup_linear(**common, floor=self.floor),
            "wsd": lambda: wsd(**common, floor=self.floor, decay=self.decay),
            "constant": lambda: warmup_constant(**common),
        }
        return makers[self.schedule]()

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        facts = asdict(self)
        facts["betas"] = list(self.betas)
        facts["mode"]["autocast"] = None if self.mode.autocast is None else str(self.mode.autocast)
        return facts

    def differences(self, stored: dict[str, Any]) -> list[str]:
        """Say in which fields that decide what is computed another run, as JSON, differs."""
        ours = self.to_json()
        names = [field.name for field in fields(self) if field.name not in MAY_CHANGE]
        return [
            f"{name} was {stored.get(name)!r} and is {ours[name]!r}"
            for name in names
            if stored.get(name, ours[name]) != ours[name]
        ]
