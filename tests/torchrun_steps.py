"""Steps of a training on made-up batches, in as many processes as torchrun starts; saves weights.

torchrun ... tests/torchrun_steps.py FOLDER [DEVICE]
"""

import sys
from pathlib import Path
from typing import Any

import torch

from cyclegan.assemble import make_recipe
from cyclegan.data.batch import Batch
from cyclegan.device import choose_device
from cyclegan.distributed import Group, joined
from cyclegan.execution.execution import Execution
from cyclegan.settings import from_table
from cyclegan.training import gradient_sum
from cyclegan.training.captured import step_of

TINY = {
    "generator": {"ngf": 2, "n_blocks": 1},
    "discriminator": {"ndf": 2},
    "training": {"pool_size": 3, "ema_decay": 0.9},
}
#: What draws at random, looks back or comes in turns.
CASES: dict[str, dict[str, Any]] = {
    "contrastive": {
        "losses": {
            "lambda_nce": 1.0,
            "lambda_consistency": 1.0,
            "identity_every": 2,
            "identity_steps": 9,
        }
    },
    "penalised": {
        "losses": {"gan_mode": "wgangp", "diffaugment": ["color", "translation", "cutout"]},
        "training": {**TINY["training"], "pretrain": 3},
    },
}
gradient_sum.BUCKET = 4000  # bytes: some for each of these small networks
#: Images of the batches of a step, in turn: of all processes; two are accumulated. Four processes
#: share fewer than four images too.
SIZES = ((4,), (2, 1), (3,))
STEPS = 12


def batch(number: int, images: int, group: Group, device: torch.device) -> Batch:
    """Return this process's share of a batch that depends on `number` alone."""
    noise = torch.Generator().manual_seed(number)
    a, b = (torch.rand(images, 3, 24, 24, generator=noise) * 2 - 1 for _ in "ab")
    share = group.share(images)
    own = slice(None) if share is None else slice(share.start, share.stop)
    return Batch(a[own], b[own], share=share).to(device)


def trained(
    case: str, group: Group, steps: int, device: torch.device, nudge: int = 0
) -> dict[str, Any]:
    """Return losses, gradients and weights after some steps."""
    settings = from_table({**TINY, **CASES[case]}, case)
    execution = Execution(batch_generator=True)
    torch.manual_seed(0)
    recipe = make_recipe(settings, execution, device)
    recipe.state.share(group)
    if nudge:
        noise = torch.Generator().manual_seed(nudge)
        with torch.no_grad():
            for network in recipe.state.networks.values():
                for one in network.parameters():
                    up = (torch.rand(one.shape, generator=noise) < 0.5).to(device)
                    one.copy_(one.nextafter(torch.where(up, torch.inf, -torch.inf)))
    compute = step_of(recipe.phases, recipe.state, execution, group)
    for step in range(steps):
        sizes = SIZES[step % len(SIZES)]
        result = compute(
            [batch(2 * step + n, size, group, device) for n, size in enumerate(sizes)], step
        )
    group.check_alike(recipe.state.networks)
    grads = {
        f"{name}.{key}": one.grad.clone()
        for name, network in recipe.state.networks.items()
        for key, one in network.named_parameters()
        if one.grad is not None
    }
    networks = recipe.state.networks | {
        f"ema_{n}": v for n, v in recipe.state.averages.networks.items()
    }
    weights = {
        f"{n}.{key}": v.clone()
        for n, one in networks.items()
        for key, v in one.state_dict().items()
    }
    return {"losses": dict(result.losses), "grads": grads, "weights": weights}


def main(folder: Path, name: str = "cpu") -> None:
    """Train each case in both precisions."""
    made: dict[str, Any] = {}
    torch.backends.cudnn.allow_tf32 = False  # float32 is compared
    with joined() as group:
        device = choose_device(group.device_of(name))
        for case in CASES:
            made[f"{case} first"] = trained(case, group, 1, device)
            made[f"{case} float32"] = trained(case, group, STEPS, device)
            for nudge in (1, 2) if group.size == 1 else ():
                made[f"{case} nudged {nudge}"] = trained(case, group, STEPS, device, nudge)
            torch.set_default_dtype(torch.float64)
            made[f"{case} float64"] = trained(case, group, STEPS, device)
            torch.set_default_dtype(torch.float32)
        if group.leads:
            torch.save(made, folder / f"{group.size}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
