"""What a lead is worth."""

from aloma_py import step


@step(condition={"lead": {"email": str, "company": dict, "score": None}})
def score_lead(data, lib, audit, log):
    """Points from the library. The trail keeps why a lead was called, and finds the task by the lead's address."""
    lead = data.lead
    lead.score = lib.scoring.points(lead.company, lead.get("message"))
    lead.heat = lib.scoring.heat(lead.score)
    audit.reference(id=lead.email, name="lead")
    audit.log(f"{lead.score} points: {lead.heat}", {"company": lead.company.name})
    log.info(f"{lead.name}: {lead.score} points")
