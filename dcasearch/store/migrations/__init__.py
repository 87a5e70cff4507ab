"""The history of our tables, one file a version. `store.table_versions` runs it; a user never calls Alembic.

A new version: change `store/tables.py`, then write `versions/v000N_what.py` with the next revision number
(`tests/store/test_table_versions.py` compares the migrated tables with the models).
"""
