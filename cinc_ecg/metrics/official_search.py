"""Find the peak of the alignment pictures' cross-correlation quickly, or decline.

The definition takes four transforms of 2 Q by 2 T points in double precision. Here one small cyclic
correlation in single precision (Q by T points; where that leaves too many lags, 2 Q by 2 T) bounds
the linear one from above: pictures are non-negative, so a cyclic bin, being the sum of the linear
bins folded onto it, is at least as large as each of them. Only lags whose bound reaches the best
exact value found are evaluated exactly, as sparse sums. The result is returned only when

* the auto-correlation's peak is proven to lie at lag zero, and
* the best lag leads every other one by more than the rounding of the literal double-precision
transforms,

so that the literal computation must give the same answer. Ties and crowded peaks return None.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
#: (levels, samples)
_Lag = tuple[int, int]

#: More lags than this within reach of the peak: the literal way costs about the same.
_MAX_CANDIDATES = 192
#: The picture is blurred as scipy.ndimage.gaussian_filter does: kernel cut at this many sigmas.
_TRUNCATE = 4.0


def find_peak_lag(
    rows_ref: IntArray, rows_est: IntArray, n_levels: int, length: int, sigma: float
) -> tuple[int, int] | None:
    """Return (levels, samples) by which the estimate is high and late, or None if not certain.

    Args:
        rows_ref: (n,) level of each sample of the reference, -1 where there is none.
        rows_est: (m,) the same of the estimate.
        n_levels: Rows of the pictures.
        length: Columns of the pictures, at least max(n, m).
        sigma: Standard deviation of the blur.
    """
    kernel = _kernel(sigma)
    if length < len(kernel) or n_levels < len(kernel):
        return None
    ref = _blurred(rows_ref, n_levels, length, kernel)
    est = _blurred(rows_est, n_levels, length, kernel)
    ref, ref_start = _crop(ref)
    est, est_start = _crop(est)
    pixels = _Pixels.of(ref)
    n_literal = 4 * n_levels * length
    auto_error = _rounding(ref, ref, n_literal, 2.0**-53)
    if not _auto_peak_is_central(ref, n_levels, length, auto_error):
        return None

    literal_error = _rounding(ref, est, n_literal, 2.0**-53)
    widths = ref.shape[1], est.shape[1]
    folded = (n_levels, next_fast_len(max(widths), real=True))
    unfolded = (next_fast_len(2 * n_levels - 1), next_fast_len(sum(widths) - 1, real=True))
    for shape in (folded, unfolded):
        bound = _cyclic_correlation(ref, est, shape)
        slack = _rounding(ref, est, bound.size, 2.0**-24, _norm(bound))
        candidates, best = _candidates(pixels, est, bound, slack + 4 * literal_error)
        if len(candidates) <= _MAX_CANDIDATES:
            break
    else:
        return None
    lag = _clear_winner(pixels, est, candidates, best, 4 * literal_error)
    if lag is None:
        return None
    # Lag of the correlation sum_m ref[m] est[m - lag]; the offset is its negative.
    return -lag[0], -(lag[1] + ref_start - est_start)


def _kernel(sigma: float) -> FloatArray:
    """Return the normalised Gaussian weights that scipy.ndimage.gaussian_filter uses."""
    radius = int(_TRUNCATE * sigma + 0.5)
    weights = np.exp(-0.5 / sigma**2 * np.arange(-radius, radius + 1) ** 2)
    return weights / weights.sum()


def _reflect(index: IntArray, size: int) -> IntArray:
    """Fold indices at most `size` outside 0..size-1 back, edge sample repeated (mode "reflect")."""
    index = np.where(index < 0, -1 - index, index)
    return np.where(index >= size, 2 * size - 1 - index, index)


def _blurred(rows: IntArray, n_levels: int, length: int, kernel: FloatArray) -> FloatArray:
    """Return the blurred picture of one pixel per sample, built from its few non-zero products."""
    radius = len(kernel) // 2
    steps = np.arange(-radius, radius + 1)
    columns = np.flatnonzero(rows >= 0)
    r = _reflect(rows[columns][:, None] + steps, n_levels)
    c = _reflect(columns[:, None] + steps, length)
    flat = r[:, :, None] * length + c[:, None, :]
    weights = np.broadcast_to(kernel[:, None] * kernel, flat.shape)
    picture = np.bincount(flat.ravel(), weights.ravel(), minlength=n_levels * length)
    return np.asarray(picture.reshape(n_levels, length), dtype=np.float64)


def _crop(picture: FloatArray) -> tuple[FloatArray, int]:
    """Drop empty columns at both ends; return the rest and its first column."""
    filled = np.flatnonzero(picture.any(axis=0))
    start, stop = int(filled[0]), int(filled[-1]) + 1
    return picture[:, start:stop], start


def _rounding(
    a: FloatArray, b: FloatArray, n_points: int, unit: float, norm_out: float | None = None
) -> float:
    """Bound the rounding error of any one value of a correlation of `a` and `b` by FFT.

    A transform of N points errs by at most about 7 u log2 N relative to its 2-norm (Higham,
    Accuracy and Stability of Numerical Algorithms, 2002, theorem 24.2); the two forward ones enter
    with |a| |b|, the inverse one with the 2-norm of the result, which Hoelder's inequality bounds
    when it is not given.
    """
    product = _norm(a) * _norm(b)
    if norm_out is None:
        norm_out = float(np.sqrt(a.sum() * b.sum() * product))
    return 7 * unit * float(np.log2(n_points)) * (2 * product + norm_out)


def _norm(a: NDArray[np.floating]) -> float:
    """Return the 2-norm by a plain sum: no BLAS, whose threads would crowd parallel workers."""
    return float(np.sqrt(np.square(a).sum(dtype=np.float64)))


def _auto_peak_is_central(ref: FloatArray, n_levels: int, length: int, error: float) -> bool:
    """Tell whether the auto-correlation's maximum lies at lag zero, rounding included.

    r(0) - r(lag) is half the squared difference between the picture and its shifted self. Along the
    line through the brightest pixel in the direction of the lag, that difference must climb from 0
    to the brightest value and back within at most max(Q, T) + 1 steps, so its square sum is at
    least 2 peak^2 / (max(Q, T) + 1).
    """
    gap = float(ref.max()) ** 2 / (max(n_levels, length) + 1)
    return gap > 4 * error


def _cyclic_correlation(
    ref: FloatArray, est: FloatArray, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Correlate two pictures cyclically in single precision."""
    spectrum = rfft2(ref.astype(np.float32), s=shape)
    spectrum *= np.conj(rfft2(est.astype(np.float32), s=shape))
    return np.asarray(irfft2(spectrum, s=shape), dtype=np.float32)


def _candidates(
    ref: _Pixels, est: FloatArray, bound: NDArray[np.float32], slack: float
) -> tuple[list[_Lag], float]:
    """Return the lags whose bound reaches an exact value that is surely attained, and that value.

    More than `_MAX_CANDIDATES` bins are not listed one by one; the list is then only known to be
    longer.
    """
    top = _linear_lags(int(np.argmax(bound)), ref.shape, est.shape, bound.shape)
    best = max((ref.correlation(est, lag) for lag in top), default=0.0)
    bins = np.flatnonzero(bound.ravel() >= best - slack)[: _MAX_CANDIDATES + 1]
    lags = [lag for k in bins for lag in _linear_lags(int(k), ref.shape, est.shape, bound.shape)]
    return lags, best


def _clear_winner(
    ref: _Pixels, est: FloatArray, lags: list[_Lag], best: float, margin: float
) -> _Lag | None:
    """Return the lag of the largest exact value, or None unless it leads by more than `margin`."""
    values = sorted(((ref.correlation(est, lag), lag) for lag in lags), reverse=True)
    runner_up = values[1][0] if len(values) > 1 else 0.0
    if not values or values[0][0] < best or values[0][0] - runner_up <= margin:
        return None
    return values[0][1]


def _linear_lags(
    flat: int, ref_shape: tuple[int, ...], est_shape: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[_Lag, ...]:
    """Return the linear lags that fold onto one bin of the cyclic correlation."""
    row, column = divmod(flat, shape[1])
    rows = [r for r in (row, row - shape[0]) if -est_shape[0] < r < ref_shape[0]]
    columns = [c for c in (column, column - shape[1]) if -est_shape[1] < c < ref_shape[1]]
    return tuple((r, c) for r in rows for c in columns)


@dataclass(frozen=True, slots=True)
class _Pixels:
    """The non-zero pixels of a picture of a certain shape."""

    shape: tuple[int, ...]
    rows: IntArray
    columns: IntArray
    values: FloatArray

    @classmethod
    def of(cls, picture: FloatArray) -> _Pixels:
        rows, columns = np.nonzero(picture)
        return cls(picture.shape, rows, columns, picture[rows, columns])

    def correlation(self, other: FloatArray, lag: _Lag) -> float:
        """Return sum_m self[m] other[m - lag]."""
        r, c = self.rows - lag[0], self.columns - lag[1]
        inside = (r >= 0) & (r < other.shape[0]) & (c >= 0) & (c < other.shape[1])
        return float(np.sum(self.values[inside] * other[r[inside], c[inside]]))
