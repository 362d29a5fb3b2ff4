"""What hubgan is worth beside something else, measured: one module a question, run as `python -m benchmarks.NAME`."""
