"""A run goes on: what a checkpoint holds, in what its settings build."""

from pathlib import Path

import torch

from cyclegan.checkpoint import Checkpoint
from cyclegan.device import ran_out_of_memory
from cyclegan.errors import UserError, in_one_line
from cyclegan.run_folder import RunFolder
from cyclegan.settings import Settings
from cyclegan.training.state import TrainingState


def check_size(settings: Settings, resume: Checkpoint) -> None:
    """Raise UserError where the networks of `settings` take more memory than those that were saved.

    What a file says of its networks may be anything; its weights are no larger than the file.
    """
    with torch.device("meta"):
        built = settings.recipe.networks_of(settings.networks)
    needed = sum(weights.nbytes for network in built for weights in network.parameters())
    held = sum(
        weights.nbytes
        for network in resume.state["networks"].values()
        for weights in network.values()
    )
    if needed > held:
        raise UserError(
            f"{RunFolder(settings.run.folder).latest}: holds {held} bytes of weights, fewer than "
            f"its settings need ({needed}): start a new run with another --name"
        )


def take_up(state: TrainingState, resume: Checkpoint, device: torch.device, path: Path) -> None:
    """Take the state from a checkpoint. Raises UserError where it is another run's."""
    try:
        state.load_state_dict(resume.state, device)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        if ran_out_of_memory(error):
            raise
        named = isinstance(error, KeyError)
        reason = f"it holds no {error.args[0]}" if named else f"{error}".strip().splitlines()[-1]
        raise UserError(
            f"{path}: not what these settings train ({in_one_line(reason)}): start a new run with "
            "another --name"
        ) from error
