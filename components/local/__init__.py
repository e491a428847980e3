"""The local platform: PostgreSQL, Redis, Envoy, the service and the rails' counterparts as processes on this machine.

Dynamic providers and supervisord calls live here and nowhere else."""
