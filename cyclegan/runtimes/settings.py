"""Names of the runtimes, and of what onnxruntime computes by."""

from typing import Literal

Runtime = Literal["auto", "torch", "onnxruntime", "openvino"]
Provider = Literal["auto", "cpu", "cuda", "tensorrt"]
