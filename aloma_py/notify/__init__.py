"""Telling people and programs of tasks that failed: what is told, and how it gets there."""
