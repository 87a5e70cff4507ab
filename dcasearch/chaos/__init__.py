"""A study that is killed on purpose, again and again, and then looked at: is its ledger whole?

`copies` makes the study's copy in a scratch folder, `process` is one `dcasearch run` of it with everything that it
starts, `moments` says when what is killed, `campaign` kills and runs again, `checkpoints` notes what was saved by then,
`verdict` says what is looked at in the end.
"""

from dcasearch.chaos.campaign import Audience, Settings, chaos
from dcasearch.chaos.verdict import Verdict

__all__ = ["Audience", "Settings", "Verdict", "chaos"]
