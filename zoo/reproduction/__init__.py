"""The paper's tables beside rows of our own: what is trained, how it is kept, what is written."""

from zoo.reproduction.ablations import BINS, FORMS
from zoo.reproduction.report import write_report
from zoo.reproduction.runs import Plan, plan, train_rows
from zoo.reproduction.table import Definition, Paper, Row, Table
from zoo.reproduction.tables import TABLES as PAPER_TABLES

TABLES = {**PAPER_TABLES, **{table.name: table for table in (FORMS, BINS)}}

__all__ = [
    "TABLES",
    "Definition",
    "Paper",
    "Plan",
    "Row",
    "Table",
    "plan",
    "train_rows",
    "write_report",
]
