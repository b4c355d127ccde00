"""What to do without the register."""

from aloma_py import step


@step(condition={"lead": {"domain": str}, "$errors": {"find_company": {"message": str}}})
def guess_company(data, log):
    """The register did not help: go on with what the address says. The error has been dealt with when it is deleted."""
    log.warning("no company for", data.lead.domain)
    del data["$errors"]["find_company"]
    data.lead.company = {"name": data.lead.domain, "known": False}
