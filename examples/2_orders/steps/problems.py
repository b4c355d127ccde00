"""Errors are data: what a step could not do stands in ``$errors``, and another step may put it right."""

from aloma_py import step


@step(condition={"order": {"status": "packed"}, "$errors": {"book_courier": dict}})
def ship_by_own_van(data, log):
    """No courier: drive it there. Deleting the member says that the error has been dealt with."""
    log.warning("no courier:", data["$errors"].book_courier.message)
    del data["$errors"]["book_courier"]
    data.shipment = {"carrier": "own van", "tracking": f"VAN-{data.order.id}"}
    data.order.status = "shipped"


@step(condition={"$errors": dict}, priority=-10)
async def tell_operations(data, task, connectors):
    """Tried last, so it sees only what nobody put right. The error stays, and so the task ends in ``error``."""
    names = ", ".join(data["$errors"].keys())
    await connectors.slackCom.send(channel="#operations", text=f"{task.name()}: {names} failed")
