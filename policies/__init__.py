"""The policy pack, one rule a file. Run by the engine's policy host, never imported by the program."""
