"""Branches: one step for each kind of customer. Adding a tier adds a step and changes none."""

from aloma_py import none_of, step

from ._words import euros


@step(condition={"order": {"status": "valid"}, "customer": {"tier": "enterprise"}})
async def serve_enterprise(data, connectors):
    """A person of their own, who hears of it at once."""
    data.service = {"level": "dedicated", "days": 1}
    await connectors.slackCom.send(
        channel="#enterprise", text=f"{data.customer.name} ordered for {euros(data.order.total)}"
    )


@step(condition={"order": {"status": "valid"}, "customer": {"tier": "premium"}})
def serve_premium(data):
    """Ahead of the others."""
    data.service = {"level": "priority", "days": 2}


@step(condition={"order": {"status": "valid"}, "customer": {"tier": none_of("enterprise", "premium")}})
def serve_standard(data):
    """Everybody else; a customer without a tier is none of these, too."""
    data.service = {"level": "standard", "days": 5}
