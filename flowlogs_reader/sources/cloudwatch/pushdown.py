"""Conditions that CloudWatch Logs can apply: a filter pattern, and the log streams of interfaces.

CloudWatch sends a superset of the records that meet the conditions. They are filtered again here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...query.conditions import Condition
from ..filter import MAX_SEARCHES, SKIPDATA, literals

# Shorter terms are in nearly every line.
MIN_TERM = 3
# The longest filter pattern, in characters (FilterLogEvents).
MAX_PATTERN = 1024
_QUOTABLE = re.compile(r'[!#-\[\]-~]+')
_INTERFACE = re.compile(r'eni-[0-9a-f]{8,17}')


def filter_pattern(conditions: Sequence[Condition], with_skipdata: bool = False) -> str | None:
    """Return a filter pattern that all matching lines meet, and some others, or None if none is possible.

    `with_skipdata`: SKIPDATA records must meet it too. Quoted terms match anywhere in a line; terms with ``?`` are
    alternatives, and cannot be mixed with others (AmazonCloudWatch/latest/logs/FilterAndPatternSyntax).
    """
    choices = [_terms(condition, with_skipdata) for condition in conditions]
    patterns = [' '.join(f'"{terms[0]}"' for terms in choices if len(terms) == 1)]
    patterns += [' '.join(f'?"{term}"' for term in terms) for terms in choices if len(terms) > 1]
    return next((pattern for pattern in patterns if 0 < len(pattern) <= MAX_PATTERN), None)


def _terms(condition: Condition, with_skipdata: bool) -> list[str]:
    """Return texts of which each needed line contains at least one; an empty list if they are not known."""
    terms = [text.decode() for text in literals(condition) or ()]
    if not all(len(term) >= MIN_TERM and _QUOTABLE.fullmatch(term) for term in terms):
        return []
    if terms and with_skipdata and condition.field != 'interface_id':
        terms.append(SKIPDATA.decode())
    return terms


def interfaces(conditions: Sequence[Condition]) -> list[str]:
    """Return the interface ids that a condition requires; an empty list if no condition requires any."""
    for condition in conditions:
        ids = [text.decode() for text in literals(condition) or ()]
        if condition.field == 'interface_id' and 0 < len(ids) <= MAX_SEARCHES:
            return ids if all(map(_INTERFACE.fullmatch, ids)) else []
    return []
