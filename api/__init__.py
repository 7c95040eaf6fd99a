"""The edge: processes and HTTP, bytes in and out, settings, command line."""
