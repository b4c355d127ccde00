"""aloma_py: conditional automation."""
