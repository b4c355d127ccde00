"""A list of contacts from a fair, two at a time."""

from aloma_py import all_of, step


def has_more(data):
    """JavaScript says ``{$lt: data.contacts?.length || 0}``; in Python a function looks at both values."""
    return "batch" in data and data["batch"]["index"] < len(data.get("contacts") or [])


def is_through(data):
    """The same with ``$gte``."""
    return "batch" in data and not has_more(data)


@step(condition={"contacts": list, "batch": None})
def plan_batches(data):
    """A list of contacts from a fair begins at the beginning."""
    data.batch = {"index": 0, "size": 2}


@step(condition=all_of({"batch": {"size": float}}, has_more))
def follow_up_batch(data, task, step, log):
    """A subtask for each of the next contacts. ``wait_for`` holds the list until they have ended, ``redo`` takes the
    next ones."""
    index, size = data.batch.index, data.batch.size
    for n, lead in enumerate(data.contacts[index : index + size], index):
        task.subtask(f"contact {n + 1}", {"lead": lead}, into=f"contacts.{n}.outcome", wait_for=True)
    data.batch.index = index + size
    log.info(f"contacts from {index + 1} on")
    step.redo()


@step(condition=all_of({"contacts": list}, is_through))
def sum_up(data, task):
    """Nothing is left of the list: say what became of it."""
    done = [contact for contact in data.contacts if contact.outcome.state == "done"]
    calls = [contact for contact in done if contact.outcome.result.followUp == "call"]
    left_out = len(data.contacts) - len(done)
    task.complete({"calls": len(calls), "mails": len(done) - len(calls), "left_out": left_out})
