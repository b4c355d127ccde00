"""The HTTP API: operations as routes, who may ask, and errors as problems."""
