"""The official evaluator's output texts and tables, byte for byte."""

from __future__ import annotations

from cinc_ecg.challenge.evaluate import Evaluation


def summary_text(evaluation: Evaluation) -> str:
    """Return the summary as the official evaluator writes it into its score file.

    Printed to the terminal it is followed by one more line break (quirk B13).
    """
    rows: list[tuple[str, float]] = [("SNR", evaluation.snr_db)]
    for name, value in (
        ("SNR median", evaluation.snr_median),
        ("KS metric", evaluation.ks),
        ("ASCI metric", evaluation.asci),
        ("Weighted absolute difference metric", evaluation.wad),
    ):
        if value is not None:
            rows.append((name, value))
    rows.append(("F-measure", evaluation.f_measure))
    return "".join(f"{name}: {value:.3f}\n" for name, value in rows)


def snr_table(evaluation: Evaluation) -> str:
    """Return the record-by-lead table (tab-separated, full precision, leads sorted: quirk B17)."""
    rows = {
        result.record: {lead.lead: lead.score.snr_db for lead in result.leads}
        for result in evaluation.records
        if result.leads
    }
    leads = sorted({lead for row in rows.values() for lead in row})
    lines = ["\t".join(["Record", *leads])]
    for record in sorted(rows):
        lines.append("\t".join([record, *(str(rows[record].get(lead)) for lead in leads)]))
    return "\n".join(lines) + "\n"


def f_measure_table(evaluation: Evaluation) -> str:
    """Return the class table: class, tab, value; no header; empty without any classification."""
    return "".join(
        f"{name}\t{evaluation.per_class[name]}\n" for name in sorted(evaluation.per_class)
    )
