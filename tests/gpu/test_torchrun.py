"""Processes that share a GPU, as one process computes; and NCCL, of one process here."""

from pathlib import Path

import torch
from test_distributed import distances, steps
from torch import distributed, nn
from torchrun_steps import CASES

from cyclegan.distributed import ALONE
from cyclegan.training.gradient_sum import GradientSum


def test_two_processes_on_one_gpu_compute_the_same(device: torch.device, tmp_path: Path) -> None:
    one, two = (steps(processes, tmp_path, device.type) for processes in (1, 2))
    for case in CASES:
        found = distances(one, two, case)
        assert found.learnt > 0.5
        assert found.exact < 1e-9
        assert found.rounded <= found.nudged
        assert found.gradients < 1e-5


def test_one_process_sums_its_gradients_by_nccl(device: torch.device) -> None:
    carrier = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(carrier, store=distributed.HashStore(), rank=0, world_size=1)
    try:
        network = nn.Linear(8, 4).to(device)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        sums = GradientSum(optimizer, ALONE)
        for _ in range(3):  # from the second on, while the rest is computed
            optimizer.zero_grad(set_to_none=False)
            sums.begin("step")
            network(torch.ones(2, 8, device=device)).sum().backward()
            told = sums.finish({"loss": torch.tensor(2.0, device=device)})
            assert told["loss"].item() == 2
            assert network.weight.grad is not None
            assert torch.equal(network.weight.grad, torch.full((4, 8), 2.0, device=device))
    finally:
        distributed.destroy_process_group()
