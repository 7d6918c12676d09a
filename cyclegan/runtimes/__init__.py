"""Runtimes that run exported files, by name."""

from typing import Literal

Runtime = Literal["auto", "torch", "onnxruntime", "openvino"]
Provider = Literal["auto", "cpu", "cuda", "tensorrt"]
