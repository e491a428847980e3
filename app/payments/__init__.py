"""Railyard's payment service: one ASGI application and one worker over PostgreSQL, Redis and the payment rails.

Domains are folders of `endpoints` (parse and serialise), `service` (rules), `repository` (all SQL), `schemas`, `tasks`.
"""
