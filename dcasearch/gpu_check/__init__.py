"""What only a GPU can show, checked in parts; each part is a module of that name with its `CHECKS`.

`models`: the networks against the CPU. `training`: no hidden waiting, ranks, memory, kills. `data`: what the loaders
give and the GPU eats. `study`: a study from run to export, killed once. `speed`: against other libraries' networks.

`checks` says what a check is, `running` runs a part, `findings` is what comes out: one JSON file for each device, which
`known` looks up by the device's name. `networks` is which networks are measured, `children` the trainings in processes
of their own, `pictures` what stands in for photographs.
"""

from dcasearch.gpu_check.findings import DeviceReport, Finding, PartReport, read_report
from dcasearch.gpu_check.running import PART_SECONDS, PARTS, run_part

__all__ = ["PARTS", "PART_SECONDS", "DeviceReport", "Finding", "PartReport", "read_report", "run_part"]
