"""Trying again: by options where the engine can do it alone, by ``park`` and ``redo`` where the step knows better."""

from aloma_py import CallError, step

TRIES = 5


@step(condition={"order": {"status": "packed"}, "shipment": None}, retries=3, backoff="2s", retry_on=(429, 503))
async def book_courier(data, connectors):
    """Three more attempts after about 2, 4 and 8 seconds; another status than these is no use to try again.

    When it gives up, the task has ``$errors.book_courier``: see ``problems.py``.
    """
    answer = await connectors.courier.book(reference=data.order.id, lines=data.stock.lines)
    data.shipment = {"carrier": "courier", "tracking": answer.tracking}
    data.order.status = "shipped"


@step(condition={"parcel": {"number": str, "outcome": None}})
async def watch_parcel(data, task, step, connectors, log):
    """Look where the parcel is; wait twice as long each time, and remember in the data how often that was."""
    parcel = data.parcel
    parcel.tries = parcel.get("tries", 0) + 1
    try:
        answer = await connectors.courier.track(number=parcel.number)
    except CallError as error:
        log.warning(f"try {parcel.tries}: {error}")
    else:
        if answer.delivered:
            parcel.outcome = "delivered"
            return
        log.info(f"try {parcel.tries}: {answer.place}")
    if parcel.tries == TRIES:
        parcel.outcome = "lost"
        return
    task.park(f"{2**parcel.tries}h")
    step.redo()


@step(condition={"parcel": {"outcome": "lost"}})
async def claim_parcel(data, connectors):
    """Nobody knows where it is."""
    await connectors.slackCom.send(channel="#shipping", text=f"parcel {data.parcel.number} is lost")
    data.parcel.claimed = True
