"""Any order of damage to a recording, record by record: it is read as far as it goes, or refused, in words."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

from fuzz_documents import recording as oracle
from fuzz_documents import small_recording
from hypothesis import settings as checks
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from robot.errors import RecordingError
from robot.recording import Played, Recording
from robot.tape import Begin

MAGIC = b"\x89MCAP0\r\n"
FOOTER = 2
WHERE = st.floats(0, 1, exclude_max=True)


def records(content: bytes) -> list[bytes]:
    """Returns the file's records, each with its head."""
    found, at = [], len(MAGIC)
    while at < len(content) - len(MAGIC):
        end = at + 9 + struct.unpack_from("<Q", content, at + 1)[0]
        found.append(content[at:end])
        at = end
    return found


def read(content: bytes) -> tuple[list[Played], str | None]:
    """Returns what can be read, and the words about what cannot: None when the file was refused whole."""
    with tempfile.TemporaryDirectory(prefix="patrol-tape-") as folder:
        path = Path(folder) / "damaged.mcap"
        path.write_bytes(content)
        found = Recording([path])
        messages: list[Played] = []
        try:
            messages.extend(found.messages())
        except RecordingError as error:
            assert str(path) in str(error)
            return messages, None
        return messages, found.problem


def told(messages: list[Played]) -> list[str]:
    """Returns the messages in words: arrays have no equality of their own."""
    return [
        repr((one.message, one.pictures, one.events, [image.tolist() for image in one.thermals])) for one in messages
    ]


class Damaged(RuleBasedStateMachine):
    """Records go, come twice, change places, are bent; the end is torn off."""

    @initialize(chunked=st.booleans())
    def begin(self, chunked: bool) -> None:
        content = small_recording(chunked)
        self.records = records(content)
        self.whole = told(read(content)[0])
        assert len(self.whole) == 4
        self.tail = MAGIC
        self.only_cut = True

    @rule(where=WHERE)
    def lose_a_record(self, where: float) -> None:
        if self.records:
            del self.records[int(where * len(self.records))]
            self.only_cut = False

    @rule(where=WHERE, to=WHERE)
    def repeat_a_record(self, where: float, to: float) -> None:
        if self.records:
            self.records.insert(int(to * len(self.records)), self.records[int(where * len(self.records))])
            self.only_cut = False

    @rule(where=WHERE, to=WHERE)
    def move_a_record(self, where: float, to: float) -> None:
        if self.records:
            self.records.insert(int(to * len(self.records)), self.records.pop(int(where * len(self.records))))
            self.only_cut = False

    @rule(where=WHERE, at=WHERE, value=st.integers(0, 255))
    def bend_a_byte(self, where: float, at: float, value: int) -> None:
        if self.records:
            number = int(where * len(self.records))
            bent = bytearray(self.records[number])
            bent[int(at * len(bent))] = value
            self.records[number] = bytes(bent)
            self.only_cut = False

    @rule(share=WHERE)
    def tear_off_the_end(self, share: float) -> None:
        content = b"".join(self.records) + self.tail
        kept = content[: int(share * len(content))]
        self.records, self.tail = ([kept] if kept else []), b""

    @rule(junk=st.binary(max_size=40))
    def write_behind_the_end(self, junk: bytes) -> None:
        self.tail += junk
        self.only_cut = self.only_cut and not junk

    @invariant()
    def read_as_far_as_it_goes(self) -> None:
        if not hasattr(self, "records"):
            return
        content = MAGIC + b"".join(self.records) + self.tail
        oracle(content)
        messages, problem = read(content)
        if problem is None:
            assert not messages
        elif messages:
            assert isinstance(messages[0].message, Begin)
        if self.only_cut:
            assert told(messages) == self.whole[: len(messages)]
            ended = any(record[0] == FOOTER for record in _split(content))
            assert problem is None or bool(problem) != ended, "cut off, and nothing says so, or the other way round"


def _split(content: bytes) -> list[bytes]:
    found, at = [], len(MAGIC)
    while at + 9 <= len(content):
        end = at + 9 + struct.unpack_from("<Q", content, at + 1)[0]
        if end > len(content):
            break
        found.append(content[at:end])
        at = end
    return found


TestDamaged = Damaged.TestCase
TestDamaged.settings = checks(max_examples=60, stateful_step_count=10, deadline=None)
