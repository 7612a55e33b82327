"""What must be there before a query of Athena runs: a workgroup that has a place for results, and tables."""

from __future__ import annotations

from typing import Any

from ...aws.trouble import error_code, member, said
from ...errors import Cause, UsageError
from .table import MARKER, Table


def check_workgroup(athena: Any, workgroup: str, region: str, output_location: str | None, largest: int) -> None:
    """Raises UsageError if a workgroup cannot run queries of which the largest scans so many bytes.

    `output_location` is where results are to be written if the workgroup does not say that.
    """
    try:
        group = member(athena.get_work_group(WorkGroup=workgroup), 'WorkGroup')
    except Exception as error:
        if error_code(error) != 'InvalidRequestException' or 'not found' not in said(error):
            raise
        raise UsageError(f'there is no workgroup {workgroup} in {region}') from error
    settings = group.get('Configuration') or {}
    name = f'the workgroup {workgroup} in {region}'
    if group.get('State') == 'DISABLED':
        raise UsageError(f'{name} is disabled')
    engine = (settings.get('EngineVersion') or {}).get('EffectiveEngineVersion') or ''
    if 'spark' in engine.lower():
        raise UsageError(f'{name} is for {engine}, not for SQL')
    _check_place(name, settings, output_location)
    cutoff = settings.get('BytesScannedCutoffPerQuery')
    if cutoff and largest > cutoff:
        raise UsageError(f'{name} stops queries at {cutoff} bytes: this one would scan {largest}')


def _check_place(name: str, settings: dict[str, Any], output_location: str | None) -> None:
    """Raises UsageError if there is no place for results, or one in which they would be read as logs."""
    managed = bool((settings.get('ManagedQueryResultsConfiguration') or {}).get('Enabled'))
    own = (settings.get('ResultConfiguration') or {}).get('OutputLocation') or ''
    enforced = bool(settings.get('EnforceWorkGroupConfiguration'))
    if output_location and (managed or (enforced and own and own.rstrip('/') != output_location.rstrip('/'))):
        kept = 'keeps results itself' if managed else f'writes results to {own}'
        raise UsageError(f'{name} {kept}, and takes no other place for them')
    location = '' if managed else own if enforced and own else output_location or own
    if not managed and not location:
        raise UsageError(f'{name} has no place for results', Cause.OUTPUT_MISSING)
    if 'AWSLogs' in location.split('/'):
        raise UsageError(f'results in {location} would be read as flow logs: choose a place outside AWSLogs/')


def check_table(glue: Any, table: Table, region: str, create: bool, statements: str) -> None:
    """Create a table, or raise UsageError with the `statements` that do, if it does not exist.

    Raises UsageError if the table is another one of the same name.
    """
    shown = f'{table.database}.{table.name} in {region}'
    found = _found_table(glue, table, region)
    if found is None and not create:
        raise UsageError(f'there is no table {shown} for {table.template}', Cause.TABLE_MISSING, statements)
    if found is None:
        _create_table(glue, table)
        found = _found_table(glue, table, region)
    if found is None or not table.is_ours(found):
        raise UsageError(f'the table {shown} is not as this program creates it ({MARKER}): drop or rename it')


def _found_table(glue: Any, table: Table, region: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = member(glue.get_table(DatabaseName=table.database, Name=table.name), 'Table')
    except Exception as error:
        if error_code(error) != 'EntityNotFoundException':
            raise
        # Of a missing table Glue says "Entity Not Found", or names the table and its database.
        reason = said(error).rpartition(' operation: ')[2].lower()
        if 'database' in reason and 'table' not in reason:
            raise UsageError(f'there is no database {table.database} in the Glue catalog of {region}') from error
        return None
    return found


def _create_table(glue: Any, table: Table) -> None:
    try:
        glue.create_table(DatabaseName=table.database, TableInput=table.glue_input())
    except Exception as error:
        # Another run may have been faster.
        if error_code(error) != 'AlreadyExistsException':
            raise
