"""The guidance in the terminal: live in place on a screen (also over ssh), line by line into a pipe."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from calibration.procedure import Guidance
from calibration.refused import step_named
from calibration.results import Grid, Rejected, Say, StepResult, shown
from calibration.texts import Language, name_of, say
from robot.types import U8

_LINE_S = 1.0
"""A pipe gets at most this many seconds' worth of lines: one."""
_REFUSAL_S = 1.5
"""A refusal stays readable for this long."""


class TerminalView:
    """Fulfils session.View. Use as a context manager around each step."""

    def __init__(self, console: Console, language: Language, notice: str = "") -> None:
        self._console = console
        self._language = language
        self._notice = notice
        self._live: Live | None = None
        self._last_line: tuple[object, ...] = ()
        self._line_due_s = 0.0
        self._refusal: Say | None = None
        self._refusal_until_s = 0.0

    def __enter__(self) -> TerminalView:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=5, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def step(self, title: str, guidance: Guidance, silent: Mapping[str, str]) -> None:
        if self._live is not None:
            self._live.update(self._panel(title, guidance, silent))
        else:
            self._line(title, guidance, silent)

    def wants_pictures(self) -> bool:
        return False

    def picture(self, name: str, image_bgr: U8) -> None:
        """A terminal shows none."""

    def _line(self, title: str, guidance: Guidance, silent: Mapping[str, str]) -> None:
        todo = "; ".join(self._say(sentence) for sentence in (*guidance.state[:1], *guidance.todo[:1]))
        refusal = f" — {self._say('live.refused')}: {self._say(guidance.refusal)}" if guidance.refusal else ""
        devices = "".join(f" — {name}: {why}" for name, why in silent.items())
        said = (title, guidance.accepted, round(guidance.progress, 1), guidance.todo[:1], guidance.refusal, devices)
        now_s = time.monotonic()
        if said == self._last_line or (now_s < self._line_due_s and not guidance.done):
            return
        self._last_line, self._line_due_s = said, now_s + _LINE_S
        # Escapes in a pipe would be noise, and so would rich's wrapping at 80 columns.
        self._console.print(
            f"{title}: {guidance.percent:3d} %, {guidance.accepted} {self._say('live.samples')}"
            f"{': ' if todo else ''}{todo}{refusal}{devices}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    def _panel(self, title: str, guidance: Guidance, silent: Mapping[str, str]) -> Panel:
        # A bar ends without a new line: what followed it in a group would be cut off.
        bar = Table.grid(expand=True, padding=(0, 1))
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True)
        bar.add_row(
            ProgressBar(total=100, completed=guidance.percent, width=None),
            Text(f"{guidance.percent} %  {guidance.accepted} {self._say('live.samples')}", style="bold"),
        )
        parts: list[RenderableType] = [bar]
        for number, sentence in enumerate(guidance.todo):
            parts.append(Text(f"➜ {self._say(sentence)}", style="bold green" if number == 0 else ""))
        parts.append(Text(self._refusal_text(guidance), style="bold yellow"))
        parts += [Text(self._say(sentence)) for sentence in guidance.state]
        if guidance.residual is not None:
            parts.append(Text(f"{self._say('live.residual')} {guidance.residual:.3g} {guidance.residual_unit}"))
        parts += [self._grid(grid) for grid in guidance.coverage]
        parts += [Text(f"{name}: {why}", style="bold red") for name, why in silent.items()]
        if self._notice:
            parts.append(Text(self._notice, style="dim"))
        parts.append(Text(self._say("live.stop"), style="dim"))
        return Panel(Group(*parts), title=title, title_align="left")

    def _refusal_text(self, guidance: Guidance) -> str:
        """A refusal that comes and goes with every frame would flicker."""
        now_s = time.monotonic()
        if guidance.refusal is not None:
            self._refusal, self._refusal_until_s = guidance.refusal, now_s + _REFUSAL_S
        shown = self._refusal if now_s < self._refusal_until_s else None
        return f"✗ {self._say('live.refused')}: {self._say(shown)}" if shown is not None else ""

    def _grid(self, grid: Grid) -> Table:
        table = Table(title=self._say(grid.title), title_justify="left", show_lines=False, pad_edge=False)
        table.add_column("")
        for column in grid.columns:
            table.add_column(self._say(column), justify="right")
        for label, counts, needed in zip(grid.rows, grid.counts, grid.needed, strict=True):
            table.add_row(label, *(_cell(have, need) for have, need in zip(counts, needed, strict=True)))
        return table

    def _say(self, sentence: Say | str) -> str:
        return say(Say(sentence) if isinstance(sentence, str) else sentence, self._language)


def _cell(have: int, need: int) -> Text:
    if need == 0:
        return Text(str(have) if have else "·", style="dim")
    style = "black on green" if have >= need else ("black on yellow" if have else "white on red")
    return Text(f" {have}/{need} ", style=style)


def grid_text(grid: Grid, language: Language) -> str:
    """Returns the coverage as plain lines."""
    columns = [say(Say(column), language) for column in grid.columns]
    width = max((cell_len(label) for label in (*grid.rows, *columns)), default=1)
    width = max(width, 7)
    lines = [say(grid.title, language), " " * width + "".join(f" {_right(column, width)}" for column in columns)]
    for label, counts, needed in zip(grid.rows, grid.counts, grid.needed, strict=True):
        cells = (f"{have}/{need}" for have, need in zip(counts, needed, strict=True))
        lines.append(label + " " * (width - cell_len(label)) + "".join(f" {_right(cell, width)}" for cell in cells))
    return "\n".join(lines)


def _right(text: str, width: int) -> str:
    """A Chinese character takes two columns."""
    return " " * (width - cell_len(text)) + text


def result_text(result: StepResult, language: Language) -> str:
    """Returns what a step found, in plain lines: verdict, checks against limits, parameters with ±2 standard uncertainties."""

    def words(key: str) -> str:
        return say(Say(f"live.{key}"), language)

    verdict = words("passed") if result.passed else words("failed")
    lines = [
        f"{step_named(result.title, language)}: {verdict} ({result.samples} {words('samples')}, {len(result.rejected)} {words('rejected')})"
    ]
    for name, check in result.checks.items():
        mark = "✓" if check.passed else "✗"
        limits = " … ".join(f"{limit:g}" for limit in (check.low, check.high) if limit is not None)
        lines.append(
            f"  {mark} {name_of(name, language)}: {shown(check.value)} {check.unit} ({words('limit')} {limits} {check.unit})"
        )
    for name, quantity in result.parameters.items():
        lines.append(f"    {name_of(name, language)}: {quantity.value:.6g} ± {2 * quantity.sd:.2g} {quantity.unit}")
    lines += [f"    {words('rejected')}: {_rejection(item, language)}" for item in result.rejected]
    lines += [f"  ! {words('warning')}: {say(warning, language)}" for warning in result.warnings]
    return "\n".join(lines)


def _rejection(item: Rejected, language: Language) -> str:
    return f"{item.sample}: {say(item.why, language)}"
