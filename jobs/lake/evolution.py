"""A table of the lake that is older than the registry: it gains the columns that were declared since."""

from __future__ import annotations

from pyiceberg.io.pyarrow import _pyarrow_to_schema_without_ids
from pyiceberg.table import Transaction

from jobs.lake.registry import Table


def evolve(transaction: Transaction, table: Table) -> None:
    """Adds, inside `transaction`, what the registry has and the table lacks; old rows read as null there.

    Nothing is ever dropped, renamed or cast: readers of yesterday's columns go on reading them. Raises
    `ValueError` for a column whose type the registry has changed.
    """
    wanted = _pyarrow_to_schema_without_ids(table.schema)
    there = {f.name: f.field_type for f in transaction.table_metadata.schema().fields}
    for field in wanted.fields:
        if field.name in there and there[field.name] != field.field_type:
            raise ValueError(
                f"{table.name}.{field.name} is {there[field.name]} in the lake and {field.field_type} in the "
                "registry: only new columns can be added; give the changed one another name"
            )
    missing = [f for f in wanted.fields if f.name not in there]
    if missing:
        with transaction.update_schema() as update:
            for field in missing:
                update.add_column(field.name, field.field_type, required=False)
