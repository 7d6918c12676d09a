"""Processes that share a GPU: as one process computes. Between GPUs there is NCCL; here is one."""

from pathlib import Path

import torch
from test_distributed import distances, steps
from torchrun_steps import CASES


def test_two_processes_on_one_gpu_compute_the_same(device: torch.device, tmp_path: Path) -> None:
    one, two = (steps(processes, tmp_path, device.type) for processes in (1, 2))
    for case in CASES:
        found = distances(one, two, case)
        assert found.learnt > 0.5
        assert found.exact < 1e-9
        assert found.rounded <= found.nudged
        assert found.gradients < 1e-5
