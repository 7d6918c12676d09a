"""Execution settings: precision, layout and order in which the same mathematics is computed."""

from typing import Literal

from pydantic import NonNegativeInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.kinds import STRICT

PrecisionChoice = Literal["auto", "fp32", "bf16", "fp16"]
Switch = Literal["auto", "on", "off"]


@dataclass(frozen=True, config=STRICT)
class ExecutionSettings:
    """Execution of the networks; auto is decided at the start, on CPUs by measuring."""

    precision: PrecisionChoice = "auto"
    """compute precision of the networks; losses, statistics and pixels are always float32"""
    compile: Switch = "auto"
    """compile the networks; auto does so if the run is long enough to pay off"""
    batching: Switch = "auto"
    """batch each network's inputs into one call; auto does so where faster"""
    checkpointing: Switch = "auto"
    """activation checkpointing to save memory: on for all layers, auto for cheap ones if it pays"""
    threads: NonNegativeInt = 0
    """CPU threads; 0 chooses a number, respecting OMP_NUM_THREADS in the environment"""
    deterministic: bool = False
    """bit-reproducible training on a GPU, also when resumed; slower. A CPU needs no such flag"""
    plain: bool = False
    """the classic's execution, as a baseline: float32, one call and one backward for all"""

    def check(self) -> None:
        """Raise UsageError where settings contradict each other."""
        if not self.plain:
            return
        asked = {"precision": self.precision, "compile": self.compile}
        for flag, value in (
            asked | {"checkpointing": self.checkpointing, "batching": self.batching}
        ).items():
            if value not in ("auto", "off", "fp32"):
                raise UsageError(
                    f"--{flag} {value} can't be combined with --plain, which is float32, eager"
                )
