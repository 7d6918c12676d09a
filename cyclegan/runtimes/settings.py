"""Names of the runtimes."""

from typing import Literal

Runtime = Literal["auto", "torch", "onnxruntime", "openvino"]
