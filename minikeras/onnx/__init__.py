"""Models as ONNX graphs, for ONNX Runtime and whatever else reads them; the extra ``onnx``."""

from __future__ import annotations

from .export import export_onnx, onnx_model

__all__ = ["export_onnx", "onnx_model"]
