"""Conditions as CloudWatch Logs can apply them: a filter pattern, and the streams of interfaces.

What CloudWatch sends is a superset of what meets the conditions. They are tested again here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...query.conditions import Condition
from ..filter import MAX_SEARCHES, SKIPDATA, literals

# Shorter terms are in nearly every line.
MIN_TERM = 3
# FilterLogEvents takes a pattern of at most so many characters.
MAX_PATTERN = 1024
_QUOTABLE = re.compile(r'[!#-\[\]-~]+')
_INTERFACE = re.compile(r'eni-[0-9a-f]{8,17}')


def filter_pattern(conditions: Sequence[Condition], with_skipdata: bool = False) -> str | None:
    """A filter pattern that lets every matching line pass, and some others; None if there is no such pattern.

    `with_skipdata` lets SKIPDATA records pass as well. Quoted terms match anywhere in a line; terms with ``?`` are
    alternatives, and cannot be mixed with others (AmazonCloudWatch/latest/logs/FilterAndPatternSyntax).
    """
    choices = [_terms(condition, with_skipdata) for condition in conditions]
    patterns = [' '.join(f'"{terms[0]}"' for terms in choices if len(terms) == 1)]
    patterns += [' '.join(f'?"{term}"' for term in terms) for terms in choices if len(terms) > 1]
    return next((pattern for pattern in patterns if 0 < len(pattern) <= MAX_PATTERN), None)


def _terms(condition: Condition, with_skipdata: bool) -> list[str]:
    """Texts of which each line that is needed holds at least one; none if that cannot be said."""
    terms = [text.decode() for text in literals(condition) or ()]
    if not all(len(term) >= MIN_TERM and _QUOTABLE.fullmatch(term) for term in terms):
        return []
    if terms and with_skipdata and condition.field != 'interface_id':
        terms.append(SKIPDATA.decode())
    return terms


def interfaces(conditions: Sequence[Condition]) -> list[str]:
    """The ids of the interfaces to which every matching record belongs; none if no condition says so."""
    for condition in conditions:
        ids = [text.decode() for text in literals(condition) or ()]
        if condition.field == 'interface_id' and 0 < len(ids) <= MAX_SEARCHES:
            return ids if all(map(_INTERFACE.fullmatch, ids)) else []
    return []
