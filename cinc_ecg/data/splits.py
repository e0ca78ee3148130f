"""Cut data into folds so that no patient is on both sides, and the same data get the same folds."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cinc_ecg.errors import ConfigError

Method = Literal["hash", "stratified"]


def assign_folds(
    groups: Sequence[str],
    labels: Sequence[Sequence[Hashable] | None] | None = None,
    *,
    n_folds: int = 5,
    seed: int = 0,
    method: Method = "stratified",
) -> NDArray[np.int64]:
    """Return the fold of each record; records of one group share a fold.

    "hash" depends on the group's name alone, so it survives added and removed records.
    "stratified" deals the groups out, rarest label first, to the fold that lacks that label most
    (Sechidis et al. 2011, for groups); without labels it balances the sizes.

    Args:
        groups: Group (patient or record) per record.
        labels: Labels per record, for "stratified".
        n_folds: At least 2.
        seed: Changes the folds.
        method: See above.

    Raises:
        ConfigError: fewer than two folds.
    """
    if n_folds < 2:
        raise ConfigError("cv.n_folds must be at least 2")
    if method == "hash":
        return np.array([_hash(f"{seed}:{group}") % n_folds for group in groups], np.int64)
    names = sorted(set(groups), key=lambda group: _hash(f"{seed}:{group}"))
    members: dict[str, list[int]] = {name: [] for name in names}
    for index, group in enumerate(groups):
        members[group].append(index)
    entries = [tuple(entry or ()) for entry in labels] if labels else [()] * len(groups)
    kinds = sorted({kind for entry in entries for kind in entry}, key=str)
    have = np.zeros((len(names), len(kinds) + 1))
    for row, name in enumerate(names):
        have[row, -1] = len(members[name])
        for index in members[name]:
            for kind in entries[index]:
                have[row, kinds.index(kind)] += 1
    fold_of_name = _deal(have, n_folds)
    folds = np.empty(len(groups), np.int64)
    for row, name in enumerate(names):
        folds[members[name]] = fold_of_name[row]
    return folds


def _deal(have: NDArray[np.float64], n_folds: int) -> NDArray[np.int64]:
    """Give rows (counts per label, size last) to folds so that every column is even."""
    lacking = np.tile(have.sum(0) / n_folds, (n_folds, 1))
    folds = np.full(len(have), -1, np.int64)
    while (folds < 0).any():
        left = folds < 0
        totals = have[left][:, :-1].sum(0)
        rare = int(np.argmin(np.where(totals > 0, totals, np.inf))) if totals.any() else -1
        for row in np.flatnonzero(left & (have[:, rare] > 0)):
            order = np.lexsort((-lacking[:, -1], -lacking[:, rare]))
            folds[row] = order[0]
            lacking[order[0]] -= have[row]
    return folds


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
