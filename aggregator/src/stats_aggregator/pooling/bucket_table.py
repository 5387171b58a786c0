"""BucketTable: how many values of each series are in each bucket, in a table that is added to in place.

Few octaves occur in what is measured, so the table has columns for those alone: one addition finds the column
of a value, and one its cell.
"""

from __future__ import annotations

import numpy as np

from .bucket_counts import NUM_OCTAVES, keys_of, tops_of, zero_top
from .segments import Floats, Ints, distinct, grown, stretched

_TINY_OCTAVES = (0, NUM_OCTAVES // 2)
"""Those of zero and of the least doubles, of either sign."""
_NOWHERE = np.full(NUM_OCTAVES, -1 << 40, dtype=np.int64)


class BucketTable:
    """A row for each series that is seen, and 2^`mantissa_bits` columns for each octave."""

    def __init__(self, mantissa_bits: int) -> None:
        self._bits = mantissa_bits
        self._looks_for_zeros = False
        self._octaves: list[int] = []
        # Shared until there is an octave: many periods count nothing until they close.
        self._to_column = _NOWHERE
        """What to add to the top bits of a value of each octave."""
        self._series: list[int] = []
        self._row_of = np.full(64, -1, dtype=np.int64)
        self._counts = np.zeros((0, 0), dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes of counts held."""
        return self._counts.nbytes

    def add(self, series: Ints, lengths: Ints, values: Floats, most_cells: int) -> bool:
        """Count `values`, all finite and in segments of these lengths, and return True.

        Where the table would have more than `most_cells` then, count none of them and return False. They are
        few enough for the processor's cache.
        """
        columns = self._columns(values, most_cells)
        rows = None if columns is None else self._rows(series, most_cells)
        if columns is None or rows is None:
            return False
        columns += stretched(rows * self._counts.shape[1], lengths)
        np.add.at(self._counts.reshape(-1), columns, 1)
        return True

    def _columns(self, values: Floats, most_cells: int) -> Ints | None:
        """Return the column of each value, new ones among them; None where these are too many."""
        while True:
            tops = tops_of(values, self._bits)
            if self._looks_for_zeros:
                tops[values == 0.0] = zero_top(self._bits)
            octaves = tops >> self._bits
            columns: Ints = tops + self._to_column[octaves]
            if columns.min() >= 0:
                return columns
            new = distinct(octaves[columns < 0]).tolist()
            if not self._looks_for_zeros and any(octave in _TINY_OCTAVES for octave in new):
                self._looks_for_zeros = True  # zero has a bucket of its own
                continue
            if not self._make_room(len(self._series), len(self._octaves) + len(new), most_cells):
                return None
            if not self._octaves:
                self._to_column = _NOWHERE.copy()
            for octave in new:
                self._to_column[octave] = (len(self._octaves) - octave) << self._bits
                self._octaves.append(octave)

    def _rows(self, series: Ints, most_cells: int) -> Ints | None:
        """Return the row of each series, new ones among them; None where these are too many."""
        self._row_of = grown(self._row_of, int(series.max()) + 1, -1)
        rows: Ints = self._row_of[series]
        if rows.min() >= 0:
            return rows
        new = distinct(series[rows < 0])
        if not self._make_room(len(self._series) + len(new), len(self._octaves), most_cells):
            return None
        self._row_of[new] = np.arange(len(self._series), len(self._series) + len(new))
        self._series += new.tolist()
        return self._row_of[series]

    def _make_room(self, rows: int, octaves: int, most_cells: int) -> bool:
        """Return whether there is room for so many, of at least one row, which may be made."""
        had_rows, had_columns = self._counts.shape
        columns = octaves << self._bits
        if max(rows, 1) * columns > most_cells:
            return False
        if rows > had_rows or columns > had_columns:
            # Twice as many rows where they fit, so that growing costs a bounded share of counting.
            wanted = 2 * had_rows if rows > had_rows else had_rows
            rows = max(rows, min(wanted, most_cells // columns))
            counts = np.zeros((rows, columns), dtype=np.int64)
            counts[:had_rows, :had_columns] = self._counts[:rows]
            self._counts = counts
        return True

    def counted(self) -> tuple[Ints, Ints, Ints]:
        """Return series and key of every bucket that is hit, and how many values are in it.

        Keys ascend within a series; series are in the order in which they came.
        """
        octaves = np.array(self._octaves, dtype=np.int64)[:, np.newaxis]
        keys = keys_of(((octaves << self._bits) + np.arange(1 << self._bits)).reshape(-1), self._bits)
        order = np.argsort(keys)
        cells = self._counts.take(order, axis=1).reshape(-1)
        hit = np.flatnonzero(cells)
        rows, columns = np.divmod(hit, max(len(order), 1))
        return np.array(self._series, dtype=np.int64)[rows], keys[order][columns], cells[hit]
