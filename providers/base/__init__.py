"""What every provider process has in common: property values, replace-or-update, the gRPC server. No resource types."""
