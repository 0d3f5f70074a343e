"""[B] Recordings read back, message by message in the order in which they were written, as far as the file goes."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robot import tape
from robot.errors import RecordingError
from robot.tape import Begin, Message, Step
from robot.types import F32

_CAMERA = "/camera/"
_RECORD_MAX_BYTES = 1 << 28
"""The recorder's chunks hold a megabyte; what claims far more is damage, and memory is not to be taken for it."""


@dataclass(frozen=True, slots=True)
class Played:
    """A message of the tape with what it names."""

    message: Message
    pictures: tuple[bytes, ...] = ()
    thermals: tuple[F32, ...] = ()
    events: tuple[bytes, ...] = ()
    """Written since the message before."""


@dataclass(slots=True)
class Recording:
    """Some files of one run, in order. `problem` says after reading why it ended early; empty when it did not."""

    paths: Sequence[Path]
    problem: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """Attachments of the first file: config.json, calibration.json; known once the first message has come."""

    def messages(self) -> Iterator[Played]:
        """Yields what was recorded; raises RecordingError when the first file is no recording at all."""
        for number, path in enumerate(self.paths):
            before = self.problem
            yield from self._of(path, number == 0)
            if self.problem != before:
                return

    def _of(self, path: Path, first: bool) -> Iterator[Played]:
        began = False
        try:
            with path.open("rb") as stream:
                for played in _Assembly(self.files if first else {}).play(stream):
                    if not began and not isinstance(played.message, Begin):
                        raise RecordingError(f"{path}: does not begin as a recording of this robot does")
                    began = True
                    yield played
        except RecordingError:
            raise
        except ModuleNotFoundError as error:  # the file may be as good as it can be
            raise RecordingError(
                f"{path}: cannot be read without the package {str(error.name).partition('.')[0]} (pip install 'patrol-robot[record]')"
            ) from error
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror}") from error
        # Damaged bytes make the libraries for MCAP, protobuf and compression raise whatever they come upon: errors of their
        # own that share no base, OverflowError for a length, TypeError for a channel that became another.
        except Exception as error:
            if not began:
                raise RecordingError(
                    f"{path}: is no recording, or damaged from its beginning on ({_said(error)})"
                ) from error
            self.problem = f"{path}: damaged or cut off, read up to there ({_said(error)})"


class _Torn(Exception):
    """The file ends in the middle of something."""


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


class _Assembly:
    """Puts pictures, thermal frames and events beside the messages that name them."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files
        self._pictures: dict[str, deque[bytes]] = defaultdict(deque)
        self._thermals: deque[F32] = deque()
        self._events: list[bytes] = []

    def play(self, stream: Any) -> Iterator[Played]:
        import struct

        from mcap import records as kinds
        from mcap.stream_reader import StreamReader
        from mcap_protobuf.decoder import DecoderFactory

        factory = DecoderFactory()
        schemas: dict[int, kinds.Schema] = {}
        channels: dict[int, kinds.Channel] = {}
        decoders: dict[int, Any] = {}
        ended = False
        try:
            for record in StreamReader(stream, validate_crcs=True, record_size_limit=_RECORD_MAX_BYTES).records:
                match record:
                    case kinds.Schema():
                        schemas[record.id] = record
                    case kinds.Channel():
                        channels[record.id] = record
                    case kinds.Attachment():
                        self._files[record.name] = record.data
                    case kinds.Message():
                        channel = channels[record.channel_id]
                        if channel.message_encoding == "protobuf" and channel.id not in decoders:
                            decoders[channel.id] = factory.decoder_for("protobuf", schemas[channel.schema_id])
                        played = self._take(channel.topic, record.data, decoders.get(channel.id))
                        if played is not None:
                            yield played
                    case kinds.Footer():
                        ended = True
        except struct.error as error:
            raise _Torn(str(error)) from error
        if not ended:
            raise _Torn("the end is missing")
        if stream.read(1):
            raise _Torn("more follows its end, and is not read: two files in one?")

    def _take(self, topic: str, data: bytes, decoder: Any) -> Played | None:
        if topic.startswith(_CAMERA):
            self._pictures[topic.removeprefix(_CAMERA)].append(decoder(data).data)
        elif topic == "/thermal/raw":
            image = decoder(data)
            self._thermals.append(np.frombuffer(image.data, "<f4").reshape(image.height, image.width).copy())
        elif topic == "/patrol/events":
            self._events.append(data)
        elif topic == "/patrol/tape":
            return self._played(tape.decode(data))
        return None

    def _played(self, message: Message) -> Played:
        events, self._events = tuple(self._events), []
        if not isinstance(message, Step):
            return Played(message, events=events)
        pictures = tuple(self._pictures[note.camera].popleft() for note in message.shots)
        return Played(message, pictures, tuple(self._thermals.popleft() for _ in message.thermals), events)
