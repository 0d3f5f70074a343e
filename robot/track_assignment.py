"""Who is who: the pairs of tracks and faces whose costs together are least.

Where everybody's best is nobody else's best, it is the answer, found at once as arrays. What is left are small groups
of people close together who compete for a face, each solved exactly by shortest augmenting paths (Jonker and Volgenant 1987).
"""

from __future__ import annotations

import numpy as np

from robot.types import F64, I64

_NEVER = 1e9
"""Cost of a pair that is not possible."""


def assign(rows: I64, columns: I64, cost: F64) -> tuple[I64, I64]:
    """Returns rows and columns of the best one-to-one pairs, given possible pairs (n) and their costs (n, below zero: better than
    leaving both alone). Pairs of cost zero and above are never made."""
    worth = cost < 0
    rows, columns, cost = rows[worth], columns[worth], cost[worth]
    best = _least_of_each(rows, cost)
    if len(best) and np.bincount(columns[best]).max() > 1:
        return _contested(rows, columns, cost, best)
    return rows[best], columns[best]  # everybody has the best there is, and nobody wants the same


def _least_of_each(rows: I64, cost: F64) -> I64:
    """Returns the index of the least cost of every row."""
    order = np.lexsort((cost, rows))
    sorted_rows = rows[order]
    first = np.ones(len(order), dtype=bool)
    np.not_equal(sorted_rows[1:], sorted_rows[:-1], out=first[1:])
    least: I64 = order[first]
    return least


def _contested(rows: I64, columns: I64, cost: F64, best: I64) -> tuple[I64, I64]:
    """Returns the best pairs where some rows want the same column: only the groups that these belong to are solved at length."""
    label = _groups(rows, columns)
    wanted = np.bincount(columns[best], minlength=int(columns.max()) + 1)
    contested = np.zeros(len(rows), dtype=bool)
    contested[label[best[wanted[columns[best]] > 1]]] = True
    easy = best[~contested[label[best]]]
    found_rows, found_columns = rows[easy].tolist(), columns[easy].tolist()
    hard = np.flatnonzero(contested[label])
    groups: dict[int, list[tuple[int, int, float]]] = {}
    for group, *pair in zip(
        label[hard].tolist(), rows[hard].tolist(), columns[hard].tolist(), cost[hard].tolist(), strict=True
    ):
        groups.setdefault(group, []).append(tuple(pair))
    for pairs in groups.values():
        for row, column in _solved(pairs):
            found_rows.append(row)
            found_columns.append(column)
    return np.array(found_rows, dtype=np.int64), np.array(found_columns, dtype=np.int64)


def _solved(pairs: list[tuple[int, int, float]]) -> list[tuple[int, int]]:
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


def _groups(rows: I64, columns: I64) -> I64:
    """Returns the group of each pair, named by one of its pairs: those that share a row or a column, directly or through others."""
    label = np.arange(len(rows))
    while True:
        before = label
        for side in (rows, columns):
            least = np.full(int(side.max()) + 1, len(rows))
            np.minimum.at(least, side, label)
            label = least[side]
        if (label == before).all():
            return label


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
