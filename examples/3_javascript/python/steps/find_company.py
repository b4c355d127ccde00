"""Where a lead works."""

from aloma_py import step


@step(condition={"lead": {"domain": str, "company": None}}, retries=1, retry_on=503)
async def find_company(data, connectors):
    """Ask the register, once more if it is down. The answer is at ``into`` before the next match."""
    await connectors.register.find(domain=data.lead.domain, into="lead.company")
