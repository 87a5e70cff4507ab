"""Tables 1 to 7 and figure 1 of *Deep Connected Attention Learning for Image Classification*, beside what is here.

The paper's figures stand in `rows.yaml`. What this package builds is counted and measured, never written down.
"""

from dcasearch.paper.rows import (
    DetectionRow,
    DetectionTable,
    PaperRow,
    PaperTable,
    Printed,
    detection_table,
    paper_tables,
    row_of,
)

__all__ = [
    "DetectionRow",
    "DetectionTable",
    "PaperRow",
    "PaperTable",
    "Printed",
    "detection_table",
    "paper_tables",
    "row_of",
]
