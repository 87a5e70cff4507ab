"""A study proposed for images of one's own: what `dcasearch init NAME --data DIR` writes.

`source` finds out how a folder or a list is to be read. `looking` decodes its images and counts them, `copies` finds
near copies among them. `start` finds trained weights to start from. `machine` measures how fast this machine trains.
`plan` chooses network, resolution and trainings from these facts alone, and `document` writes them down as YAML.
"""

from dcasearch.proposal.looking import Looked, look
from dcasearch.proposal.machine import Machine, this_machine
from dcasearch.proposal.plan import Plan, plan_for
from dcasearch.proposal.proposing import Proposal, propose
from dcasearch.proposal.source import data_of

__all__ = ["Looked", "Machine", "Plan", "Proposal", "data_of", "look", "plan_for", "propose", "this_machine"]
