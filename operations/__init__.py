"""What people run around `pulumi up`: the commands of `./railyard`. Speaks to stacks through `pulumi.automation`."""
