"""Until when TLS certificates are valid, and what must be said of it aloud; pure."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from robot.texts import Text

EXPIRED, EXPIRING = "certificate_expired", "certificate_expiring"
"""Codes of robot/texts.py."""
SOON = dt.timedelta(days=14)
"""Time for somebody who issues certificates by hand; what renews them by itself does so after two thirds of their time, with a month left."""
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_VERSION, _UTC_TIME = 0xA0, 0x17


@dataclass(frozen=True, slots=True)
class Certificate:
    """One that this robot shows to others."""

    where: str
    """Its key in the settings."""
    until_utc: dt.datetime

    def code(self, now_utc: dt.datetime) -> str:
        """Returns EXPIRED or EXPIRING, empty while there is nothing to say."""
        left = self.until_utc - now_utc
        return EXPIRED if left <= dt.timedelta(0) else EXPIRING if left <= SOON else ""

    def said(self, now_utc: dt.datetime) -> Text:
        """Returns until when it is valid, in words."""
        day = f"{self.until_utc:%Y-%m-%d}"
        if self.code(now_utc) == EXPIRED:
            return Text(f"{self.where}: expired on {day}", f"{self.where}：已于 {day} 过期")
        return Text(f"{self.where}: valid until {day}", f"{self.where}：有效至 {day}")


def codes(certificates: Iterable[Certificate], now_utc: dt.datetime) -> tuple[str, ...]:
    """Returns the codes of what is wrong with them now, each once."""
    found = {one.code(now_utc) for one in certificates}
    return tuple(code for code in (EXPIRED, EXPIRING) if code in found)


def valid_until(pem: str) -> dt.datetime | None:
    """Returns the end (UTC) of the first certificate in a PEM file, which is the one that is shown; None if it cannot be told."""
    try:
        certificate = ssl.PEM_cert_to_DER_cert(_BEGIN + pem.split(_BEGIN, 1)[1].split(_END, 1)[0] + _END)
        signed = list(_parts(next(_parts(next(_parts(certificate))[1]))[1]))
        if signed[0][0] == _VERSION:
            del signed[0]
        _number, _algorithm, _issuer, (_, validity) = islice(signed, 4)
        _, (tag, end) = _parts(validity)
        return _time(tag, end.decode("ascii"))
    except (ValueError, IndexError, StopIteration):
        return None


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields tag and content of each value in DER (X.690), one after the other."""
    while der:
        tag, size, begin = der[0], der[1], 2
        if size >= 0x80:
            begin += size - 0x80
            size = int.from_bytes(der[2:begin], "big")
        yield tag, der[begin : begin + size]
        der = der[begin + size :]


def _time(tag: int, text: str) -> dt.datetime:
    """Returns a time of a certificate (RFC 5280, 4.1.2.5): years of two digits are those from 1950 to 2049."""
    if tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    return dt.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=dt.UTC)
