"""The shapes of what operations answer: their return annotations, of which the OpenAPI's response schemas are made.

Shapes that other layers build are beside what builds them (``outcome.TaskShown``). A member that may be absent is
``NotRequired``; one that may be ``null`` says so. Times are ISO 8601 texts in UTC.
"""
