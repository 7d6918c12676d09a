"""Runtimes: what runs exported files."""

from typing import Literal

Runtime = Literal["auto", "torch", "onnxruntime", "openvino"]
Provider = Literal["auto", "cpu", "cuda", "tensorrt"]
