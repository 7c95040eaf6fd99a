"""The rules: verbs as plain async functions that say what is allowed and what happens; no framework."""
