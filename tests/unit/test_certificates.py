"""Until when TLS certificates are valid: read from files as authorities issue them, and said in time by health, doctor and check-config."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from small_station import TWO_CAMERAS, calibration

from calibration import files
from robot import config, tls
from robot.__main__ import main
from robot.app import App
from robot.certificates import EXPIRED, EXPIRING, Certificate, codes, valid_until
from robot.doctor import checks
from robot.doctor.checks import Level
from robot.texts import WARNINGS

NOW = dt.datetime(2026, 11, 28, 10, 0, tzinfo=dt.UTC)


def days(left: float) -> Certificate:
    return Certificate("stream.tls_cert", NOW + dt.timedelta(days=left))


@pytest.mark.parametrize(
    ("left", "code", "level"),
    [
        (-400.0, EXPIRED, Level.FAIL),
        (0.0, EXPIRED, Level.FAIL),
        (0.1, EXPIRING, Level.WARN),
        (14.0, EXPIRING, Level.WARN),
        (14.1, "", Level.OK),
    ],
)
def test_it_is_said_two_weeks_before(left: float, code: str, level: Level) -> None:
    one = days(left)
    assert one.code(NOW) == code and checks.certificate(one, NOW).level is level
    assert codes([one, days(300.0)], NOW) == ((code,) if code else ())
    said = one.said(NOW)
    assert all(f"{one.until_utc:%Y-%m-%d}" in text and "stream.tls_cert" in text for text in (said.en, said.zh))
    assert ("expired" in said.en) == ("过期" in said.zh) == (left <= 0)


def test_each_code_is_told_once() -> None:
    assert codes([days(3.0), days(-1.0), days(2.0)], NOW) == (EXPIRED, EXPIRING)
    assert {EXPIRED, EXPIRING} <= set(WARNINGS)


@pytest.mark.parametrize("year", [2027, 2049, 2050, 2120])
@pytest.mark.parametrize("kind", list(trustme.KeyType))
def test_the_end_is_that_of_the_certificate_that_is_shown(year: int, kind: trustme.KeyType) -> None:
    """In both forms of a time (from 2050 on years have four digits), whatever lies before and after it in the file."""
    end = dt.datetime(year, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    issued = trustme.CA(key_type=kind).issue_cert("robot.example", not_after=end, key_type=kind)
    pem = issued.cert_chain_pems[0].bytes().decode()
    assert valid_until(pem) == end
    assert (
        valid_until(issued.private_key_and_cert_chain_pem.bytes().decode() + trustme.CA().cert_pem.bytes().decode())
        == end
    )
    assert valid_until(pem[:120]) is None


@given(st.binary(max_size=80))
def test_what_is_no_certificate_is_told_to_be_none(body: bytes) -> None:
    assert valid_until("") is None
    assert valid_until(ssl.DER_cert_to_PEM_cert(body)) is None


def test_settings_name_what_the_robot_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    end = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=3)
    issued = trustme.CA().issue_cert("robot.example", not_after=end)
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    files.save(calibration(robot="p-1"), tmp_path / "calibration.json")
    path = tmp_path / "robot.toml"
    pair = 'tls_cert = "both.pem"\ntls_key = "both.pem"\n'

    path.write_text(f'{TWO_CAMERAS}[stream]\n{pair}[uplink]\nbroker = "mqtts://127.0.0.1:9"\n{pair}')
    both = (Certificate("stream.tls_cert", end), Certificate("uplink.tls_cert", end))
    assert tls.shown(config.load(path)) == both == App(config.load(path))._certificates
    assert main(["check-config", str(path)]) == 0
    assert capsys.readouterr().out.count(f"tls_cert: valid until {end:%Y-%m-%d} (renew it") == 2

    path.write_text(f"{TWO_CAMERAS}[uplink]\n{pair}")
    assert tls.shown(config.load(path)) == (), "nobody is shown it"
