"""One after another: each step leaves the order in the status that the next one waits for.

new -> received -> valid -> (everything in the other files) -> shipped -> closed
"""

from aloma_py import gt, matches, step

from ._words import euros, total_of


@step(condition={"order": {"id": str, "status": "new", "items": list}})
def take_in(data, audit, log):
    """Add the order up. The reference lets people find the task by the order's number."""
    order = data.order
    order.total = total_of(order.items)
    order.status = "received"
    audit.reference(id=order.id, name=f"order {order.id}", url=f"https://shop.example/orders/{order.id}")
    log.info(f"order {order.id} comes to {euros(order.total)}")


@step(
    condition={
        "order": {"status": "received", "items": [{"sku": str, "quantity": gt(0)}]},
        "customer": {"email": matches(r"^\S+@\S+$")},
    }
)
def accept(data):
    """An order with something in it and somebody to write to is valid."""
    data.order.status = "valid"


@step(condition={"order": {"status": "received"}})
def refuse(data, task, log):
    """Any other order. ``accept`` looks at more, so it is tried first, and moves the order on where it fits."""
    data.order.status = "refused"
    log.warning(f"order {data.order.id} has no lines, or the customer no address")
    task.complete({"order": data.order.id, "status": "refused"})


@step(condition={"order": {"status": "shipped"}, "shipment": {"tracking": str}})
def close(data, task):
    """The end of every order that was sent: the task is done, with this result."""
    data.order.status = "closed"
    task.complete({"order": data.order.id, "status": "closed", "tracking": data.shipment.tracking})
