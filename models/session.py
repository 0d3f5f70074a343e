"""Runs a prepared face detector with ONNX Runtime: buffers made once, a provider trusted only after it has inferred."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from models.interleaved import COLOURS
from models.manifest import cache_dir
from models.prepare import GRID_OUTPUT, IMAGE_INPUT, RECIPE, RECIPE_KEY, SOURCE_SHA256_KEY
from robot.detect import CHANNELS, SCORES, STRIDES, sigmoid
from robot.errors import ModelError
from robot.types import F32, U8

CPU = "CPUExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
CUDA = "CUDAExecutionProvider"
BEST_FIRST = (TENSORRT, CUDA, CPU)
"""Tried in this order where nobody names others."""
PROOF_TOLERANCE = 0.1
"""How far an accelerator's scores may lie from the CPU's in the proof: half precision does, a broken kernel does not."""


class YuNetSession:
    """A prepared file ready to run on `slots` pictures, which are filled in place and looked at in turn.

    `inputs` is slots × height × width × 3 (uint8; blue, green, red), owned by the session and filled by the caller. `run(count)`
    looks at the first `count` slots. Not for use by two threads at once. Pictures run in turn unless the file was prepared for a batch:
    on a CPU one large batch is slower, as its activations leave the cache (docs/decisions/0002-detector-input.md).

    `providers` is a list of preference (empty: BEST_FIRST, as far as this onnxruntime has them); the CPU stands at its end in any case.
    A provider that is not compiled in, does not start, or does not infer what the CPU infers is skipped, and `provider_notes` says why.
    Raises ModelError if the file is not one that models.prepare made, or cannot run at all.
    """

    def __init__(
        self,
        path: Path,
        slots: int = 1,
        *,
        threads: int = 1,
        providers: Sequence[str] = (),
    ) -> None:
        cpu = open_session(path, CPU, threads)
        self.model_sha256, self.recipe = _identity(path, cpu)
        """The sha256 of the file that the prepared one was made from, and the recipe it was made with."""
        batch, _, self.height_px, values = cpu.get_inputs()[0].shape
        self.width_px: int = values // COLOURS
        if slots < 1 or slots % batch:
            raise ModelError(f"{path}: is prepared for a batch of {batch}: {slots} pictures at a time do not fit")
        self.slots: int = slots
        self._batch: int = batch
        self._session, notes = _proven(path, providers, threads, cpu)
        self.provider_notes: tuple[str, ...] = tuple(notes)
        """One line for each preferred provider that is not used: which and why."""
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        """What really runs, the first doing the work."""
        self.inputs: U8 = np.zeros((slots, self.height_px, self.width_px, COLOURS), np.uint8)
        cells = [(self.height_px // stride) * (self.width_px // stride) for stride in STRIDES]
        ends = [0, *itertools.accumulate(CHANNELS * count for count in cells)]
        self._grids: F32 = np.zeros((slots, ends[-1]), np.float32)
        self._columns = [slice(*ends) for ends in itertools.pairwise(ends)]
        """Of `_grids`, by stride."""
        self._moves: list[tuple[F32, F32]] = []
        """To where and from what a batch's grids are copied: the runtime lays those of one stride one after the other."""
        self._bindings = [self._bind(first) for first in range(0, slots, batch)]
        self._on_cpu = self.providers[0] == CPU
        self.run(slots)  # the arena grows to its size now, not under the first people

    def run(self, count: int) -> F32:
        """Returns the grids of the first `count` slots of `inputs`, a row each: stride 8, then 16, then 32, each 16 channels × cells.

        Cells are row by row; the channels, float32, are cls and obj before the sigmoid, box, landmarks, as the network gives them. It is
        a view of the session's own memory: good until the next run. Raises ModelError if it fails.
        """
        if not 0 <= count <= self.slots:
            raise ValueError(f"{count} pictures do not fit into {self.slots} slots")
        try:
            for binding in self._bindings[: -(-count // self._batch)]:
                self._session.run_with_iobinding(binding)
                if not self._on_cpu:
                    binding.synchronize_outputs()
        except Exception as error:  # onnxruntime's errors have no public base
            raise ModelError(f"the face detector failed on {self.providers[0]}: {error}") from error
        for target, source in self._moves:
            np.copyto(target, source)
        return self._grids[:count]

    def _bind(self, first: int) -> Any:
        """Returns a binding of the slots from `first` on: runs read and write our memory, nothing is allocated or copied."""
        binding = self._session.io_binding()
        slots = slice(first, first + self._batch)
        image = self.inputs[slots]
        read_as = (self._batch, 1, self.height_px, COLOURS * self.width_px)
        binding.bind_input(IMAGE_INPUT, "cpu", 0, np.uint8, read_as, image.ctypes.data)
        for stride, columns in zip(STRIDES, self._columns, strict=True):
            part = self._grids[slots, columns]
            if self._batch > 1:
                part, target = np.zeros(part.shape, np.float32), part
                self._moves.append((target, part))
            shape = (self._batch, CHANNELS, self.height_px // stride, self.width_px // stride)
            binding.bind_output(GRID_OUTPUT.format(stride=stride), "cpu", 0, np.float32, shape, part.ctypes.data)
        return binding


def open_session(model: Path | bytes, provider: str = CPU, threads: int = 1) -> Any:
    """Returns onnxruntime's session of a file or its content, as YuNetSession and whoever compares it with something runs it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = True
    options.log_severity_level = (
        3  # what matters is raised or noted; warnings about absent GPUs are not for standard error
    )
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads sleep: a core stays free
    try:
        content = model if isinstance(model, bytes) else str(model)
        return ort.InferenceSession(content, options, providers=[(provider, _options_of(provider))])
    except Exception as error:  # onnxruntime's errors have no public base
        name = "the model" if isinstance(model, bytes) else model
        raise ModelError(f"{name}: does not load on {provider}: {error}") from error


def _options_of(provider: str) -> dict[str, str]:
    """Returns a provider's options. TensorRT builds an engine for this very processor, which takes minutes: it is kept for the next start."""
    if provider != TENSORRT:
        return {}
    kept = str(cache_dir() / "engines")
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": kept,
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": kept,
        "trt_fp16_enable": "1",
    }


def _identity(path: Path, session: Any) -> tuple[str, int]:
    """Returns source sha256 and recipe from the file's metadata; raises ModelError if models.prepare did not make it."""
    meta = session.get_modelmeta().custom_metadata_map
    inputs = session.get_inputs()
    made_here = SOURCE_SHA256_KEY in meta and meta.get(RECIPE_KEY) == str(RECIPE)
    if not made_here or len(inputs) != 1 or inputs[0].type != "tensor(uint8)":
        raise ModelError(f"{path}: not a file that this version prepared (run `python -m models prepare WIDTHxHEIGHT`)")
    return meta[SOURCE_SHA256_KEY], RECIPE


def _proven(path: Path, preferred: Sequence[str], threads: int, cpu: Any) -> tuple[Any, list[str]]:
    """Returns the first preferred session that infers what the CPU does, and a note for each one passed over."""
    notes: list[str] = []
    available = ort.get_available_providers()
    for provider in preferred or [one for one in BEST_FIRST if one in available]:
        if provider == CPU:
            break
        if provider not in available:
            notes.append(f"{provider}: not part of this onnxruntime (it has {', '.join(available)})")
            continue
        try:
            session = open_session(path, provider, threads)
            # onnxruntime falls back without raising: the list is the only way to know
            if session.get_providers()[0] != provider:
                notes.append(f"{provider}: did not start on this machine")
                continue
            difference = _difference(session, cpu)
        except Exception as error:  # a broken driver may raise anything; the CPU is the answer to all of it
            notes.append(f"{provider}: failed its first inference: {error}")
            continue
        if difference <= PROOF_TOLERANCE:
            return session, notes
        notes.append(f"{provider}: its scores differ from the CPU's by {difference:.2g}")
    return cpu, notes


def _difference(session: Any, cpu: Any) -> float:
    """Returns the greatest difference in any score over one noise picture (fixed seed); infinite if any is not a number."""
    shape = cpu.get_inputs()[0].shape
    image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    names = [GRID_OUTPUT.format(stride=stride) for stride in STRIDES]
    pairs = zip(session.run(names, {IMAGE_INPUT: image}), cpu.run(names, {IMAGE_INPUT: image}), strict=True)
    worst = max(float(np.abs(sigmoid(a[:, SCORES]) - sigmoid(b[:, SCORES])).max()) for a, b in pairs)
    return worst if np.isfinite(worst) else float("inf")
