"""Tables 1 to 6 and figure 1 of *Deep Connected Attention Learning for Image Classification*, beside what is here.

The paper's figures stand in `rows.yaml`. What this package builds is counted and measured, never written down.
"""

from dcasearch.paper.rows import PaperRow, PaperTable, Printed, paper_tables, row_of

__all__ = ["PaperRow", "PaperTable", "Printed", "paper_tables", "row_of"]
