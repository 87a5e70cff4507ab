"""What Alembic runs: our migrations on the connection from `store.table_versions`; it never sees Optuna's tables."""

from alembic import context
from sqlalchemy import Connection

from dcasearch.store.table_versions import VERSION_TABLE
from dcasearch.store.tables import Base, is_ours

connection: Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    include_object=lambda item, name, kind, reflected, other: kind != "table" or is_ours(name),
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,  # the engine begins transactions itself, so SQLite's DDL is in them
)
with context.begin_transaction():
    context.run_migrations()
