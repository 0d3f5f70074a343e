"""[B] A user's name and password from a TOML file of their own: settings name the file, and are shown without a secret in them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from robot.strict_toml import convert, read_table


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.username!r}, ***)"


def read(path: str) -> Credentials | None:
    """Returns what the file says, None where no file is named; raises ConfigError with every problem."""
    return convert(read_table(Path(path)), Credentials, path) if path else None
