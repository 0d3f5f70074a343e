"""The published file as it is, set to another size only: what a prepared file is compared with in benches and tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.manifest import Model, face_detector
from models.prepare import check_shape
from models.session import open_session
from robot.errors import ModelError
from robot.types import F32

if TYPE_CHECKING:
    from onnx import ModelProto


class PublishedSession:
    """The published network on the CPU with one thread; `inputs` is slots × 3 × height × width, float32, filled by the caller.

    Both ways look at all slots, one after the other. Raises ModelError for a size that the network cannot have, or without onnx.
    """

    def __init__(self, source: Path, width_px: int, height_px: int, slots: int = 1, model: Model | None = None) -> None:
        model = model or face_detector()
        check_shape(width_px, height_px, 1, model)
        self._session = open_session(at_size(source, width_px, height_px).SerializeToString())
        self._name = self._session.get_inputs()[0].name
        self.inputs: F32 = np.zeros((slots, 3, height_px, width_px), np.float32)
        self.outputs: list[list[F32]] = []
        self._bindings = [self._bind(self.inputs[slot : slot + 1]) for slot in range(slots)]

    def plain(self) -> list[list[F32]]:
        """Returns every picture's outputs from `run`: arrays in, new arrays out."""
        return [self._session.run(None, {self._name: image[None]}) for image in self.inputs]

    def bound(self) -> None:
        """Calls `run_with_iobinding`: every picture's inputs and `outputs` are memory that stays."""
        for binding in self._bindings:
            self._session.run_with_iobinding(binding)

    def _bind(self, image: F32) -> Any:
        binding = self._session.io_binding()
        binding.bind_input(self._name, "cpu", 0, np.float32, image.shape, image.ctypes.data)
        self.outputs.append([])
        for output in self._session.get_outputs():
            kept = np.zeros(output.shape, np.float32)
            self.outputs[-1].append(kept)
            binding.bind_output(output.name, "cpu", 0, np.float32, kept.shape, kept.ctypes.data)
        return binding


def at_size(source: Path, width_px: int, height_px: int) -> ModelProto:
    """Returns the published graph with static shapes of this size; no node is changed. Raises ModelError without onnx."""
    try:
        import onnx
    except ImportError as error:
        raise ModelError(
            f"{source}: set to another size by the package onnx: `pip install onnx` (extra `models`)"
        ) from error
    proto = onnx.load(str(source))
    graph = proto.graph
    for side, length in zip(graph.input[0].type.tensor_type.shape.dim, (1, 3, height_px, width_px), strict=True):
        side.dim_value = length
    for output in graph.output:  # <name>_<stride>: 1 × cells × channels
        stride = int(output.name.rpartition("_")[2])
        output.type.tensor_type.shape.dim[1].dim_value = (height_px // stride) * (width_px // stride)
    del graph.value_info[:]  # they describe the old size
    return proto
