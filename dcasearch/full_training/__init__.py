"""One network trained in full, outside of any study: `dcasearch train`.

`plan` says what is to be trained from a spec and what the user adds, `run` trains it and writes its files, `processes`
joins the processes that torchrun started.
"""

from dcasearch.full_training.plan import Plan, Wishes, plan
from dcasearch.full_training.processes import joined
from dcasearch.full_training.run import Passed, Trained, train

__all__ = ["Passed", "Plan", "Trained", "Wishes", "joined", "plan", "train"]
