"""The dashboard: optuna-dashboard on a study's own database, with everything that our tables know beside Optuna's.

It writes nothing of its own. What it adds (notes, drawings, graphs) is made when a page is asked for
(`pages`), and put into optuna-dashboard's answers (`additions`). docs/dashboard.md shows it.
"""

from dcasearch.dashboard.serving import application, serve

__all__ = ["application", "serve"]
