"""Limits of log formats and lines. Each one is in native.c, too."""

from __future__ import annotations

# Version 11 has 54 VPC fields; longer lists are not log formats.
MAX_FIELDS = 256
# A record with all fields, with long ARNs and percent-encoded tags of 256 characters, is far shorter.
MAX_LINE = 65_536
# AWS documents seconds, but flowlogs-reader 5.0.1 met milliseconds: it reads numbers of more than 31 bits as those.
MAX_SECONDS = 2**31 - 1
