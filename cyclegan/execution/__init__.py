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
    """type that the networks compute in; losses, statistics and pixels are always float32"""
    compile: Switch = "auto"
    """compile the networks; auto does where the run is long enough to win the time back"""
    batching: Switch = "auto"
    """put what one network sees into one call; auto does where that is quicker"""
    checkpointing: Switch = "auto"
    """compute layers again to save memory: on does it for all, auto for cheap ones where it pays"""
    threads: NonNegativeInt = 0
    """CPU threads that compute; 0 chooses, OMP_NUM_THREADS in the environment is respected"""
    deterministic: bool = False
    """on a GPU: the same bits every time, in a run that is resumed too; slower. A CPU needs no
    such flag"""
    plain: bool = False
    """the classic's execution: float32, one call and one backward for all; to compare with"""

    def check(self) -> None:
        """Raise UsageError where settings contradict each other."""
        if not self.plain:
            return
        asked = {"precision": self.precision, "compile": self.compile}
        for flag, value in (
            asked | {"checkpointing": self.checkpointing, "batching": self.batching}
        ).items():
            if value not in ("auto", "off", "fp32"):
                raise UsageError(f"--{flag} {value} can't go with --plain, which is float32, eager")
