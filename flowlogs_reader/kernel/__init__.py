"""What is done once for each record: lines are checked, tested, summed and encoded here, and nowhere else."""

from .pure import Memo, Sums, Test, Window, check, columns, encode, find_events, keep

__all__ = ['Memo', 'Sums', 'Test', 'Window', 'check', 'columns', 'encode', 'find_events', 'keep']
