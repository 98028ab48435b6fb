"""The benchmarks: each module but this one holds `main(argv) -> None` and prints JSON lines on standard output."""
