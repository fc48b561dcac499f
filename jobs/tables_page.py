"""The page `docs/tables.md`, from the registry: `python -m jobs.tables_page > docs/tables.md`."""

from __future__ import annotations

from jobs.lake.registry import TABLES, Table

_HEAD = """# Tables

Made from the registry by `python -m jobs.tables_page > docs/tables.md`. Every table is Apache Iceberg.
A night replaces its date whole, in all tables at once. **Personal** columns are marked;
`docs/run-book.md` says what that means for readers.

| table | key | replaced by | made by | what it holds |
|---|---|---|---|---|
"""


def overview(tables: tuple[Table, ...] = TABLES) -> str:
    """The table of tables, as Markdown rows."""
    lines = ""
    for t in tables:
        lines += f"| [`{t.name}`](#{t.name}) | {', '.join(t.key)} | {t.partition} | `{t.job}` | {t.doc} |\n"
    return lines


def section(table: Table) -> str:
    """One table's section: its columns, what it is made from, how long it is kept."""
    lines = [f"\n## {table.name}\n", table.doc, ""]
    made_from = ", ".join(f"`{name}`" for name in table.depends_on) or "the raw files"
    lines.append(f"Made by `{table.job}` from {made_from}. {kept(table)}\n")
    lines += ["| column | type | meaning |", "|---|---|---|"]
    for column in table.columns:
        personal = " **Personal.**" if column.pii else ""
        lines.append(f"| `{column.name}` | {column.type} | {column.doc}{personal} |")
    return "\n".join(lines) + "\n"


def kept(table: Table) -> str:
    if table.retention_days is None:
        return "Kept for ever."
    return f"Kept for {table.retention_days} days."


def page() -> str:
    return _HEAD + overview() + "".join(section(t) for t in TABLES)


if __name__ == "__main__":
    print(page(), end="")
