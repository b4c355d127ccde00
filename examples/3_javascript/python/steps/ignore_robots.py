"""Leads that are none."""

from aloma_py import step


@step(condition={"lead": {"email": lambda email: email.lower().startswith("noreply@"), "domain": None}}, priority=10)
def ignore_robots(data, task, log):
    """Nobody reads what is sent to a robot. The priority puts this before everything that a lead would set going."""
    log.warning("not a person:", data.lead.email)
    task.ignore()
