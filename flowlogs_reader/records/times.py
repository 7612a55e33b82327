"""Conversion of times: milliseconds since the epoch, datetimes and ISO 8601 text."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def utc(moment: datetime) -> datetime:
    """Return the moment as an aware datetime in UTC. A naive one is in UTC, as in flowlogs-reader 5.0.1."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def milliseconds(moment: datetime) -> int:
    """Return whole milliseconds since the epoch, rounded down."""
    # In integers: a float cannot represent every millisecond.
    return (utc(moment) - EPOCH) // MILLISECOND


def iso(seconds: int | datetime, tz: tzinfo = UTC) -> str:
    """Return Unix seconds or a datetime (naive means UTC) as ISO 8601 text in `tz`, with `Z` for UTC.

    >>> iso(1454324362)
    '2016-02-01T10:59:22Z'

    A fraction is shown only if it is not zero. Raises ValueError for a moment outside the years 1..9999.
    """
    try:
        if isinstance(seconds, datetime):
            local = (seconds if seconds.tzinfo else seconds.replace(tzinfo=UTC)).astimezone(tz)
        else:
            local = datetime.fromtimestamp(seconds, tz)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f'cannot show {seconds} as a date: it is out of range; use Unix seconds') from None
    whole_ms = local.microsecond and local.microsecond % 1000 == 0
    text = local.isoformat(timespec='milliseconds' if whole_ms else 'auto')
    return text.removesuffix('+00:00') + 'Z' if local.tzname() == 'UTC' else text


def resume_text(ms: int) -> str:
    """Return Unix milliseconds as a text that :func:`flowlogs_reader.query.typed_times.parse_time` reads back exactly.

    >>> resume_text(1454324362250)
    '2016-02-01T10:59:22.250Z'
    """
    text = iso(ms // 1000)
    return f'{text[:-1]}.{ms % 1000:03d}Z' if ms % 1000 else text
