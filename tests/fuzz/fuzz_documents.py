"""Fuzz targets for what comes as files and messages: recordings, settings, calibrations, clinical CSV, addresses, clients."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import math
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import clinical_files
import msgspec
import numpy as np
from fuzz_contract import Target, require, written
from small_station import calibration, settings

from calibration import clinical_csv, files
from drivers import address
from robot import config, history, stream_query, stream_session, tape
from robot.errors import CalibrationError, ConfigError, ProtocolError, RecordingError
from robot.recording import Recording
from robot.stream_session import MAX_REASON_BYTES, Principal, Role, Tokens

CONFIGS = Path(__file__).parents[2] / "configs"
NOW_UTC = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


def recording(data: bytes) -> None:
    """The MCAP reader: messages as far as the file goes, and words about why it does not go on."""
    path = written("fuzzed.mcap", data)
    found = Recording([path])
    begun = 0
    try:
        for played in found.messages():
            begun += 1
            require(begun > 1 or isinstance(played.message, tape.Begin), "the first message is not the beginning")
    except RecordingError as error:
        require(begun == 0, "a file that had begun was refused after all")
        require(str(path) in str(error), "a refusal that does not name its file")
        return
    require(begun > 0 or not found.problem, "nothing was read, and yet it was no refusal")
    require(not found.problem or str(path) in found.problem, "a problem that does not name its file")


@cache
def small_recording(chunked: bool = True) -> bytes:
    """Returns a whole recording of a few messages; without chunks nothing but the records' own lengths guards it."""
    import foxglove
    from mcap.writer import Writer

    stream = io.BytesIO()
    writer = Writer(stream, use_chunking=chunked, enable_crcs=chunked, enable_data_crcs=chunked, compression=_plain())
    writer.start(profile="patrol")
    sealed = files.encode(calibration(), Path("calibration.json"))
    for name, body in (("config.json", msgspec.json.encode(settings())), ("calibration.json", sealed)):
        writer.add_attachment(0, 0, name, "application/json", body if chunked else b"{}")
    channels = {
        "/patrol/tape": _json_channel(writer, "/patrol/tape"),
        "/patrol/events": _json_channel(writer, "/patrol/events"),
    }
    for topic, kind in (
        ("/camera/front", foxglove.messages.CompressedImage),
        ("/thermal/raw", foxglove.messages.RawImage),
    ):
        schema = kind.get_schema()
        number = writer.register_schema(schema.name, schema.encoding, schema.data)
        channels[topic] = writer.register_channel(topic, "protobuf", number)
    image = np.full((2, 3), 30.0, "<f4").tobytes()
    picture = foxglove.messages.CompressedImage(frame_id="front", data=b"\xff\xd8\xff\xd9", format="jpeg").encode()
    thermal = foxglove.messages.RawImage(width=3, height=2, encoding="32FC1", step=12, data=image).encode()
    step = tape.Step(9, (tape.ShotNote("front", 1, 8, (2, 2)),), (tape.ThermalNote(1, 8, 9, 30.1),))
    for topic, body in (
        ("/patrol/tape", tape.encode(tape.Begin(tape.SCHEMA, "r", 0, True, 5, 1, 0, 0, {"software": "1"}))),
        ("/camera/front", picture),
        ("/thermal/raw", thermal),
        ("/patrol/tape", tape.encode(step)),
        ("/patrol/events", b'{"seq":1}'),
        ("/patrol/tape", tape.encode(tape.Acted(9, 10, 2, 0, 1))),
        ("/patrol/tape", tape.encode(tape.Finished(11))),
    ):
        writer.add_message(channels[topic], 0, body, 0)
    writer.finish()
    return stream.getvalue()


def _plain() -> Any:
    from mcap.writer import CompressionType

    return CompressionType.NONE


def _json_channel(writer: Any, topic: str) -> int:
    number = writer.register_schema(topic, "jsonschema", b'{"type":"object"}')
    return int(writer.register_channel(topic, "json", number))


def _recordings() -> Iterable[bytes]:
    plain = small_recording(chunked=False)
    yield from (plain, plain[: len(plain) // 2], small_recording(), plain[:8], b"")


def settings_file(data: bytes) -> None:
    """Settings and tokens: an object, or ConfigError that says where."""
    read: Callable[[Path], Any] = Tokens.read if data[:1] == b"t" else config.load
    path = written("fuzzed.toml", data[1:])
    try:
        found = read(path)
    except ConfigError as error:
        require(bool(error.problems) and all(error.problems), "a refusal without words")
        require(len(str(error)) < 200 * (len(data) + 200), "a refusal that nobody can read")
        return
    if isinstance(found, config.Settings):
        require(
            msgspec.json.decode(msgspec.json.encode(found), type=config.Settings) == found,
            "settings that are not themselves",
        )
        config.sha256(found)


def _settings() -> Iterable[bytes]:
    for path in sorted(CONFIGS.glob("*.toml")):
        lines = [line.split(" #")[0] for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
        yield b"c" + "\n".join(line for line in lines if line.strip()).encode()
    huge = "0x" + "f" * 3600
    yield f"c[screening]\nambient_window_c=[{huge},1]\nthreshold_c={huge}\n[detection]\nproviders=[{huge}]".encode()
    yield f"c[[cameras]]\nname={huge}\n[[cameras]]\nname={huge}".encode()
    yield b'c[robot]\nname="a"\n[[cameras]]\nname="b"\naddress="file:~x"\n[thermal]\naddress=""\n[calibration]\nfile="~"'
    deep = ".a" * 3000
    yield f"c[cameras{deep}]\n[robot{deep}]\n[screening.ambient_window_c{deep}]".encode()
    yield f"c[[cameras]]\n[cameras.name{deep}]\n[[cameras]]\n[cameras.name{deep}]".encode()
    yield b't[[token]]\nname="a"\nrole="viewer"\ntoken="0123456789abcdef"'


def calibration_file(data: bytes) -> None:
    """Calibration files, as they are (`f`) or sealed anew with a right digest (anything else)."""
    content = data[1:]
    if data[:1] != b"f":
        with contextlib.suppress(ValueError, RecursionError):
            inner = json.loads(content)
            content = json.dumps({"schema": files.SCHEMA, "sha256": files._digest(inner), "content": inner}).encode()
    path = written("fuzzed.json", content)
    try:
        found = files.load(path)
    except CalibrationError as error:
        require(str(path) in str(error), "a refusal that does not name its file")
        return
    files.expired(found, NOW_UTC)
    copy = written("again.json", files.encode(found, path))
    require(files.load(copy) == found, "a calibration that is another one after writing and reading")


def _calibrations() -> Iterable[bytes]:
    path = Path("calibration.json")
    whole = calibration()
    small = msgspec.structs.replace(
        whole,
        radiometry=msgspec.structs.replace(whole.radiometry, size_of_source={"upper_face": [(4.0, 1.0, 0.01)]}),
        site={"upper_face": whole.site["upper_face"]},
        cameras={},
    )
    for one in (small, msgspec.structs.replace(small, reference=None, conditions=files.Conditions(20.0, 0.5))):
        sealed = files.encode(one, path)
        yield b"f" + sealed
        yield b"s" + msgspec.json.encode(one)
    yield b"f" + sealed.replace(b'"tests"', b'"\xff\xfe"', 1)


def clinical(data: bytes) -> None:
    """Clinical CSV: sightings within limits, or ConfigError with rows."""
    path = written("fuzzed.csv", data)
    try:
        found = clinical_csv.load(path)
    except ConfigError as error:
        require(
            bool(error.problems) and all(str(path) in problem for problem in error.problems),
            "a problem without its file",
        )
        return
    require(bool(found.sightings), "a file without sightings was accepted")
    for one in found.sightings:
        skins = [*one.skin_by_roi_c.values()]
        require(bool(skins) and all(20 <= skin_c <= 45 for skin_c in skins), "skin beyond its limits")
        require(math.isfinite(one.oral_c) and 33 <= one.oral_c <= 43 and -10 <= one.ambient_c <= 50, "beyond limits")


def _clinical() -> Iterable[bytes]:
    yield clinical_files.tidy(written("seed.csv", b""), 2).read_bytes()
    yield clinical_files.physionet(written("seed.csv", b""), 2).read_bytes()


def device_address(data: bytes) -> None:
    """Device addresses: an Address whose shown form holds no password, or ConfigError."""
    text = data.decode("utf-8", "replace")
    try:
        found = address.parse(text)
    except ConfigError as error:
        require("hunter2" not in str(error) or not _with_password(text), "a password in an error")
        return
    require("hunter2" not in found.shown or not _with_password(text), "a password in what is shown")


def _with_password(text: str) -> bool:
    return re.match(r"\s*https?://[^/?#]*:hunter2@(?!.*hunter2)", text, re.IGNORECASE | re.DOTALL) is not None


def _addresses() -> Iterable[bytes]:
    yield from (
        b"picamera2:0", b"v4l2:/dev/video0?width=1280&height=720", b"gstreamer:0?fps=15", b"http://a:hunter2@cam/x.mjpg?y=1",
        b"https://[::1]:8080/", b"file:walk.mp4?loop=1", b"senxor:/dev/ttyACM0?fps=9", b"gymcu:/dev/x?baud=460800&rate_hz=8",
        b"plate:/dev/ttyUSB1", b"gpiozero:?red=17&amber=27", b"gpiod:/dev/gpiochip0?red=1&green=2", b"http://[", "http://a:hunter2@℀/x".encode(), b"http://a:hunter2@cam:x/",
    )  # fmt: skip


TOKEN = "0123456789abcdef"
_TOKENS = Tokens(
    [("9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f", Principal("desk", Role.OPERATOR))]
)


def _reason(ask: Callable[[], Any]) -> Any:
    """Returns what comes back, None when the protocol refuses it in words that fit into a close frame."""
    try:
        return ask()
    except ProtocolError as error:
        require(error.code in (4400, 4401, 4403), f"close code {error.code}")
        require(
            0 < len(stream_session.close_reason(str(error)).encode()) <= MAX_REASON_BYTES, "a reason that does not fit"
        )
        return None


def client(data: bytes) -> None:
    """What clients send: messages, queries and headers as the websocket library hands them over."""
    mode, body = (data[0] if data else 0) % 8, data[1:]
    text = body.decode("utf-8", "replace")
    header, query = body.decode("latin-1"), body.decode("ascii", "ignore")
    if mode == 0:
        found = _reason(lambda: stream_session.command(text, Principal("desk", Role.OPERATOR), "::1"))
        require(found is None or bool(found.by.strip()), "an acknowledgement by nobody")
    elif mode == 1:
        found = _reason(lambda: stream_session.first_message(_TOKENS, text))
        require(found is None or TOKEN in text or "\\" in text, "somebody was let in without the token")
    elif mode == 2:
        since = _reason(lambda: stream_query.parse_since(query, 100))
        require(since is None or 0 <= since.seq <= 100, "a position that does not exist")
    elif mode == 3:
        _reason(lambda: stream_session.bearer(header))
    elif mode == 4:
        allowed = stream_session.host_allowed(header, ("https://desk.example",), False)
        require(
            not allowed or "localhost" in re.sub(r"[\t\r\n]", "", header.lower()) or "." in header or ":" in header,
            "a foreign name was served",
        )
    elif mode == 5:
        stream_session.origin_allowed(header, "robot:8765", ())
    elif mode == 6:
        _reason(lambda: stream_session.command(body, Principal("wall", Role.VIEWER), "::1"))
        _reason(lambda: stream_session.command(text, Principal("wall", Role.VIEWER), "::1"))
    else:
        with contextlib.suppress(ValueError):
            asked = history.question(query)
            require(asked.limit >= 1 and asked.form in ("json", "csv", "chart"), "a question that cannot be answered")


def _client() -> Iterable[bytes]:
    auth, ack = b'{"op":"auth","token":"%s"}' % TOKEN.encode(), b'{"op":"ack","alarm":"a1","by":"Li"}'
    yield from (
        b"\x00" + ack,
        b"\x00" + auth,
        b"\x01" + auth,
        b"\x02since=7",
        b"\x02since=101&since=",
        b"\x02since=7&id=5a7d-ab",
        b"\x03Bearer x",
    )
    yield from (
        b"\x04127.0.0.1:8765",
        b"\x04[::1]",
        b"\x05https://a.example:1",
        b"\x05http://robot:8765",
        b"\x06" + ack,
    )
    yield from (b"\x07day=2026-05-01", b"\x00" + b"[" * 500, b'\x00{"op":"ack","\\ud800":1}', b"\x05http://[")


TARGETS = (
    Target("recording", "MCAP recordings", recording, _recordings, (b"\x89MCAP0\r\n", b"/patrol/tape", b"lz4", b"zstd"), 16_384),
    Target(
        "settings", "settings and tokens in TOML", settings_file, _settings,
        (b"[[cameras]]", b"[screening]", b"inf", b"nan", b'"""', b"1979-05-27T07:32:00Z", b"0x"), 8192,
    ),
    Target("calibration", "calibration files", calibration_file, _calibrations, (b'"offset_map":', b"null", b"1e308"), 8192),
    Target("clinical", "clinical CSV", clinical, _clinical, (b"subject,round", b"SubjectID", b"T_Max1", b'"', b"1e9"), 4096),
    Target("address", "device addresses", device_address, _addresses, (b"hunter2", b"http://", b"?fps=", b"%00"), 400),
    Target("client", "messages, queries and headers of clients", client, _client, (b'"op":"ack"', b"since=", b"\\ud800"), 1024),
)  # fmt: skip
