"""The `docker` package offline: an image is built and pushed where daemon and registry are on this machine."""
