"""Who gets a call, and who a letter."""

from aloma_py import gte, lt, step


@step(condition={"lead": {"score": gte(70), "followUp": None}})
async def call_hot_lead(data, connectors):
    """Somebody from sales picks up the telephone."""
    lead = data.lead
    await connectors.slackCom.send(channel="#sales", text=f"please call {lead.name} of {lead.company.name}")
    data.lead.followUp = "call"


@step(condition={"lead": {"score": lt(70), "followUp": None}})
async def write_to_lead(data, connectors):
    """Everybody else gets a letter."""
    subject = "When can we show you around?" if data.lead.heat == "warm" else "Thank you for your interest"
    await connectors.mail.send(to=data.lead.email, subject=subject)
    data.lead.followUp = "mail"


@step(condition={"lead": {"followUp": str}})
def close_lead(data, task):
    """What a list of contacts gets back from the subtask of a lead."""
    task.complete({"score": data.lead.score, "followUp": data.lead.followUp})
