"""More about an evaluation than the official figures: spread, leads, conditions, warnings."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

from cinc_ecg.challenge.evaluate import Evaluation
from cinc_ecg.challenge.evaluate_record import EvaluateOptions, LeadResult, RecordResult
from cinc_ecg.metrics.clinical import MeasurePairs, agreement_text, agreements
from cinc_ecg.metrics.kaggle import kaggle_score
from cinc_ecg.metrics.summary import Summary, summarize

#: A fully finite reference against an estimate covering less than this: it was not masked.
_PRINTED_SHARE = 0.5
_Pair = tuple[RecordResult, LeadResult]


def snr_summary(pairs: Iterable[_Pair]) -> Summary:
    """Summarize the official SNR in dB over (record, lead) pairs; records are bootstrapped."""
    pairs = list(pairs)
    return summarize([lead.score.snr_db for _, lead in pairs], [r.record for r, _ in pairs])


def all_pairs(evaluation: Evaluation) -> list[_Pair]:
    """Return every (record, lead) of an evaluation."""
    return [(record, lead) for record in evaluation.records for lead in record.leads]


def grouped(evaluation: Evaluation) -> dict[str, dict[str, list[_Pair]]]:
    """Group the pairs by lead and by condition, which is the sub-folder of the record."""
    by_lead: dict[str, list[_Pair]] = defaultdict(list)
    by_condition: dict[str, list[_Pair]] = defaultdict(list)
    for record, lead in all_pairs(evaluation):
        by_lead[lead.lead].append((record, lead))
        by_condition[str(PurePosixPath(record.record).parent)].append((record, lead))
    return {"lead": dict(by_lead), "condition": dict(by_condition)}


def warnings(evaluation: Evaluation) -> list[str]:
    """Return remarks on references and outputs that make the figures mislead."""
    found = []
    if any(r.leads for r in evaluation.records) and not any(
        r.digitized for r in evaluation.records
    ):
        found.append("no output has signals; is the output folder the right one?")
    short = [
        (record, lead)
        for record, lead in all_pairs(evaluation)
        if not lead.masked and lead.covered < _PRINTED_SHARE and record.digitized
    ]
    if short:
        found.append(
            f"{len(short)} leads are scored against a reference that is not masked to the printed "
            f"window (e.g. {short[0][0].record}, {short[0][1].lead}): coverage scales their SNR "
            "down; mask the reference to compare with the Challenge"
        )
    leaks = [record.record for record in evaluation.records if record.leak]
    if leaks:
        found.append(
            f"{len(leaks)} outputs carry the reference's own labels (e.g. {leaks[0]}), copied from "
            "input headers: the F-measure means nothing; hide the labels first "
            "(cinc-ecg prepare hide)"
        )
    return found


def problems(evaluation: Evaluation) -> list[str]:
    """Return what the official evaluator would have stopped at, one line per record."""
    return [record.problem for record in evaluation.records if record.problem]


def kaggle_db(evaluation: Evaluation, options: EvaluateOptions) -> float:
    """Return the Kaggle 2025 score in dB over the records that have a reference."""
    ratios = [r.kaggle_ratio for r in evaluation.records if not math.isnan(r.kaggle_ratio)]
    return kaggle_score(ratios, cap=options.kaggle_cap)


def report_text(evaluation: Evaluation, options: EvaluateOptions) -> str:
    """Return the figures beyond the official ones as text."""
    header = f"{'':<14}{'n':>6}{'mean':>9}{'95 % interval':>18}{'median':>9}{'5 %':>9}{'worst':>9}"
    lines = ["SNR in dB" + header[9:], _row("all", snr_summary(all_pairs(evaluation)))]
    for kind, groups in grouped(evaluation).items():
        if len(groups) > 1:
            lines += [f"by {kind}", *(_row(k, snr_summary(v)) for k, v in groups.items())]
    pairs = all_pairs(evaluation)
    lines.append("distances without alignment (median over leads)")
    for name, attribute in (("RMSE (mV)", "rmse_mv"), ("r", "r"), ("coverage", "covered")):
        values = [getattr(lead, attribute) for _, lead in pairs]
        median = summarize(values, [record.record for record, _ in pairs]).median
        lines.append(f"  {name:<12}{median:>8.3f}")
    lines.append(
        f"Kaggle 2025 score: {kaggle_db(evaluation, options):.3f} dB "
        f"(cap {options.kaggle_cap:g}, lag {options.kaggle_max_lag_s:g} s)"
    )
    text = "\n".join(lines) + "\n"
    return text + (agreement_text(agreements(measured(evaluation))) if options.clinical else "")


def measured(evaluation: Evaluation) -> list[MeasurePairs]:
    """Return the clinical measures of every lead that has them; heart rate once per record.

    The rate is the same in all leads of a record, so only the lead with the longest reference keeps
    it (the rhythm strip, where there is one).
    """
    found = []
    for record in evaluation.records:
        leads = [lead for lead in record.leads if lead.measures]
        longest = max(leads, key=lambda lead: lead.printed_samples, default=None)
        for lead in leads:
            hidden = {} if lead is longest else {"hr_bpm": (float("nan"), float("nan"))}
            found.append({**lead.measures, **hidden})
    return found


def _row(name: str, s: Summary) -> str:
    interval = f"{s.low:.2f} to {s.high:.2f}"
    return (
        f"  {name:<12}{s.n:>6}{s.mean:>9.2f}{interval:>18}"
        f"{s.median:>9.2f}{s.p5:>9.2f}{s.worst:>9.2f}"
    )


def report_json(evaluation: Evaluation, options: EvaluateOptions) -> dict[str, Any]:
    """Return everything as plain values; NaN becomes null."""
    groups = grouped(evaluation)
    content = {
        "official_version": options.version,
        "aligned": options.align,
        "snr_db": evaluation.snr_db,
        "snr_median": evaluation.snr_median,
        "ks": evaluation.ks,
        "asci": evaluation.asci,
        "wad": evaluation.wad,
        "f_measure": evaluation.f_measure,
        "f_measure_per_class": evaluation.per_class,
        "kaggle_db": kaggle_db(evaluation, options),
        "summary": asdict(snr_summary(all_pairs(evaluation))),
        "per_lead": {k: asdict(snr_summary(v)) for k, v in groups["lead"].items()},
        "per_condition": {k: asdict(snr_summary(v)) for k, v in groups["condition"].items()},
        "clinical": {
            name: asdict(values) for name, values in agreements(measured(evaluation)).items()
        }
        if options.clinical
        else None,
        "records": [_record_json(record) for record in evaluation.records],
        "warnings": warnings(evaluation),
        "problems": problems(evaluation),
    }
    return _plain(content)


def _record_json(record: RecordResult) -> dict[str, Any]:
    return {
        "record": record.record,
        "digitized": record.digitized,
        "problem": record.problem,
        "leads": {
            lead.lead: {
                "snr_db": lead.score.snr_db,
                "shift_samples": lead.score.shift_samples,
                "shift_mv": lead.score.shift_mv,
                "shift_accepted": lead.score.shift_accepted,
                "rmse_mv": lead.rmse_mv,
                "r": lead.r,
                "coverage": lead.covered,
                "clinical": {
                    name: {"reference": ref, "estimate": est}
                    for name, (ref, est) in lead.measures.items()
                },
            }
            for lead in record.leads
        },
    }


def _plain(value: Any) -> Any:
    """Replace NaN and infinities by None, at any depth."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
