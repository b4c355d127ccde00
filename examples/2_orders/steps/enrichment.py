"""Growing data: a lead becomes a domain, a company, a score. Conditions may be pydantic models, too."""

from pydantic import BaseModel, Field

from aloma_py import CallError, step

INDUSTRIES = {"software", "finance", "health"}


class Contact(BaseModel):
    name: str
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")


class Lead(BaseModel):
    """Matches where ``lead`` has a name and something that looks like an address."""

    lead: Contact


class Company(BaseModel):
    known: bool
    employees: int = 0
    industry: str = ""


class Profile(BaseModel):
    company: Company


class KnownLead(BaseModel):
    lead: Profile


@step(condition=Lead)
def read_domain(found: Lead, data):
    """``found`` is the validated instance; what is to be kept is written to ``data``."""
    data.lead.domain = found.lead.email.partition("@")[2]


@step(condition={"lead": {"domain": str, "company": None}})
async def find_company(data, connectors, log):
    """A company that nobody knows is an answer, too: the lead goes on with what there is."""
    try:
        company = await connectors.companies.find(domain=data.lead.domain)
    except CallError as error:
        log.warning("no company:", error)
        data.lead.company = {"known": False}
    else:
        data.lead.company = {"known": True, "employees": company.employees, "industry": company.industry}


@step(condition=KnownLead)
def score_lead(found: KnownLead, data, log):
    """Up to 100 points: known, large, in a business that buys from us."""
    company = found.lead.company
    score = 30 if company.known else 0
    score += 40 if company.employees > 1000 else 20 if company.employees > 100 else 0
    score += 30 if company.industry in INDUSTRIES else 0
    data.lead.score = score
    data.lead.tier = "premium" if score > 60 else "standard"
    log.info(f"{data.lead.name}: {score} points, {data.lead.tier}")
