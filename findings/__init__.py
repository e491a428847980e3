"""One model of a finding and its formatters, each a pure function of findings. Imports nothing of the other rooms."""
