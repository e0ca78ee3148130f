"""Time `cinc-ecg score` against the slow reference, in one pair of processes.

Both score the same 24 ten-second records on the same cores: the command as users run it (a new
process, records in parallel), the reference in one process of its own. The ratio of the medians
over the repeats is printed. `--fast` compares the quick one-dimensional SNR with the official one.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import reference_scorer
from cinc_ecg.io.raw_records import read_raw
from cinc_ecg.io.records import find_records, read_signal, write_record
from cinc_ecg.metrics.fast import fast_snr
from cinc_ecg.metrics.official import score_lead
from cinc_ecg.types import Signal

N_RECORDS = 24


def recordings(data, n, seed):
    """Yield n ten-second signals: drawn from a folder, or simulated."""
    if data is None:
        from cinc_ecg.synth.ecg import simulate

        for k in range(n):
            yield simulate(seed=seed + k)
        return
    rng = np.random.default_rng(seed)
    for record in rng.permutation(find_records(data)):
        signal = read_signal(data / record)
        if signal.duration_s >= 10 and n > 0:
            n -= 1
            samples = signal.samples_mv[: round(10 * signal.fs_hz)]
            yield Signal(samples, signal.fs_hz, signal.leads)


def prepare(folder, data, seed):
    """Write references and outputs with noise and a small shift."""
    rng = np.random.default_rng(seed)
    for side in ("ref", "est"):
        (folder / side).mkdir()
    for k, signal in enumerate(recordings(data, N_RECORDS, seed)):
        noisy = signal.samples_mv + 0.03 * rng.standard_normal(signal.samples_mv.shape)
        noisy = np.roll(noisy, int(rng.integers(-5, 6)), axis=0).astype(np.float32)
        write_record(folder / "ref" / f"r{k:02d}", signal)
        write_record(folder / "est" / f"r{k:02d}", Signal(noisy, signal.fs_hz, signal.leads))


def slow(folder):
    """Score with the reference and print the SNR."""
    values = []
    for record in find_records(folder / "ref"):
        ref, est = read_raw(folder / "ref" / record), read_raw(folder / "est" / record)
        for k in range(ref.samples.shape[1]):
            values.append(reference_scorer.score(ref.samples[:, k], est.samples[:, k], ref.fs_hz))
    print(f"SNR: {np.nanmean(values):.3f}")


def timed(command):
    """Run a command; return its wall-clock seconds and first line of output."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.perf_counter() - start, done.stdout.splitlines()[0]


def compare_speed(data, repeats, seed):
    """Print both medians and their ratio; fail when the scores differ."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, data, seed)
        ours = [sys.executable, "-m", "cinc_ecg", "score"]
        ours += ["-d", str(folder / "ref"), "-o", str(folder / "est")]
        reference = [sys.executable, "-m", "benchmarks.score_speed", "--slow", name]
        times = {"reference": [], "score": []}
        for _ in range(repeats):
            seconds, slow_line = timed(reference)
            times["reference"].append(seconds)
            seconds, line = timed(ours)
            times["score"].append(seconds)
            if line != slow_line:
                raise SystemExit(f"scores differ: {line} against {slow_line}")
    medians = {key: statistics.median(values) for key, values in times.items()}
    for key, value in medians.items():
        print(f"{key}: {value:.1f} s (median of {repeats})")
    print(f"{slow_line}; ratio {medians['reference'] / medians['score']:.1f}")


def compare_fast(data, seed):
    """Print how far the quick SNR lies from the official one, at three noise levels."""
    rng = np.random.default_rng(seed)
    signals = list(recordings(data, N_RECORDS, seed))
    for level in (0.02, 0.04, 0.1):
        official, quick = [], []
        for signal in signals:
            lead, fs = int(rng.integers(12)), signal.fs_hz
            x = signal.samples_mv[:, lead].astype(float)
            start = round(2.5 * fs) * int(rng.integers(4))
            x[:start] = x[start + round(2.5 * fs) :] = np.nan
            y = np.roll(x + level * rng.standard_normal(len(x)), int(rng.integers(-4, 5)))
            official.append(score_lead(x, y, fs).snr_db)
            quick.append(fast_snr(x, y, fs))
        difference = np.subtract(quick, official)
        print(
            f"noise {level} mV: official {np.mean(official):.1f} dB, quick minus official: "
            f"median {np.median(difference):.2f}, mean {np.mean(difference):.2f} dB"
        )


def main():
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with WFDB records (simulated otherwise)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fast", action="store_true", help="compare the quick SNR instead")
    parser.add_argument("--slow", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.slow:
        slow(arguments.slow)
    elif arguments.fast:
        compare_fast(arguments.data, arguments.seed)
    else:
        compare_speed(arguments.data, arguments.repeats, arguments.seed)


if __name__ == "__main__":
    main()
