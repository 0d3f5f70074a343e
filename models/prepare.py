"""Sets a model's graph to one static size, lets it take pictures as they are and joins its heads; keeps one prepared file per size.

Needs the package `onnx` (extra `models`) only when a file is really prepared; a robot can be handed prepared files instead.
A prepared file's name carries all that it was made from and the digest of its own content:
    yunet-2023mar-<source sha256, 12 digits>-r<recipe>-<batch>x<height>x<width>-<own sha256, 16 digits>.onnx
so a file of another source, of an older recipe, or a damaged one is never used.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from models.fetch import Progress, fetch, say_on_stderr, sha256_of, write_atomically
from models.heads import join_heads
from models.interleaved import COLOURS, take_interleaved
from models.manifest import MODEL_DIR_ENV, Model, cache_dir, face_detector, named_dir
from robot.errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto

RECIPE = 3
"""Raise it whenever `static_graph` makes a different graph: files of older recipes are then left alone and made anew."""

IMAGE_INPUT = "image"
GRID_OUTPUT = "grid_{stride}"
SOURCE_SHA256_KEY = "source_sha256"
RECIPE_KEY = "recipe"
MAX_SIDE_PX = 8192
MAX_BATCH = 64


def prepared(
    width_px: int,
    height_px: int,
    batch: int = 1,
    *,
    model: Model | None = None,
    progress: Progress = say_on_stderr,
) -> Path:
    """Returns the path of the detector prepared for pictures of this size; makes (and first fetches) it if there is none.

    Looks into the directory that PATROL_MODEL_DIR names, then into the cache. The input is `image`: batch × 1 × height × (3 · width),
    uint8, pictures as OpenCV has them (blue, green, red side by side). For each stride s the output is `grid_s`: batch × channels × height/s × width/s, float32, the
    channels of the source's outputs one after the other, in the manifest's order; scores come before the sigmoid (logits).
    Raises ModelError for a size that the network cannot have, and when there is no prepared file and none can be made.
    """
    model = model or face_detector()
    check_shape(width_px, height_px, batch, model)
    stem = f"{model.name}-{model.sha256[:12]}-r{RECIPE}-{batch}x{height_px}x{width_px}"
    existing = _find(stem, progress)
    if existing is not None:
        return existing
    _require_onnx(stem)
    source = fetch(model, progress=progress)
    progress(f"{model.name}: preparing {width_px}×{height_px}, batch {batch}")
    content: bytes = static_graph(source, width_px, height_px, batch, model).SerializeToString()
    digest = hashlib.sha256(content).hexdigest()[:16]
    target = cache_dir() / "prepared" / f"{stem}-{digest}.onnx"
    write_atomically(target, content)
    return target


def check_shape(width_px: int, height_px: int, batch: int, model: Model) -> None:
    """Raises ModelError, with the nearest size that is possible, if the network cannot have this one."""
    step = model.multiple_px
    possible = tuple(_nearest(side_px, step) for side_px in (width_px, height_px))
    if possible != (width_px, height_px):
        raise ModelError(
            f"{model.name} cannot have an input of {width_px}×{height_px} pixels: both sides must be multiples of {step} "
            f"from {step} to {MAX_SIDE_PX}; the nearest is {possible[0]}×{possible[1]}"
        )
    if not 1 <= batch <= MAX_BATCH:
        raise ModelError(f"{model.name} cannot have a batch of {batch}: it must be from 1 to {MAX_BATCH}")


def _nearest(side_px: int, step: int) -> int:
    return min(max(step, (side_px + step // 2) // step * step), MAX_SIDE_PX)


def _find(stem: str, progress: Progress) -> Path | None:
    """Returns a prepared file whose content is what its name says; damaged ones in the cache are removed."""
    own = cache_dir() / "prepared"
    named = named_dir()
    for folder in [own] if named is None else [named, own]:
        for path in sorted(folder.glob(f"{stem}-*.onnx")):
            try:
                if sha256_of(path)[:16] == path.stem.rpartition("-")[2]:
                    return path
                progress(f"{path}: damaged, not used")
                if folder == own:
                    path.unlink(missing_ok=True)
            except OSError as error:
                progress(f"{path}: not used: {error.strerror}")
    return None


def _require_onnx(stem: str) -> None:
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"there is no prepared file {stem}-….onnx, and the package onnx, which makes one, is not installed. "
            "What to do: `pip install onnx` (extra `models`), or run `python -m models prepare WIDTHxHEIGHT` on another machine "
            f"and copy the file it names to {cache_dir() / 'prepared'} or to a directory that {MODEL_DIR_ENV} names"
        ) from error


def static_graph(source: Path, width_px: int, height_px: int, batch: int, model: Model) -> ModelProto:
    """Returns the model with input `image` and outputs `grid_<stride>` (see `prepared`), static shapes everywhere.

    The cast to float is the graph's, its first convolution reads pictures as they are (docs/decisions/0071-pictures-as-they-are.md), the
    heads of a stride are one, and what only rearranges or squashes their results is left to the decoder, which does it for the few cells
    that matter (docs/decisions/0010-joined-heads.md).
    Raises ModelError if the file is not the graph that the manifest describes.
    """
    import onnx
    from onnx import TensorProto, helper, shape_inference

    try:
        proto = onnx.load(str(source))
    except Exception as error:  # protobuf's own errors have no common base that is public
        raise ModelError(f"{source}: not an ONNX file: {error}") from error
    graph = proto.graph
    if len(graph.input) != 1 or {output.name for output in graph.output} != _output_names(model):
        raise ModelError(f"{source}: not the graph that the manifest describes as {model.name}")
    join_heads(graph, model.output_names, model.strides, GRID_OUTPUT)
    del graph.output[:]
    channels = sum(model.output_channels)
    for stride in model.strides:
        shape = [batch, channels, height_px // stride, width_px // stride]
        graph.output.append(helper.make_tensor_value_info(GRID_OUTPUT.format(stride=stride), TensorProto.FLOAT, shape))
    take_interleaved(graph)
    old_input = graph.input[0].name
    del graph.input[:]
    shape = [batch, 1, height_px, COLOURS * width_px]
    graph.input.append(helper.make_tensor_value_info(IMAGE_INPUT, TensorProto.UINT8, shape))
    graph.node.insert(0, helper.make_node("Cast", [IMAGE_INPUT], [old_input], to=TensorProto.FLOAT))
    del graph.value_info[:]  # they describe the old size
    helper.set_model_props(proto, {SOURCE_SHA256_KEY: sha256_of(source), RECIPE_KEY: str(RECIPE)})
    try:
        onnx.checker.check_model(proto)
        shape_inference.infer_shapes(proto, check_type=True, strict_mode=True)
    except (onnx.checker.ValidationError, shape_inference.InferenceError) as error:
        raise ModelError(f"{source}: cannot be set to {batch}×{height_px}×{width_px}: {error}") from error
    return proto


def _output_names(model: Model) -> set[str]:
    return {f"{name}_{stride}" for name in model.output_names for stride in model.strides}
