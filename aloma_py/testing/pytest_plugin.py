"""pytest collects ``*.scenario.yaml`` files: every scenario is a test."""
