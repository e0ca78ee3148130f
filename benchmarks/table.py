"""Turn page results into the published table."""

import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.measure import PageResult
from cinc_ecg import __version__

COLUMNS = (
    "condition",
    "pages",
    "mean",
    "median",
    "worst",
    "≥ 10 dB",
    "mistaken",
    "refused",
    "silent",
    "s/page",
    "peak MB",
)
EXPLANATION = """\
One row per condition. *mean*, *median*, *worst*: the official 2024-09 SNR in dB over every
(record, lead), the reference being masked to what the page prints. A page that is refused, and a
lead that is not given, count 0 dB. *≥ 10 dB*: share of leads. *mistaken*: leads taken for another
lead, of all. *refused*: pages for which the digitizer said that it cannot. *silent*: pages accepted
with a mean below 5 dB. *s/page*: median seconds to digitize, one thread, {jobs} pages at a time.
*peak MB*: largest resident memory of a digitizing process.
"""
LADDERS = """\
Decibels lost by the same page without the artefact, per severity and artefact; a refused page
counts 0 dB.
"""


def row(name: str, results: list[PageResult]) -> list[str]:
    """Return the cells of one row."""
    values = np.array([v for r in results for v in r.snr_db.values() if np.isfinite(v)])
    refused = [r for r in results if r.outcome != "ok"]
    crashed = sum(r.outcome.startswith("crash") for r in refused)
    silent = [r for r in results if r.outcome == "ok" and r.mean_db < 5]
    warned = sum(r.warned for r in silent)
    n_leads = sum(len(r.snr_db) for r in results)
    return [
        name,
        str(len(results)),
        *(f"{f(values):.1f}" if len(values) else "–" for f in (np.mean, np.median, np.min)),
        f"{100 * np.mean(values >= 10):.0f} %" if len(values) else "–",
        f"{sum(len(r.mistaken) for r in results)}/{n_leads}",
        f"{len(refused)}" + (f" ({crashed} crashed)" if crashed else ""),
        f"{len(silent)}" + (f" ({warned} with a warning)" if warned else ""),
        f"{np.median([r.seconds for r in results]):.1f}",
        f"{np.nanmax([r.peak_mb for r in results]):.0f}",
    ]


def rows(results: Iterable[PageResult]) -> tuple[list[list[str]], list[list[str]]]:
    """Return one row per condition and one per variant of a condition that has several."""
    by_condition: dict[str, list[PageResult]] = {}
    for result in results:
        by_condition.setdefault(result.condition, []).append(result)
    main, variants = [], []
    for condition, pages in by_condition.items():
        main.append(row(condition, pages))
        names = dict.fromkeys(name for page in pages for name in page.variants)
        if len(names) > 1:
            variants += [
                row(f"{condition}: {name}", [r for r in pages if name in r.variants])
                for name in names
            ]
    return main, variants


def ladder_costs(results: Iterable[PageResult]) -> list[str]:
    """Return Markdown lines with what each severity of the ladders costs on the same pages, in dB.

    Cost is the mean over the page's leads without the artefact minus that with it; refused pages
    count 0 dB.
    """
    pages = {r.variants: r.mean_db for r in results if r.condition == "ladders"}
    artefacts = list(dict.fromkeys(artefact for artefact, _ in pages))
    severities = sorted({severity for _, severity in pages} - {"severity 0"})
    ladders = [a for a in artefacts if (a, "severity 0") in pages]
    if not ladders or not severities:
        return []
    lines = [" | ".join(["severity", "mean", "median", *ladders])]
    lines.append(" | ".join(["---"] + ["---:"] * (len(ladders) + 2)))
    for severity in severities:
        costs = [pages[a, "severity 0"] - pages.get((a, severity), float("nan")) for a in ladders]
        values = [np.nanmean(costs), np.nanmedian(costs), *costs]
        lines.append(" | ".join([severity.split()[1], *(f"{v:.1f}" for v in values)]))
    return [f"| {line} |" for line in lines]


def markdown(table: list[list[str]]) -> str:
    """Lay rows out as a Markdown table."""
    lines = [" | ".join(COLUMNS), " | ".join(["---"] + ["---:"] * (len(COLUMNS) - 1))]
    lines += [" | ".join(cells) for cells in table]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def document(results: list[PageResult], *, command: str, facts: list[str], jobs: int) -> str:
    """Return the whole page of the documentation."""
    main, variants = rows(results)
    parts = [
        "# Benchmark\n",
        EXPLANATION.format(jobs=jobs),
        markdown(main),
    ]
    if variants:
        parts += ["## Variants\n", markdown(variants)]
    costs = ladder_costs(results)
    if costs:
        parts += ["## What the ladders cost\n", LADDERS, "\n".join(costs) + "\n"]
    parts += ["## How it was made\n", "\n".join(f"- {fact}" for fact in facts) + "\n"]
    parts.append(f"```\n{command}\n```\n")
    return "\n".join(parts)


def machine() -> list[str]:
    """Describe machine and versions, for reading the seconds."""
    model = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
    except OSError:
        pass
    packages = ("numpy", "scipy", "opencv-python-headless", "pillow")
    return [
        f"{model}, {platform.system()}, Python {platform.python_version()}",
        f"cinc_ecg {__version__}, " + ", ".join(f"{p} {version(p)}" for p in packages),
    ]
