"""From YAML to a typed, frozen study; every mistake at once, by file:line:column."""
