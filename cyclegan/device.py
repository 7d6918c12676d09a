"""Which device computes."""

import torch

from cyclegan.errors import UsageError


def choose_device(name: str) -> torch.device:
    """The device called `name`; 'auto' is the first GPU, or the CPU.

    Raises UsageError where this machine has none of that name.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--device {name}: not on this machine ({reason[:100]})") from None
    return device
