"""The worker role: relay, jobs, rails' arrivals, the sweeper of attempts, duties, and its own small HTTP server."""
