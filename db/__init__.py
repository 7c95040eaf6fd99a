"""The records: tables, selects and migrations; no rules."""
