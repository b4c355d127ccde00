"""A lead comes in."""

from aloma_py import matches, step


@step(condition={"lead": {"name": str, "email": matches(r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", "i"), "domain": None}})
def read_lead(data, task):
    """A lead with an address: give the task a name to find it by, and say where the lead works."""
    lead = data.lead
    lead.email = lead.email.lower()
    lead.domain = lead.email.partition("@")[2]
    task.name(f"lead {lead.name}")
    task.tags([*task.tags(), "lead"])
