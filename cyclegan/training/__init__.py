"""Settings of training: epochs, learning rate, checkpoints, and measured quality."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.kinds import STRICT

LrPolicy = Literal["linear", "cosine", "step", "constant"]


@dataclass(frozen=True, config=STRICT)
class TrainingSettings:
    """Epochs and learning rate of a training, and the checkpoints that are kept."""

    n_epochs: NonNegativeInt = 100
    """epochs at the full learning rate"""
    n_epochs_decay: NonNegativeInt = 100
    """epochs after them, in which the linear policy brings the learning rate to zero"""
    epoch_count: PositiveInt = 1
    """number of the first epoch, for runs that start from weights trained before"""
    lr: PositiveFloat = 0.0002
    """learning rate of Adam"""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """momentum of Adam"""
    lr_policy: LrPolicy = "linear"
    """how the learning rate falls; cosine falls once, over n_epochs and n_epochs_decay together"""
    lr_warmup: NonNegativeInt = 0
    """epochs in which the learning rate first rises to what lr_policy says"""
    lr_decay_iters: PositiveInt = 50
    """epochs between two falls to a tenth (lr_policy step)"""
    accumulate: PositiveInt = 1
    """batches whose gradients add up to one update, as if they were one large batch"""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """average the generators' weights over the steps, and convert with that: share that a step
    keeps of the average, for example 0.998; 0: none"""
    save_latest_freq: NonNegativeInt = 5000
    """images between two saves of latest.pt; 0: at the end of each epoch instead"""
    save_latest_minutes: NonNegativeFloat = 10.0
    """minutes after which latest.pt is saved too, however few images were seen; 0: never"""
    save_latest_seconds: NonNegativeFloat = 30.0
    """seconds between two saves of latest.pt at least, so that fast steps don't wait for saving;
    0: no limit"""
    save_epoch_freq: NonNegativeInt = 5
    """epochs between two checkpoints that are kept; 0: none but latest.pt"""
    keep: NonNegativeInt = 0
    """keep only the newest so many of them; 0 keeps all"""

    @property
    def last_epoch(self) -> int:
        """Number of the last epoch, counted from 1."""
        return self.n_epochs + self.n_epochs_decay

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
    """Measurements of quality while training, and what follows from them."""

    eval_freq: NonNegativeInt = 2000
    """images between two measurements of progress and of what is kept, which take 3 % of the time
    at most; best.pt is the best by them; 0: none"""
    eval_images: PositiveInt = 64
    """test images of each domain that are converted for it, the same every time"""
    min_ssim: Annotated[float, Field(ge=0, le=1)] = 0.3
    """content that best.pt has to keep, as SSIM of luminance: what lacks counts ten times against
    its progress; 0: whatever it keeps"""
    patience: NonNegativeInt = 0
    """end the training after so many measurements without a better one; 0: never"""
