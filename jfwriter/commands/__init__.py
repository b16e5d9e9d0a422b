"""One module per sub-command, each with `main(argv) -> exit status`; they and `cli` alone print."""
