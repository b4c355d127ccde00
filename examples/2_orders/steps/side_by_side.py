"""Side by side: three questions about a valid order that have nothing to do with each other.

Each writes a member of its own, so they share a wave and wait for their services at the same time. ``pack`` waits
for all of the answers without knowing who gives them.
"""

from aloma_py import step


@step(condition={"order": {"status": "valid", "payment": {"method": str}}})
async def authorise_payment(data, connectors):
    """Reserve the money."""
    answer = await connectors.payments.authorise(
        reference=data.order.id, method=data.order.payment.method, amount=data.order.total
    )
    data.payment = {"authorised": answer.approved, "transaction": answer.id}


@step(condition={"order": {"status": "valid", "items": list}})
async def reserve_stock(data, connectors):
    """Ask the warehouse for every line; the calls are made at once, then awaited."""
    calls = [connectors.warehouse.reserve(sku=item.sku, quantity=item.quantity) for item in data.order.items]
    answers = [await call for call in calls]
    data.stock = {"reserved": all(answer.reserved for answer in answers), "lines": len(answers)}


@step(condition={"order": {"status": "valid"}, "customer": {"email": str}})
async def score_risk(data, connectors):
    """How likely is fraud? 0 to 100."""
    answer = await connectors.risk.score(email=data.customer.email, amount=data.order.total)
    data.risk = {"score": answer.score}


@step(
    condition={
        "order": {"status": "valid"},
        "payment": {"authorised": True},
        "stock": {"reserved": True},
        "approval": {"granted": True},
    }
)
def pack(data, log):
    """Everybody has said yes."""
    data.order.status = "packed"
    log.info(f"order {data.order.id} is packed, approved by {data.approval.by}")


@step(condition={"order": {"status": "valid"}, "stock": {"reserved": False}})
async def cancel_for_stock(data, task, connectors):
    """Nothing to send: give the money back, if it was reserved, and end."""
    if data.get("payment", {}).get("transaction"):
        await connectors.payments.release(transaction=data.payment.transaction)
    data.order.status = "cancelled"
    task.complete({"order": data.order.id, "status": "cancelled", "why": "out of stock"})


@step(condition={"order": {"status": "valid"}, "payment": {"authorised": False}})
def cancel_for_payment(data, task):
    """The bank said no."""
    data.order.status = "cancelled"
    task.complete({"order": data.order.id, "status": "cancelled", "why": "payment declined"})
