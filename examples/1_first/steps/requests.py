"""A request comes in, is sorted, answered and closed. Nobody says in which order: each step says when it is due."""

from aloma_py import matches, step


@step(condition={"request": {"text": matches(r"invoice|refund|charged", "i"), "topic": None}})
def sort_billing(data, log):
    """Whoever writes about money gets the topic ``billing``."""
    data.request.topic = "billing"
    log.info("sorted as billing:", data.request.text)


@step(condition={"request": {"topic": str, "answer": None}})
def answer(data):
    """Write the answer. ``topic`` is there only once the request has been sorted."""
    data.request.answer = f"Thank you for writing. Our {data.request.topic} team will call you tomorrow."


@step(condition={"request": {"answer": str}})
def close(data, task):
    """An answered request is done; what is given to ``complete`` is the task's result."""
    task.complete({"topic": data.request.topic})
