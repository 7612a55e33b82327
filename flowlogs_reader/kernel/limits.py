"""Limits of log formats and lines. native/base.h has the same ones."""

from __future__ import annotations

# Version 11 has 54 VPC fields; longer lists are not log formats.
MAX_FIELDS = 256
# Records are far shorter, even with all fields, long ARNs and percent-encoded tags of 256 characters.
MAX_LINE = 65_536
# AWS documents seconds, but there are logs with milliseconds: as in flowlogs-reader 5.0.1, numbers of more than 31 bits
# are read as those.
MAX_SECONDS = 2**31 - 1
