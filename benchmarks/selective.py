"""What leaving out doubtful leads would earn: `python -m benchmarks.selective DETAILS.jsonl`.

Reads what `python -m benchmarks.run --details` wrote. Leads are sorted by the signal-to-noise ratio
that the digitizer itself expects of them; the table says how good those are that remain when the
doubtful ones are left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cinc_ecg.digitization.quality import LOW_SNR_DB, WARN_BELOW_DB
from cinc_ecg.types import FloatArray

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)


def read_details(path: Path) -> list[dict[str, object]]:
    """Return one entry per page."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def leads_given(pages: Sequence[dict[str, object]]) -> FloatArray:
    """Return (n, 2): expected and measured SNR in dB of every lead that was given."""
    rows = []
    for page in pages:
        expected, measured = page["expected_db"], page["snr_db"]
        assert isinstance(expected, dict)
        assert isinstance(measured, dict)
        rows += [
            (value, measured[lead])
            for lead, value in expected.items()
            if np.isfinite(measured.get(lead, float("nan")))
        ]
    return np.array(rows, float).reshape(-1, 2)


def table(leads: FloatArray) -> str:
    """Lay out coverage against error as Markdown."""
    ranked = leads[np.argsort(-leads[:, 0], kind="stable")]
    lines = [
        "| leads kept | expected at least | mean SNR | worst | below 5 dB | below 8 dB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for share in COVERAGES:
        kept = ranked[: max(1, round(share * len(ranked)))]
        snr = kept[:, 1]
        cells = [f"{share:.0%}", f"{kept[-1, 0]:.1f} dB", f"{snr.mean():.1f} dB"]
        cells += [f"{snr.min():.1f} dB", *(f"{np.mean(snr < limit):.1%}" for limit in (5, 8))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table and how far the expectation is off."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("details", type=Path, help="from benchmarks.run --details")
    leads = leads_given(read_details(parser.parse_args(argv).details))
    off = leads[:, 1] - leads[:, 0]
    low, named = leads[:, 1] < LOW_SNR_DB, leads[:, 0] < WARN_BELOW_DB
    print(table(leads))
    print(
        f"below {LOW_SNR_DB:g} dB: {low.sum()} leads, {(low & named).sum()} of them named in a "
        f"warning (expected below {WARN_BELOW_DB:g} dB); of the other {(~low).sum()}, "
        f"{(~low & named).sum()} named"
    )
    print(
        f"{len(leads)} leads; measured minus expected: mean {off.mean():.1f} dB, rms "
        f"{np.sqrt(np.mean(off**2)):.1f} dB"
    )


if __name__ == "__main__":
    main()
