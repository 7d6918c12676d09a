"""Settings of training: epochs, learning rate, checkpoints, and measured quality."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.kinds import STRICT

LrPolicy = Literal["linear", "cosine", "step", "constant"]
OnDivergence = Literal["stop", "rollback"]


@dataclass(frozen=True, config=STRICT)
class TrainingSettings:
    """Epochs and learning rate of a training, and the checkpoints that are kept."""

    n_epochs: NonNegativeInt = 100
    """epochs at the full learning rate"""
    n_epochs_decay: NonNegativeInt = 100
    """further epochs, over which the linear policy decays the learning rate to zero"""
    epoch_count: PositiveInt = 1
    """number of the first epoch, for runs that start from pretrained weights"""
    lr: PositiveFloat = 0.0002
    """learning rate of Adam"""
    scale_lr: bool = False
    """multiply lr by the images of a step, batch_size times accumulate (Goyal et al. 2017)"""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """momentum of Adam"""
    lr_policy: LrPolicy = "linear"
    """learning rate schedule; cosine decays once, over n_epochs and n_epochs_decay together"""
    lr_warmup: NonNegativeInt = 0
    """warmup epochs, in which the learning rate rises to lr_policy's"""
    lr_decay_iters: PositiveInt = 50
    """epochs between decays to a tenth (lr_policy step)"""
    accumulate: PositiveInt = 1
    """gradient accumulation: batches per update, as if they were one large batch"""
    on_divergence: OnDivergence = "stop"
    """when a loss is NaN or infinite: stop; or go back to the last checkpoint but one (rollback),
    at a lower learning rate, also when a loss explodes"""
    rollback_lr: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """factor of the learning rate after each rollback"""
    max_rollbacks: PositiveInt = 3
    """rollbacks of a run, after which it stops"""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """decay of a moving average (EMA) of the generators' weights, which conversion then uses, for
    example 0.998; 0: none"""
    save_latest_freq: NonNegativeInt = 5000
    """images between saves of latest.pt; 0: at the end of each epoch instead"""
    save_latest_minutes: NonNegativeFloat = 10.0
    """also save latest.pt after this time, however few images were seen; 0: never"""
    save_latest_seconds: NonNegativeFloat = 30.0
    """minimum seconds between saves of latest.pt, so that fast steps don't wait for saving; 0: no
    limit"""
    save_epoch_freq: NonNegativeInt = 5
    """epochs between permanent checkpoints; 0: only latest.pt"""
    keep: NonNegativeInt = 0
    """how many of the newest to keep; 0 keeps all"""

    @property
    def last_epoch(self) -> int:
        """Number of the last epoch, counted from 1."""
        return self.n_epochs + self.n_epochs_decay

    @property
    def epochs(self) -> int:
        """Epochs of the whole run."""
        return max(0, self.last_epoch - self.epoch_count + 1)

    def check_epochs(self) -> None:
        """Raise UsageError where no epoch would be trained."""
        if self.last_epoch == 0:
            raise UsageError(
                "--n_epochs 0 --n_epochs_decay 0: nothing would be trained: give one of them"
            )
        if self.epoch_count > self.last_epoch:
            raise UsageError(
                f"--epoch_count {self.epoch_count}: nothing would be trained, the last epoch is "
                f"{self.last_epoch}: give a larger --n_epochs or --n_epochs_decay"
            )


@dataclass(frozen=True, config=STRICT)
class QualitySettings:
    """Evaluation during training, the choice of best.pt, and early stopping."""

    eval_freq: NonNegativeInt = 2000
    """images between evaluations of progress and content preservation, which take at most 3 % of
    the time and choose best.pt; 0: none"""
    eval_images: PositiveInt = 64
    """test images of each domain to evaluate on, the same every time"""
    min_ssim: Annotated[float, Field(ge=0, le=1)] = 0.3
    """minimum content preservation of best.pt, as luminance SSIM: any shortfall counts tenfold
    against its progress; 0: no minimum"""
    patience: NonNegativeInt = 0
    """stop after this many evaluations without improvement; 0: never"""
