"""Static sizes, batches, and that a stale or damaged prepared file is never used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest

from models import __main__ as cli
from models import prepare as preparing
from models import session as sessions
from models.fetch import sha256_of
from models.interleaved import take_interleaved
from models.manifest import cache_dir, face_detector
from models.prepare import prepared
from models.published import PublishedSession
from models.session import CPU, YuNetSession
from robot.detect import CHANNELS, SCORES, STRIDES
from robot.errors import ModelError

TELLS_NOTHING = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_RUNNING_UNIT_TESTS")
"""Surroundings in which ONNX Runtime is silent by itself."""


@pytest.fixture
def cache(yunet_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own that holds the published file, and no network is needed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PATROL_MODEL_DIR", raising=False)
    folder = cache_dir()
    folder.mkdir(parents=True)
    shutil.copy(yunet_path, folder)
    return folder


@pytest.fixture
def no_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)  # importing it now raises ImportError


def noise(count: int, height_px: int, width_px: int, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).integers(0, 256, (count, height_px, width_px, 3), np.uint8)


def by_stride(session: YuNetSession, count: int) -> list[np.ndarray]:  # type: ignore[type-arg]
    """Runs the session; returns of each stride the grids, count × channels × cells: views of its memory."""
    rows = session.run(count)
    cells = [(session.width_px // stride) * (session.height_px // stride) for stride in STRIDES]
    parts = np.split(rows, np.cumsum([CHANNELS * n for n in cells])[:-1], axis=1)
    return [part.reshape(count, CHANNELS, n) for part, n in zip(parts, cells, strict=True)]


PARTS = {"cls": slice(0, 1), "obj": slice(1, 2), "bbox": slice(2, 6), "kps": slice(6, 16)}
"""Which channels of a grid are which output of the published file."""


@pytest.mark.parametrize(
    ("size", "nearest"),
    [((641, 384), "640×384"), ((640, 360), "640×352"), ((0, 10), "32×32"), ((99999, 64), "8192×64")],
)
def test_size_that_is_impossible_is_refused_with_the_nearest(cache: Path, size: tuple[int, int], nearest: str) -> None:
    with pytest.raises(ModelError, match=f"nearest is {nearest}"):
        prepared(*size)


@pytest.mark.parametrize("batch", [0, -1, 65])
def test_impossible_batch_is_refused(cache: Path, batch: int) -> None:
    with pytest.raises(ModelError, match="batch"):
        prepared(64, 64, batch)


@pytest.mark.parametrize(("width_px", "height_px", "batch"), [(64, 64, 1), (320, 192, 1), (96, 416, 3), (256, 160, 5)])
def test_outputs_are_those_of_opencv_for_any_size_and_batch(
    cache: Path, yunet_path: Path, width_px: int, height_px: int, batch: int
) -> None:
    session = YuNetSession(prepared(width_px, height_px, batch), slots=2 * batch)
    session.inputs[:] = noise(2 * batch, height_px, width_px)
    grids = by_stride(session, 2 * batch)
    # OpenCV 4 reads beyond its memory for sides of 32 (its results change from run to run), so the smallest side here is 64.
    net = cv2.dnn.readNetFromONNX(str(yunet_path))
    names = [f"{kind}_{stride}" for stride in STRIDES for kind in PARTS]
    for index, picture in enumerate(session.inputs):
        net.setInput(cv2.dnn.blobFromImage(picture))
        expected = dict(zip(names, net.forward(names), strict=True))
        for stride, grid in zip(STRIDES, grids, strict=True):
            values = grid[index].astype(np.float64)
            values[SCORES] = 1 / (1 + np.exp(-values[SCORES]))
            assert values.shape == (CHANNELS, (width_px // stride) * (height_px // stride))
            for kind, channels in PARTS.items():
                theirs = expected[f"{kind}_{stride}"].reshape(-1, channels.stop - channels.start)
                np.testing.assert_allclose(values[channels].T, theirs, atol=1e-3, err_msg=f"{kind}_{stride}")


def test_second_time_the_same_file_is_taken_without_onnx(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepared(64, 64)
    written = first.stat().st_mtime_ns
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert prepared(64, 64) == first
    assert first.stat().st_mtime_ns == written


def test_without_onnx_and_without_a_prepared_file_the_error_says_what_to_do(cache: Path, no_onnx: None) -> None:
    with pytest.raises(ModelError, match="pip install onnx") as caught:
        prepared(64, 96)
    assert "1x96x64" in str(caught.value)
    assert "PATROL_MODEL_DIR" in str(caught.value)


def test_prepared_file_of_a_named_directory_needs_no_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = prepared(64, 64)
    handed = tmp_path / "stick" / made.name
    handed.parent.mkdir()
    shutil.move(made, handed)
    monkeypatch.setenv("PATROL_MODEL_DIR", str(handed.parent))
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert prepared(64, 64) == handed
    assert YuNetSession(handed).inputs.shape == (1, 64, 64, 3)


def test_damaged_prepared_file_is_made_anew(cache: Path) -> None:
    path = prepared(64, 64)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    lines: list[str] = []
    assert prepared(64, 64, progress=lines.append) == path
    assert path.read_bytes() == content
    assert any("damaged" in line for line in lines)


def test_file_of_another_recipe_is_not_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = prepared(64, 64)
    monkeypatch.setattr(preparing, "RECIPE", preparing.RECIPE + 1)
    assert prepared(64, 64) != old
    monkeypatch.setattr(sessions, "RECIPE", preparing.RECIPE)
    with pytest.raises(ModelError, match="not a file that this version prepared"):
        YuNetSession(old)


def test_metadata_and_name_say_what_it_was_made_from(cache: Path) -> None:
    path = prepared(64, 96)
    model = face_detector()
    assert path.name.startswith(f"yunet-2023mar-{model.sha256[:12]}-r{preparing.RECIPE}-1x96x64-")
    assert YuNetSession(path).model_sha256 == model.sha256


def test_prepared_graph_has_only_static_shapes(cache: Path) -> None:
    graph = onnx.shape_inference.infer_shapes(onnx.load(prepared(160, 96, 2))).graph
    values = [*graph.input, *graph.output, *graph.value_info]
    assert len(values) > 50
    for value in values:
        for dim in value.type.tensor_type.shape.dim:
            assert dim.HasField("dim_value") and dim.dim_value > 0, value.name


def test_file_that_is_not_the_described_graph_is_refused(cache: Path, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"\x08\x06garbage")
    with pytest.raises(ModelError, match=r"garbage\.onnx"):
        preparing.static_graph(garbage, 64, 64, 1, face_detector())
    with pytest.raises(ModelError, match="does not load"):
        YuNetSession(garbage)


def test_heads_of_another_shape_are_refused(cache: Path, yunet_path: Path, tmp_path: Path) -> None:
    proto = onnx.load(yunet_path)
    for node in proto.graph.node:
        if node.op_type == "Conv" and node.output[0] == "264":  # the last of bbox_8
            for attribute in node.attribute:
                if attribute.name == "dilations":
                    attribute.ints[:] = [2, 2]
    changed = tmp_path / "changed.onnx"
    onnx.save(proto, changed)
    with pytest.raises(ModelError, match="cannot be joined"):
        preparing.static_graph(changed, 64, 64, 1, face_detector())


def test_published_file_is_refused_as_a_prepared_one(yunet_path: Path) -> None:
    with pytest.raises(ModelError, match="python -m models prepare"):
        YuNetSession(yunet_path)


def test_slots_that_do_not_fit_the_batch_are_refused(cache: Path) -> None:
    with pytest.raises(ModelError, match="batch of 2"):
        YuNetSession(prepared(64, 64, 2), slots=3)
    session = YuNetSession(prepared(64, 64), slots=2)
    with pytest.raises(ValueError, match="2 slots"):
        session.run(3)


def test_run_looks_only_at_the_slots_asked_for_and_reuses_its_memory(cache: Path) -> None:
    session = YuNetSession(prepared(64, 64), slots=3)
    session.inputs[:] = noise(3, 64, 64)
    all_three = session.run(3).copy()
    session.inputs[:2] = noise(2, 64, 64, seed=9)
    two = session.run(2)
    assert len(two) == 2
    assert not np.array_equal(all_three[:2], two)
    np.testing.assert_array_equal(all_three[2], session.run(3)[2])
    assert session.run(2).ctypes.data == two.ctypes.data
    assert len(session.run(0)) == 0


def test_published_file_at_another_size_is_the_same_network(cache: Path, yunet_path: Path) -> None:
    published, ours = PublishedSession(yunet_path, 96, 64, slots=2), YuNetSession(prepared(96, 64), slots=2)
    ours.inputs[:] = noise(2, 64, 96)
    published.inputs[:] = ours.inputs.transpose(0, 3, 1, 2)
    plain = published.plain()
    published.bound()
    grids = by_stride(ours, 2)
    for index in range(2):
        for mine, kept in zip(plain[index], published.outputs[index], strict=True):
            np.testing.assert_array_equal(mine, kept)
        boxes = plain[index][len(PARTS) * 3 // 2 :]  # cls, obj, bbox and kps of three strides
        for stride, theirs in enumerate(boxes[:3]):
            np.testing.assert_allclose(grids[stride][index, PARTS["bbox"]].T, theirs[0], atol=1e-3)
    with pytest.raises(ModelError, match="multiples of 32"):
        PublishedSession(yunet_path, 100, 64)


def test_absent_provider_falls_back_to_the_cpu_with_a_reason(cache: Path) -> None:
    session = YuNetSession(prepared(64, 64), providers=["NoSuchExecutionProvider", CPU])
    assert session.providers == (CPU,)
    assert len(session.provider_notes) == 1
    assert "NoSuchExecutionProvider" in session.provider_notes[0]


class _Broken:
    """A provider that starts but infers rubbish, or fails."""

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome

    def get_providers(self) -> list[str]:
        return ["Broken", CPU]

    def run(self, names: list[str], _inputs: object) -> list[np.ndarray]:  # type: ignore[type-arg]
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return [np.full((1, CHANNELS, 1, 1), self.outcome, np.float32)] * len(names)


class _SilentlyCpu(_Broken):
    def get_providers(self) -> list[str]:
        return [CPU]


@pytest.mark.parametrize(
    ("stand_in", "reason"),
    [
        (_Broken(2.2), "differ"),
        (_Broken(float("nan")), "differ"),
        (_Broken(RuntimeError("no kernel image")), "no kernel image"),
        (_SilentlyCpu(0.0), "did not start"),
    ],
    ids=["wrong", "not a number", "raises", "silent fallback"],
)
def test_provider_is_trusted_only_after_a_real_inference(
    cache: Path, monkeypatch: pytest.MonkeyPatch, stand_in: _Broken, reason: str
) -> None:
    real = sessions.open_session
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["Broken", CPU])
    monkeypatch.setattr(
        sessions,
        "open_session",
        lambda path, provider, threads: stand_in if provider == "Broken" else real(path, provider, threads),
    )
    session = YuNetSession(prepared(64, 64), providers=["Broken"])
    assert session.providers == (CPU,)
    assert reason in session.provider_notes[0]


def test_command_line_prepares_sizes(cache: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    assert cli.main(["prepare", "64x32", "32x64"]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name.rsplit("-", 2)[1] for path in paths] == ["1x32x64", "1x64x32"]
    assert all(sha256_of(path).startswith(path.stem.rsplit("-", 1)[1]) for path in paths)
    assert cli.main(["prepare", "65x32"]) == 1
    with pytest.raises(SystemExit):
        cli.main(["prepare", "wide"])


def test_a_network_that_begins_with_something_else_is_refused() -> None:
    planes = onnx.helper.make_tensor_value_info("planes", onnx.TensorProto.FLOAT, [1, 3, 32, 32])
    node = onnx.helper.make_node("Relu", ["planes"], ["result"])
    result = onnx.helper.make_tensor_value_info("result", onnx.TensorProto.FLOAT, [1, 3, 32, 32])
    with pytest.raises(ModelError, match="begin with a convolution"):
        take_interleaved(onnx.helper.make_graph([node], "other", [planes], [result]))


@pytest.mark.parametrize(("group", "dilation"), [(3, 1), (1, 2)])
def test_a_first_convolution_of_another_kind_is_refused(group: int, dilation: int) -> None:
    planes = onnx.helper.make_tensor_value_info("planes", onnx.TensorProto.FLOAT, [1, 3, 32, 32])
    weights = onnx.numpy_helper.from_array(np.ones((3, 3 // group, 3, 3), np.float32), "weights")
    settings = {"group": group, "dilations": [dilation] * 2, "strides": [2, 2], "pads": [1, 1, 1, 1]}
    node = onnx.helper.make_node("Conv", ["planes", "weights"], ["result"], **settings)
    with pytest.raises(ModelError, match="not a plain one"):
        take_interleaved(onnx.helper.make_graph([node], "other", [planes], [], initializer=[weights]))


def test_the_runtime_tells_its_makers_nothing(cache: Path, tmp_path: Path) -> None:
    """Its packages for Linux do so by default and leave an identifier of the computer behind; CI is one of the things that keeps them from it."""
    home = tmp_path / "home"
    script = "from models.prepare import prepared; from models.session import YuNetSession; YuNetSession(prepared(64, 64)).run(1)"
    surroundings = {name: value for name, value in os.environ.items() if name not in TELLS_NOTHING}
    surroundings |= {"HOME": str(home), "XDG_CACHE_HOME": str(tmp_path / "cache"), "ORT_DISABLE_TELEMETRY": "0"}
    subprocess.run([sys.executable, "-c", script], env=surroundings, timeout=60, check=True)
    written = [path for path in tmp_path.rglob("*") if path.is_file() and cache not in path.parents]
    assert written == []
