"""Seeing what happens: pictures for people, an audit trail to keep, a log to read when something is odd."""

from aloma_py import step

from ._words import euros


@step(condition={"order": {"id": str, "status": "shipped", "total": float}, "shipment": {"carrier": str}})
def record_shipment(data, task, audit, log):
    """Four values to look at, so it runs before ``close`` ends the task."""
    order, shipment = data.order, data.shipment
    lines = [{"sku": item.sku, "quantity": item.quantity, "value": item.price * item.quantity} for item in order.items]
    task.visualize(type="table", name=f"order {order.id}", data=lines)
    task.visualize(
        type="chart",
        name="value by line",
        data={"labels": [line["sku"] for line in lines], "values": [line["value"] for line in lines]},
        options={"kind": "bar"},
    )
    audit.log(f"sent by {shipment.carrier}", {"tracking": shipment.tracking, "value": euros(order.total)})
    audit.reference(id=shipment.tracking, name="shipment", url=f"https://track.example/{shipment.tracking}")
    log.debug("shipment:", shipment)
