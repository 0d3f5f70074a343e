"""Who is who: the pairs of tracks and faces whose costs together are least.

Most faces have one track in reach and most tracks one face; such pairs are settled at once, as arrays. What is left are
small groups of people close together, each solved exactly by shortest augmenting paths (Jonker and Volgenant 1987).
"""

from __future__ import annotations

import numpy as np

from robot.types import F64, I64


def assign(rows: I64, columns: I64, cost: F64) -> tuple[I64, I64]:
    """Returns rows and columns of the best one-to-one pairs, given possible pairs (n) and their costs (n, below zero: better than
    leaving both alone). Pairs of cost zero and above are never made."""
    worth = cost < 0
    rows, columns, cost = rows[worth], columns[worth], cost[worth]
    if not len(rows):
        return rows, columns
    alone = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
    if alone.all():
        return rows, columns
    found_rows, found_columns = [rows[alone]], [columns[alone]]
    left = ~alone
    for group in _groups(rows[left], columns[left]):
        picked = np.flatnonzero(left)[group]
        row_names, row_at = np.unique(rows[picked], return_inverse=True)
        column_names, column_at = np.unique(columns[picked], return_inverse=True)
        # Beside the real faces every track has one of its own that stands for none, at cost zero.
        matrix = np.full((len(row_names), len(column_names) + len(row_names)), 0.0)
        matrix[:, : len(column_names)] = np.inf
        matrix[row_at, column_at] = cost[picked]
        chosen = _least_total(np.minimum(matrix, 1e9))
        paired = chosen < len(column_names)
        found_rows.append(row_names[paired])
        found_columns.append(column_names[chosen[paired]])
    return np.concatenate(found_rows), np.concatenate(found_columns)


def _groups(rows: I64, columns: I64) -> list[I64]:
    """Returns the pairs' indices by connected group: pairs that share a row or a column, directly or through others."""
    label = np.arange(len(rows))
    while True:
        before = label
        for side in (rows, columns):
            least = np.full(int(side.max()) + 1, len(rows))
            np.minimum.at(least, side, label)
            label = least[side]
        if (label == before).all():
            break
    order = np.argsort(label, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1)


def _least_total(cost: F64) -> I64:
    """Returns the column of each row (n × m, n ≤ m) at the least total cost."""
    count, width = cost.shape
    row_of = np.full(width + 1, -1)
    of_row, of_column = np.zeros(count), np.zeros(width + 1)
    for row in range(count):
        row_of[width] = row
        at, least = width, np.full(width, np.inf)
        back, done = np.full(width, width), np.zeros(width + 1, dtype=bool)
        while row_of[at] >= 0:
            done[at] = True
            here = row_of[at]
            reduced = cost[here] - of_row[here] - of_column[:width]
            better = ~done[:width] & (reduced < least)
            least[better], back[better] = reduced[better], at
            nearest = int(np.argmin(np.where(done[:width], np.inf, least)))
            step = least[nearest]
            of_row[row_of[done]] += step
            of_column[done] -= step
            least[~done[:width]] -= step
            at = nearest
        while at != width:
            row_of[at] = row_of[back[at]]
            at = back[at]
    chosen = np.empty(count, dtype=np.int64)
    taken = np.flatnonzero(row_of[:width] >= 0)
    chosen[row_of[taken]] = taken
    return chosen
