"""Execution: one value that decides how networks are computed; and the compiler's cache."""

import logging
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import torch
from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor, nn

from cyclegan.device import ran_out_of_memory
from cyclegan.errors import UserError, in_words
from cyclegan.layers import Recompute
from cyclegan.layers.chain import recompute
from cyclegan.layers.convolution import fold

log = logging.getLogger(__name__)
T = TypeVar("T")


def compiler_works(device: torch.device) -> bool:
    """Return whether anything can be compiled here; log a warning if not."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # "no CUDA"
    try:
        in_a_sound_cache(lambda: torch.compile(lambda x: x * 2 + 1)(torch.ones(8, device=device)))
    except Exception as error:  # a missing compiler shows in many ways
        log.warning("not compiled: no working compiler on this machine (%s)", _cause(error))
        return False
    return True


class Compiled:
    """A compiled network for inputs of the first two shapes; others are computed eagerly.

    Compiling takes a minute: the last, smaller batch of an epoch is not worth one.
    """

    def __init__(self, network: nn.Module, *, graphs: bool) -> None:
        self._eager: Callable[[Tensor], Tensor] = network
        self._graphs = graphs
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # "no CUDA"
        _allow_many_networks()
        if not graphs:
            _compile_backward_at_once()
        mode = "reduce-overhead" if graphs else "default"
        self._compiled: Callable[[Tensor], Tensor] = torch.compile(
            network, mode=mode, dynamic=False
        )
        self._shapes: set[torch.Size] = set()

    def __call__(self, images: Tensor) -> Tensor:
        known = images.shape in self._shapes or len(self._shapes) < _SHAPES
        if not known:
            return self._eager(images)
        self._shapes.add(images.shape)
        output = self._in_a_sound_cache(images)
        # A CUDA graph writes its next result to the same place.
        return output.clone() if self._graphs else output

    def _in_a_sound_cache(self, images: Tensor) -> Tensor:
        """Compute, compiling if needed; switch to eager for good where compiling fails."""
        from torch._dynamo.exc import BackendCompilerFailed

        try:
            return in_a_sound_cache(lambda: self._compiled(images))
        except BackendCompilerFailed as error:
            if _was_stopped(error) or ran_out_of_memory(error):
                raise
            log.warning("torch.compile failed, running eagerly (%s)", _cause(error))
        self._compiled = self._eager
        return self._eager(images)


def in_a_sound_cache(call: Callable[[], T]) -> T:
    """Run `call`, which compiles; use another cache folder where this one is damaged.

    A compile that is killed can leave half a file, which no later one would get past. Raises what
    `call` raises in an empty folder, too.
    """
    from torch._dynamo.exc import BackendCompilerFailed

    try:
        return call()
    except BackendCompilerFailed as error:
        damaged = _cache_folder()
        if _was_stopped(error) or ran_out_of_memory(error) or not any(damaged.iterdir()):
            raise
        reason = _cause(error)
    made, folder = _in_another_cache(call, damaged)
    log.warning(
        "%s: damaged compile cache, as a killed compile leaves it (%s); using %s instead: delete "
        "the damaged folder when nothing is compiling",
        damaged,
        reason,
        folder,
    )
    return made


def _in_another_cache(call: Callable[[], T], damaged: Path) -> tuple[T, Path]:
    """Run `call` with a cache folder beside the damaged one; return its result and that folder.

    The folder keeps its name, so that the next run finds what this one compiled.
    """
    from torch._dynamo.exc import BackendCompilerFailed

    for number in count(2):
        folder = damaged.with_name(f"{damaged.name}_{number}")
        fresh = not folder.exists()
        _use(folder)
        try:
            return call(), folder
        except BackendCompilerFailed:
            if fresh:
                _use(damaged)
                shutil.rmtree(folder, ignore_errors=True)
                raise
    raise AssertionError("numbers end nowhere")


def _use(folder: Path) -> None:
    """Let torch and triton keep what they compile in `folder` from now on; loaded code stays."""
    from torch._inductor.utils import clear_inductor_caches

    os.environ |= {"TORCHINDUCTOR_CACHE_DIR": str(folder), "TRITON_CACHE_DIR": f"{folder}/triton"}
    clear_inductor_caches()


def _cache_folder() -> Path:
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    return Path(cache_dir())


def _allow_many_networks() -> None:
    """Let a process compile more networks than torch does before it goes on eagerly.

    It counts all that ever passed through the same `forward`, in one training or in several.
    """
    from torch._dynamo import config

    config.cache_size_limit = max(_PROGRAMS, config.cache_size_limit)


def _compile_backward_at_once() -> None:
    """Compile gradients before a step computes anything, so that a failure can be handled."""
    from torch._functorch import config

    if hasattr(config, _AT_ONCE):
        setattr(config, _AT_ONCE, True)


def _was_stopped(error: BaseException) -> bool:
    """Return whether a signal ended the compiler: Ctrl-C goes to all that a terminal runs."""
    inner = getattr(error, "inner_exception", error)
    return getattr(inner.__cause__, "returncode", 0) in (-signal.SIGINT, -signal.SIGTERM)


def _cause(error: BaseException) -> str:
    """Return the error in the compiler's own words, which torch only wraps."""
    inner = getattr(error, "inner_exception", error)
    output = getattr(inner, "output", None)  # of a C++ compiler
    told = [line for line in str(output or "").splitlines() if "error" in line.lower()]
    return told[0].strip() if told else in_words(inner)


_AT_ONCE = "force_non_lazy_backward_lowering"
_PROGRAMS = 256  # of one function; torch's own limit is 8
_SHAPES = 2  # with one call for two batches, a network sees batches of two sizes


Precision = Literal["fp32", "bf16", "fp16"]
Call = Callable[[Tensor], Tensor]

TYPES: dict[str, torch.dtype | None] = {
    "fp32": None,  # the type of the weights: float64 networks stay float64
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


@dataclass(frozen=True)
class Execution:
    """Choices that decide, bit by bit, how networks are computed on one kind of device.

    The default is the plain way.
    """

    device: str = "cpu"
    """device type that it was chosen for"""
    threads: Annotated[int, Field(ge=0, le=4096)] = 0
    """CPU threads; 0 leaves torch's own number"""
    precision: Precision = "fp32"
    channels_last: bool = False
    compiled: bool = False
    recompute: Recompute = "off"
    """activations that generators recompute in backward instead of keeping them"""
    batch_generator: bool = False
    """one call for the generator passes that share weights"""
    batch_discriminator: bool = False
    """one discriminator call for real and converted images"""
    backward_per_part: bool = False
    """one backward pass per part of the loss, so that only one autograd graph is alive"""
    fused: bool = False
    """fused optimizers"""
    whole_step: bool = False
    """one CUDA graph for the whole training step, not one per network"""

    def prepare(self, network: nn.Module) -> Call:
        """Lay out the weights of `network`; return the function to call while training.

        The call takes and returns (N, C, H, W) in the weights' type.
        """
        layout = torch.channels_last if self.channels_last else torch.preserve_format
        network.to(memory_format=layout)
        recompute(network, self.recompute)
        call = Cast(network, TYPES[self.precision], layout)
        graphs = self.device == "cuda" and not self.whole_step
        return Compiled(call, graphs=graphs) if self.compiled else call

    def cast(self, images: Tensor) -> Tensor:
        """Cast images (N, C, H, W) to the type and the layout that layers compute in."""
        layout = torch.channels_last if self.channels_last else torch.preserve_format
        return images.to(TYPES[self.precision] or images.dtype, memory_format=layout)

    def prepare_trained(self, network: nn.Module) -> Call:
        """Prepare a network whose weights change no more: they are cast once, in place."""
        dtype = TYPES[self.precision]
        if dtype is not None:
            fold(network, dtype)
        return self.prepare(network)

    def describe(self) -> str:
        """Return a description for people: bf16, channels last, compiled, 2 threads."""
        words = [
            self.precision,
            *(["channels last"] if self.channels_last else []),
            *(["compiled"] if self.compiled else []),
            *(["one graph a step"] if self.whole_step else []),
            *([f"recomputing ({self.recompute})"] if self.recompute != "off" else []),
            *(["batched calls"] if self.batch_generator else []),
            *(
                [f"{self.threads} thread{'s' * (self.threads > 1)}"]
                if self.device == "cpu" and self.threads
                else []
            ),
        ]
        return ", ".join(words)

    def table(self) -> dict[str, Any]:
        """Return the fields as plain builtins, for a checkpoint."""
        return asdict(self)


def from_table(table: Mapping[str, Any]) -> Execution:
    """Read what `Execution.table` gave; names that this version doesn't know are ignored.

    Raises UserError, naming the first that is of another type.
    """
    known = {field.name for field in fields(Execution)}
    table = {_RENAMED.get(name, name): value for name, value in table.items()}
    try:
        return _EXECUTION.validate_python({name: table[name] for name in known & table.keys()})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(map(str, problem["loc"]))
        raise UserError(
            f"the checkpoint's execution can't be read ({key}: {problem['msg'].lower()})"
        ) from None


_EXECUTION = TypeAdapter(Execution)
#: Names in checkpoints of 0.1.0.
_RENAMED = {
    "apart": "backward_per_part",
    "batched": "batch_generator",
    "judged_together": "batch_discriminator",
}


class Cast(nn.Module):
    """A network whose layers compute in another type and layout than its inputs."""

    def __init__(
        self, network: nn.Module, dtype: torch.dtype | None, layout: torch.memory_format
    ) -> None:
        super().__init__()
        self.network = network
        self._dtype = dtype
        self._layout = layout

    def forward(self, images: Tensor) -> Tensor:
        cast = images.to(self._dtype or images.dtype, memory_format=self._layout)
        output: Tensor = self.network(cast)
        return output.to(images.dtype)
