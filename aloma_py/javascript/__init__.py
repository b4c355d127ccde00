"""JavaScript in V8: worker processes, the message pump, and the prelude that steps find there."""
