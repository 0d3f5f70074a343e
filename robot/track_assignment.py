"""Who is who: the pairs of tracks and faces whose costs together are least.

Where everybody's best is nobody else's best, it is the answer. What is left are small groups of people close together
who compete for a face, each solved exactly by shortest augmenting paths (Jonker and Volgenant 1987).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot.types import F64, I64

Pair = tuple[int, int, float]
"""Row, column, cost."""
_NEVER = 1e9
"""Cost of a pair that is not possible."""


def assign(rows: I64, columns: I64, cost: F64) -> tuple[I64, I64]:
    """Returns rows and columns of the best one-to-one pairs, given possible pairs (n) and their costs (n, below zero: better than
    leaving both alone). Pairs of cost zero and above are never made."""
    found = matched(list(zip(rows.tolist(), columns.tolist(), cost.tolist(), strict=True)))
    table = np.array(found, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def matched(pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    """Returns row and column of the best pairs as `assign` does. Plain numbers: for a few dozen pairs arrays are slower."""
    best: dict[int, tuple[float, int]] = {}
    for row, column, cost in pairs:
        if cost < 0 and (row not in best or cost < best[row][0]):
            best[row] = cost, column
    if len({column for _, column in best.values()}) == len(best):
        return [
            (row, column) for row, (_, column) in best.items()
        ]  # everybody has the best there is, and nobody wants the same
    found: list[tuple[int, int]] = []
    for group in _groups([pair for pair in pairs if pair[2] < 0]):
        easy = {row: best[row][1] for row, _, _ in group}
        contested = len(set(easy.values())) < len(easy)
        found += _solved(group) if contested else easy.items()
    return found


def _groups(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Returns the pairs in groups: those that share a row or a column, directly or through others."""
    leader: dict[int, int] = {}

    def leading(one: int) -> int:
        while leader.setdefault(one, one) != one:
            one = leader[one]
        return one

    for row, column, _ in pairs:
        leader[leading(~column)] = leading(row)  # columns have the numbers below zero
    groups: dict[int, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(leading(pair[0]), []).append(pair)
    return list(groups.values())


def _solved(pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    """Returns the best pairs (row, column) of one small group."""
    row_names = sorted({row for row, _, _ in pairs})
    column_names = sorted({column for _, column, _ in pairs})
    row_at = {name: index for index, name in enumerate(row_names)}
    column_at = {name: index for index, name in enumerate(column_names)}
    # Beside the real columns every row has one of its own that stands for none, at cost zero.
    matrix = [[_NEVER] * len(column_names) + [0.0] * len(row_names) for _ in row_names]
    for row, column, cost in pairs:
        matrix[row_at[row]][column_at[column]] = cost
    chosen = _least_total(matrix)
    return [(row_names[row], column_names[at]) for row, at in enumerate(chosen) if at < len(column_names)]


def _least_total(cost: list[list[float]]) -> list[int]:
    """Returns the column of each row (n × m, n ≤ m) at the least total cost. Lists: a group has a few rows, arrays are slower there."""
    count, width = len(cost), len(cost[0])
    row_of = [-1] * (width + 1)
    of_row, of_column = [0.0] * count, [0.0] * (width + 1)
    for row in range(count):
        row_of[width] = row
        at, least = width, [_NEVER * 10] * width
        back, done = [width] * width, [False] * (width + 1)
        while row_of[at] >= 0:
            done[at] = True
            here = row_of[at]
            step, nearest = _NEVER * 100, -1
            for column in range(width):
                if done[column]:
                    continue
                reduced = cost[here][column] - of_row[here] - of_column[column]
                if reduced < least[column]:
                    least[column], back[column] = reduced, at
                if least[column] < step:
                    step, nearest = least[column], column
            for column in range(width + 1):
                if done[column]:
                    of_row[row_of[column]] += step
                    of_column[column] -= step
                elif column < width:
                    least[column] -= step
            at = nearest
        while at != width:
            row_of[at] = row_of[back[at]]
            at = back[at]
    chosen = [0] * count
    for column in range(width):
        if row_of[column] >= 0:
            chosen[row_of[column]] = column
    return chosen
