"""The new process of `verify`: `python -m dcasearch.export SPEC [DATA_ROOT]` prints the checks as JSON."""

import sys

from dcasearch.errors import DcasearchError
from dcasearch.export.verification import check_here, to_json
from dcasearch.processes import ignore_settings_here

ignore_settings_here()
try:
    print(to_json(check_here(*sys.argv[1:])))
except DcasearchError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
