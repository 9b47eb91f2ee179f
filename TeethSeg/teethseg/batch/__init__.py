"""Many scans: `scans` finds them, `work` segments one, `pool` and `cluster` share them out, `summary` tells of all."""
