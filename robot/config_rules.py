"""What is wrong between keys of a settings file that are right one by one. Pure but for the names of home folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_PICTURES_BEFORE_LOST = 1.5
_CONFIRM_S = 2.0
"""Whoever is not taken for a person by then has passed."""
_REFLECTED_APART_C = 25.0
"""What a face reflects is a mean of all that is around it, a clear sky among walls and people: no farther from the air than this."""
TAKEN_NAMES = ("thermal", "pipeline", "position")
"""Streams that health, pictures and counters know beside the cameras."""


UPLINK_FILES = ("credentials_file", "tls_ca", "tls_cert", "tls_key")
"""Keys of [uplink] that name files."""


def contradictions(table: dict[str, Any]) -> list[str]:
    """Returns what is wrong between keys that are right one by one; tolerant of a table that is wrong elsewhere."""
    problems: list[str] = []
    cameras = table.get("cameras")
    entries = [camera for camera in cameras if isinstance(camera, dict)] if isinstance(cameras, list) else []
    names = [name for camera in entries if isinstance(name := camera.get("name"), str)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"cameras: the name {name!r} is used more than once (give each camera its own)")
    for name in TAKEN_NAMES:
        if name in names:
            problems.append(f"cameras: the name {name!r} is taken by the robot itself (rename the camera)")
    problems += _tracking_problems(table, entries)
    screening = _table(table, "screening")
    window = screening.get("ambient_window_c")
    if (
        isinstance(window, list)
        and len(window) == 2
        and all(isinstance(edge, int | float) and abs(edge) < 1e6 for edge in window)
        and window[0] >= window[1]
    ):
        problems.append(f"screening.ambient_window_c: {window[0]} is not below {window[1]} (give the lower one first)")
    measurement = _table(table, "measurement")
    ambient, reflected = measurement.get("ambient_c", 23.0), measurement.get("reflected_c")
    if (
        isinstance(ambient, int | float)
        and isinstance(reflected, int | float)
        and -40 <= reflected <= 80
        and _REFLECTED_APART_C < abs(reflected - ambient) < 1e6
    ):
        problems.append(
            f"measurement.reflected_c: {reflected:g} is more than {_REFLECTED_APART_C:g} °C from ambient_c, {ambient:g} (give what all around a "
            "face amounts to, or leave it out)"
        )
    threshold = screening.get("threshold_c")
    if (
        isinstance(threshold, int | float)
        and 34 <= threshold <= 39
        and abs(threshold * 10 - round(threshold * 10)) > 1e-6
    ):
        problems.append(f"screening.threshold_c: {threshold} is not a step of 0.1 °C (round it)")
    night = _table(table, "indicator").get("night")
    if isinstance(night, list) and night and (len(night) != 2 or night[0] == night[1]):
        problems.append('indicator.night: give two different times, as ["22:00", "06:00"], or [] for none')
    problems += _place_problems(_table(table, "place"))
    stream = _table(table, "stream")
    host = stream.get("host", "127.0.0.1")
    if isinstance(host, str) and host.startswith("["):
        problems.append(
            f"stream.host: {host} has brackets, which only addresses of pages have (write {host.strip('[]')})"
        )
    elif host not in ("127.0.0.1", "::1", "localhost") and not stream.get("tokens_file"):
        problems.append("stream.host: the robot may listen beyond itself only with stream.tokens_file set")
    live_port = _table(table, "record").get("live_port")
    if live_port and live_port == stream.get("port", 8765):
        problems.append(f"record.live_port: {live_port} is stream.port already (choose another)")
    if bool(stream.get("tls_cert")) != bool(stream.get("tls_key")):
        problems.append("stream.tls_cert and stream.tls_key: set both or neither")
    uplink = _table(table, "uplink")
    if uplink.get("tls_key") and not uplink.get("tls_cert"):
        problems.append(
            "uplink.tls_key: is of no use without uplink.tls_cert (name the certificate, or leave the key out)"
        )
    problems.extend(f"{where}: {problem}" for where, problem in unusable_paths(table).items())
    return problems


def unusable_paths(table: dict[str, Any]) -> dict[str, str]:
    """Returns keys whose texts can name no file, each with what is wrong with it."""
    found: dict[str, str] = {}
    for where, path in _paths(table):
        if "\0" in path:
            found[where] = f"{path!r} holds a zero byte (name a file)"
        elif path.startswith("~") and not _home_known(path):
            found[where] = f"{path!r} names the home of an unknown user (give the full path)"
    return found


def _tracking_problems(table: dict[str, Any], cameras: list[dict[str, Any]]) -> list[str]:
    """Returns settings with which nobody would be followed: they would be somebody else in every picture. What is wrong alone is told elsewhere."""
    problems: list[str] = []
    tracking, detection = _table(table, "tracking"), _table(table, "detection")
    lost_s = tracking.get("lost_s", 3.0)
    rates_hz = [rate for camera in cameras if isinstance(rate := camera.get("rate_hz", 10.0), int | float) and rate > 0]
    if isinstance(lost_s, int | float) and rates_hz and 0.5 <= lost_s < _PICTURES_BEFORE_LOST / min(rates_hz):
        problems.append(
            f"tracking.lost_s: {lost_s:g} s are less than {_PICTURES_BEFORE_LOST:g} pictures at {min(rates_hz):g} a second: everybody would be "
            f"somebody new in every picture (at least {_PICTURES_BEFORE_LOST / min(rates_hz):.1f})"
        )
    hits = tracking.get("confirm_hits", 2)
    if isinstance(hits, int) and rates_hz and 2 < hits <= 20 and hits > _CONFIRM_S * min(rates_hz):
        problems.append(
            f"tracking.confirm_hits: {hits} pictures at {min(rates_hz):g} a second take {hits / min(rates_hz):.0f} s: who passes meanwhile is nobody "
            f"(at most {max(2, int(_CONFIRM_S * min(rates_hz)))})"
        )
    score_min, score_new = detection.get("score_min", 0.4), tracking.get("score_new", 0.6)
    if isinstance(score_min, int | float) and isinstance(score_new, int | float) and score_new < score_min <= 0.8:
        problems.append(
            f"detection.score_min: {score_min:g} is above tracking.score_new, {score_new:g} (faint faces only continue tracks)"
        )
    return problems


def _place_problems(place: dict[str, Any]) -> list[str]:
    problems: list[str] = []
    zones = place.get("zones")
    for index, zone in enumerate(zones if isinstance(zones, list) else []):
        given = [key for key in ("corners_deg", "corners_m") if isinstance(zone, dict) and zone.get(key)]
        where = f"place.zones[{index}]"
        if len(given) != 1:
            problems.append(f"{where}: give its corners once, as corners_deg or as corners_m")
        elif isinstance(zone[given[0]], list) and len(zone[given[0]]) < 3:
            problems.append(f"{where}.{given[0]}: a zone has three corners or more")
        elif given == ["corners_deg"] and not all(_on_earth(corner) for corner in zone["corners_deg"]):
            problems.append(f"{where}.corners_deg: latitude (-90 to 90) comes first, then longitude (-180 to 180)")
    if zones and not place.get("source"):
        problems.append("place.zones: need positions (set place.source, or leave the zones out)")
    stale_s, lost_s = place.get("stale_s", 3.0), place.get("lost_s", 120.0)
    if isinstance(stale_s, int | float) and isinstance(lost_s, int | float) and lost_s <= stale_s:
        problems.append(f"place.lost_s: {lost_s} is not above stale_s, {stale_s} (a position is old before it is lost)")
    return problems


def _on_earth(corner: Any) -> bool:
    """Returns False for numbers that are no latitude and longitude; what is no pair of numbers is told elsewhere."""
    if not (isinstance(corner, list) and len(corner) == 2 and all(isinstance(value, int | float) for value in corner)):
        return True
    return bool(abs(corner[0]) <= 90 and abs(corner[1]) <= 180)


def _paths(table: dict[str, Any]) -> list[tuple[str, str]]:
    places = [("calibration", "file"), ("store", "path")]
    places += [("record", "folder"), ("evidence", "folder")]
    places += [("stream", key) for key in ("tokens_file", "tls_cert", "tls_key")]
    places += [("uplink", key) for key in UPLINK_FILES]
    places += [("place", "credentials_file")]
    values = [(f"{section}.{key}", _table(table, section).get(key)) for section, key in places]
    cameras = table.get("cameras")
    for index, camera in enumerate(cameras if isinstance(cameras, list) else []):
        address = camera.get("address") if isinstance(camera, dict) else None
        if isinstance(address, str) and (path := file_address(address)) is not None:
            values.append((f"cameras[{index}].address", path[0]))
    return [(where, value) for where, value in values if isinstance(value, str)]


def file_address(address: str) -> tuple[str, str] | None:
    """Returns path and parameters of a file: address; None for other devices."""
    scheme, colon, rest = address.strip().partition(":")
    if not colon or scheme.lower() != "file":
        return None
    path, mark, parameters = rest.partition("?")
    return path, mark + parameters


def _home_known(path: str) -> bool:
    try:
        Path(path).expanduser()
    except RuntimeError:
        return False
    return True


def _table(table: dict[str, Any], key: str) -> dict[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}
