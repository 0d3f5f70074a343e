"""What `patrol watch` shows: the robot's state as one screen of text, in English or Chinese. Pure: state in, picture out."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text as Line

from robot import texts
from robot.live import LiveAlarm, LivePerson, LiveState
from robot.texts import Text

STALE_S = 2.0
_EVENTS = 8
_WORDS = {
    "available": Text("Screening available", "测温筛查可用"),
    "unavailable": Text("SCREENING UNAVAILABLE", "测温筛查不可用"),
    "connecting": Text("Connecting to the robot …", "正在连接机器人……"),
    "lost": Text("NO CONNECTION TO THE ROBOT", "与机器人的连接已断开"),
    "old": Text("what you see is {age} old", "当前画面是 {age} 前的"),
    "alarms": Text("ALARMS", "警报"),
    "no_alarms": Text("No alarm.", "没有警报。"),
    "more_alarms": Text("and {count} older ones", "另有 {count} 个更早的警报"),
    "person": Text("person", "人员"),
    "bearing": Text("bearing", "方位"),
    "distance": Text("range", "距离"),
    "estimate": Text("body estimate", "体温估计"),
    "result": Text("result", "结果"),
    "normal": Text("not elevated", "未偏高"),
    "elevated": Text("ELEVATED", "偏高"),
    "not_measured": Text("not measured", "未测得"),
    "pending": Text("measuring …", "测量中……"),
    "seen": Text("seen", "出现"),
    "measured": Text("measured", "已测"),
    "in_view": Text("in view", "可见"),
    "missed": Text("not measurable", "无法测量"),
    "unmatched": Text("warm, no face found", "有体温但未见人脸"),
    "device": Text("device", "设备"),
    "alive": Text("working", "正常"),
    "silent": Text("SILENT", "无数据"),
    "slow": Text("too slow", "速率过低"),
    "invalid": Text("NOT USABLE", "不可用"),
    "acknowledged": Text("acknowledged by {by}", "已由 {by} 确认"),
    "raised": Text("NOT ACKNOWLEDGED", "未确认"),
    "keys": Text("a: acknowledge the oldest alarm   q: quit", "a: 确认最早的警报   q: 退出"),
    "watch_keys": Text("q: quit (start with --by NAME to acknowledge alarms)", "q: 退出(用 --by 姓名 启动可确认警报)"),
    "event.screening.completed": Text("person {person}: {verdict}", "人员 {person}:{verdict}"),
    "event.alarm.raised": Text("alarm: person {person}, {body_c} °C", "警报:人员 {person},{body_c} °C"),
    "event.alarm.acknowledged": Text("alarm acknowledged by {by}", "警报已由 {by} 确认"),
    "event.alarm.cleared": Text("alarm ended", "警报结束"),
    "event.health.changed": Text("screening {screening}", "筛查状态:{screening}"),
    "event.coverage.summary": Text("{seen} seen, {measured} measured", "出现 {seen} 人,已测 {measured} 人"),
    "event.calibration.loaded": Text("calibration {calibration_id}", "标定 {calibration_id}"),
    "event.system.started": Text("robot started", "机器人已启动"),
    "event.system.stopping": Text("robot stopping", "机器人正在停止"),
}
_COLOUR = {"elevated": "bold red", "normal": "green", "not_measured": "yellow"}


def word(key: str, language: str, **values: object) -> str:
    """Returns a text of this screen in that language (`en` or `zh`), its places filled in."""
    return str(getattr(_WORDS[key], language)).format(**values)


@dataclass(slots=True)
class Board:
    """What is known: the newest state and when it came, the last events, and how the connection is."""

    state: LiveState | None = None
    heard_ns: int = 0
    problem: str = ""
    """Why there is no connection; empty while there is one."""
    events: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=_EVENTS))

    def oldest_alarm(self) -> LiveAlarm | None:
        """Returns the oldest alarm that nobody has acknowledged, or None."""
        alarms = self.state.alarms if self.state is not None else ()
        return next((alarm for alarm in alarms if alarm.state == "raised"), None)


def spoken(place: str, place_zh: str, language: str) -> str:
    """Returns a place in that language, as far as it is known in it."""
    return place_zh or place if language == "zh" else place


def screen(board: Board, now_ns: int, language: str, may_acknowledge: bool) -> RenderableType:
    """Returns the whole screen as it should look at `now_ns`."""
    parts: list[RenderableType] = [_banner(board, now_ns, language)]
    state = board.state
    if state is not None:
        parts += [
            _alarms(state, language),
            _people(state, language),
            _counts(state, language),
            _devices(state, language),
        ]
    parts += [_event_line(event, language) for event in board.events]
    parts.append(Line(word("keys" if may_acknowledge else "watch_keys", language), style="dim"))
    return Group(*parts)


def _banner(board: Board, now_ns: int, language: str) -> RenderableType:
    """The answer to "is it screening": never green when that is not known."""
    state = board.state
    if state is None:
        text = word("connecting", language) + (f"\n{board.problem}" if board.problem else "")
        return Panel(Line(text, style="bold yellow"), border_style="yellow")
    age_s = (now_ns - board.heard_ns) / 1e9
    if board.problem or age_s > STALE_S:
        old = word("old", language, age=f"{age_s:.0f} s")
        detail = "\n".join(filter(None, (old, board.problem)))
        return Panel(Line(f"{word('lost', language)}\n{detail}", style="bold white on red"), border_style="red")
    place = spoken(state.place, "" if state.where is None else state.where.place_zh, language)
    where = f"{state.robot} · {place}" if place else state.robot
    warnings = [_told(texts.WARNINGS, code, language) for code in state.warnings]
    if state.screening == "available":
        text = "\n".join([f"{word('available', language)} · {where}", *warnings])
        return Panel(Line(text, style="bold green"), border_style="yellow" if warnings else "green")
    reasons = ", ".join(_told(texts.UNAVAILABLE, code, language) for code in state.reasons)
    text = "\n".join([f"{word('unavailable', language)} · {where}", reasons, *warnings])
    return Panel(Line(text, style="bold black on yellow"), border_style="yellow")


def _told(known: Mapping[str, Text], code: str, language: str) -> str:
    """Returns a code in words; one that is not known is shown as it is."""
    return str(getattr(known[code], language)) if code in known else code


def _alarms(state: LiveState, language: str) -> RenderableType:
    if not state.alarms:
        return Line(word("no_alarms", language), style="dim")
    lines = [Line(str(getattr(texts.ADVICE, language)), style="bold")]
    for alarm in sorted(state.alarms, key=lambda one: one.state == "acknowledged"):  # a small terminal cuts off the end
        answered = alarm.state == "acknowledged"
        said = word("acknowledged", language, by=alarm.by) if answered else word("raised", language)
        figure = f"{alarm.body_c:.1f} ± {2 * alarm.uncertainty_c:.1f} °C"
        place = spoken(alarm.place, alarm.place_zh, language)
        lines.append(
            Line(
                "  ".join(
                    filter(
                        None,
                        (f"{alarm.t_utc[11:19]}Z", f"{word('person', language)} {alarm.person}", figure, place, said),
                    )
                ),
                style="yellow" if answered else "bold white on red",
            )
        )
    if state.more_alarms:
        lines.append(Line(word("more_alarms", language, count=state.more_alarms)))
    return Panel(Group(*lines), title=word("alarms", language), border_style="red", title_align="left")


def _people(state: LiveState, language: str) -> RenderableType:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for key in ("person", "bearing", "distance", "estimate", "result"):
        table.add_column(word(key, language), justify="left" if key == "result" else "right")
    for person in sorted(state.people, key=lambda item: math.hypot(*item.position_m[:2])):
        x_m, y_m, _ = person.position_m
        estimate = "–"
        if person.body_c is not None and person.uncertainty_c is not None:
            estimate = f"{person.body_c:.1f} ± {2 * person.uncertainty_c:.1f} °C"
        bearing = f"{math.degrees(math.atan2(-y_m, x_m)):+.0f}°"
        result = _result(person, language)
        style = _COLOUR.get(person.verdict or "")
        table.add_row(str(person.person), bearing, f"{math.hypot(x_m, y_m):.1f} m", estimate, result, style=style)
    return table


def _result(person: LivePerson, language: str) -> str:
    said = word(person.verdict or "pending", language)
    reason = person.reason
    if reason is None or person.verdict in ("normal", "elevated"):
        return said
    return f"{said}: {_why(reason, language)}"


def _why(code: str, language: str) -> str:
    """Returns a reason for not measuring in words; a code that is not known is shown as it is."""
    return _told({str(one): text for one, text in texts.NOT_MEASURED.items()}, code, language)


def _counts(state: LiveState, language: str) -> RenderableType:
    counts = state.coverage
    if counts is None:
        return Line("")
    figures = {"seen": counts.seen, "measured": counts.measured, "elevated": counts.elevated}
    figures |= {"in_view": counts.in_view_now, "unmatched": counts.unmatched_warm}
    figures |= {"missed": sum(counts.not_measured.values())}
    line = Line("   ".join(f"{word(key, language).lower()} {count}" for key, count in figures.items()))
    why = sorted(((count, code) for code, count in counts.not_measured.items() if count), reverse=True)
    if why:
        line.append(f": {', '.join(f'{_why(code, language)} {count}' for count, code in why)}")
    return line


def _devices(state: LiveState, language: str) -> RenderableType:
    line = Line()
    for name, device in state.devices.items():
        kind = "alive" if device.alive and device.rate_ok and device.valid else "slow"
        if not device.valid:
            kind = "invalid"
        if not device.alive:
            kind = "silent"
        style = {"alive": "green", "slow": "yellow"}.get(kind, "bold red")
        why = f" ({getattr(texts.detail(device.detail), language)})" if device.detail else ""
        called = getattr(texts.device(name), language)
        line.append(f"{called} {word(kind, language)}{why} {device.rate_hz:.1f}/s   ", style=style)
    return line


def _event_line(event: Mapping[str, Any], language: str) -> RenderableType:
    """One event in words; a kind that is not known is shown by its name."""
    kind, data = str(event.get("type", "")), event.get("data") or {}
    values = dict(data)
    if isinstance(data.get("reading"), Mapping):
        values["body_c"] = f"{float(data['reading'].get('body_c', math.nan)):.1f}"
    for key in ("verdict", "screening"):
        if str(data.get(key)) in _WORDS:
            values[key] = word(str(data[key]), language).lower()
    try:
        said = word(f"event.{kind}", language, **values)
    except (KeyError, ValueError):
        said = kind
    return Line(f"{str(event.get('t_utc', ''))[11:19]}Z  {said}", style="dim")
