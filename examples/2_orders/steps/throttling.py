"""Going easy on others: a rate for the step itself, and a pause where the other side asks for one."""

from aloma_py import CallError, step

TOO_MANY = 429


@step(condition={"prices": {"todo": [{"sku": str, "price": float}]}}, rate="2/s", concurrency=1)
async def push_price(data, task, step, connectors, log):
    """One price a run; ``rate`` holds the runs back to two a second, over all tasks.

    Where the shop says "too many" all the same, the task sleeps for a minute, and then tries this price again.
    """
    item = data.prices.todo[0]
    step.redo()
    try:
        await connectors.shop.set_price(sku=item.sku, price=item.price)
    except CallError as error:
        if error.status != TOO_MANY:
            raise
        data.prices.pauses = data.prices.get("pauses", 0) + 1
        log.warning("the shop asks for a pause")
        task.park("1m")
        return
    data.prices.done = [*data.prices.get("done", []), item.sku]
    data.prices.todo = data.prices.todo[1:]
