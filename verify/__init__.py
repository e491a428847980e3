"""The post-deploy suite: what is declared is what runs. Read-only, run as a process of its own after every `up`."""
