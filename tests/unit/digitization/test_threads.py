"""Parts of a page side by side: order, errors, and the same signal for any number of threads."""

import threading

import numpy as np
import pytest

from cinc_ecg.digitization import threads
from cinc_ecg.digitization.pipeline import digitize


@pytest.fixture(params=[1, 2, 3])
def n_threads(request):
    threads.set_threads(request.param)
    yield request.param
    threads.set_threads(1)


def test_results_keep_the_order_of_the_parts(n_threads):
    assert threads.side_by_side(pow, range(20), range(20)) == [k**k for k in range(20)]
    assert threads.side_by_side(len, []) == []


def test_no_more_threads_than_asked_for(n_threads):
    seen = threads.side_by_side(lambda _: threading.get_ident(), range(50))
    assert len(set(seen)) <= n_threads


def test_the_first_error_is_raised(n_threads):
    with pytest.raises(ZeroDivisionError):
        threads.side_by_side(lambda k: 1 // (k - 3), range(6))


def test_what_goes_on_beside_is_done_once_and_raises_when_asked(n_threads):
    calls = []
    result = threads.beside(lambda: calls.append(1) or len(calls))
    assert [result(), result()] == [1, 1]
    failing = threads.beside(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failing()


def test_columns_of_different_lengths_are_refused(n_threads):
    with pytest.raises(ValueError, match="zip"):
        threads.side_by_side(pow, [1, 2], [1])


def test_a_page_gives_the_same_signal_for_any_number_of_threads(draw, small):
    image, _ = draw(small)
    signals = []
    for n in (1, 3):
        threads.set_threads(n)
        signals.append(digitize(image).signal)
    threads.set_threads(1)
    for other in signals[1:]:
        assert np.array_equal(other.samples_mv, signals[0].samples_mv, equal_nan=True)
        assert np.array_equal(other.sigma_mv, signals[0].sigma_mv, equal_nan=True)
