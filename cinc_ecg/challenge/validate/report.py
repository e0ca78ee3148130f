"""What a validation found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["pass", "warn", "fail"]
SCHEMA = "cinc_ecg/validation"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes:
        name: Stable, dotted: the part and what was looked at.
        state: "fail" stops a submission or loses points; "warn" may.
        text: What was found, one line.
        fix: How to mend it; empty for "pass".
    """

    name: str
    state: State
    text: str
    fix: str = ""


def passed(name: str, text: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name, "pass", text)


def verdict(
    name: str, problems: Iterable[str], good: str, fix: str, state: State = "fail"
) -> Check:
    """Return a passed check when there are no problems, else one that lists them.

    Args:
        name: Of the check.
        problems: One short text each.
        good: What to say when there are none.
        fix: How to mend them.
        state: How bad they are.
    """
    found = list(problems)
    if not found:
        return passed(name, good)
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    return Check(name, state, "; ".join(found[:4]) + more, fix)


def counts(checks: Iterable[Check]) -> dict[State, int]:
    """Count checks by state."""
    found = Counter(check.state for check in checks)
    return {"pass": found["pass"], "warn": found["warn"], "fail": found["fail"]}


def report_json(checks: Iterable[Check], **extra: Any) -> dict[str, Any]:
    """Return a validation as plain data: schema, counts, checks, and what else is given."""
    listed = list(checks)
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        **extra,
        "counts": counts(listed),
        "checks": [asdict(check) for check in listed],
    }
