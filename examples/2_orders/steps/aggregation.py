"""Gathering: an account opens when four answers are in, in whatever order and from wherever they come."""

from aloma_py import step

VERIFIED = {"status": "verified"}


@step(condition={"account": {"status": "new", "email": str}})
async def ask_for_proof(data, connectors):
    """Send the questions out."""
    await connectors.mail.send(to=data.account.email, subject="Please confirm your details")
    data.account.status = "pending"
    data.verification = {}


@step(
    condition={
        "account": {"status": "pending"},
        "verification": {"email": VERIFIED, "phone": VERIFIED, "identity": VERIFIED, "address": VERIFIED},
    }
)
async def open_account(data, task, connectors):
    """All four are verified: five values to look at, so this is tried before ``wait_for_proof``."""
    data.account.status = "open"
    data.account.permissions = ["order", "pay later"]
    await connectors.mail.send(to=data.account.email, subject="Your account is open")
    task.complete({"account": data.account.email, "status": "open"})


@step(condition={"account": {"status": "pending"}, "verification": dict})
def wait_for_proof(data, task, log):
    """Sleep until the next answer. An update that touches ``verification`` makes this step eligible again."""
    missing = [name for name in ("email", "phone", "identity", "address") if name not in data.verification]
    log.info("waiting for", ", ".join(missing) or "a better answer")
    task.park()
