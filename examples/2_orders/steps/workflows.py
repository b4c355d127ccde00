"""The data chooses the workflow: who has to approve depends on the risk, the total and the kind of customer.

``"approval": None`` (there is none yet) is in each condition: the first that runs settles it for the others.
"""

from aloma_py import any_of, gt, lte, step

from ._words import euros

LIMIT = 10_000


@step(condition={"risk": {"score": gt(70)}, "approval": None}, priority=10)
async def hold_for_security(data, user, connectors):
    """Risk comes before everything else, hence the priority. A person decides; the task waits for the answer."""
    data.approval = {"workflow": "security review", "wanted_from": "security"}
    user.conversation(kind="form", title=f"Is order {data.order.id} genuine?", data={"risk": data.risk.score})
    await connectors.slackCom.send(channel="#security", text=f"order {data.order.id}: risk {data.risk.score}")


@step(condition={"order": {"type": "B2B", "total": gt(LIMIT)}, "risk": {"score": lte(70)}, "approval": None})
async def ask_the_director(data, task, user, connectors):
    """Large orders of companies. Who has not answered in three days has let it lapse."""
    text = f"Approve order {data.order.id} for {euros(data.order.total)}?"
    data.approval = {"workflow": "director", "wanted_from": "sales director"}
    user.conversation(kind="form", title=text)
    task.timeout("3d")
    task.complete_on_expire({"order": data.order.id, "status": "lapsed"})
    await connectors.slackCom.send(channel="#approvals", text=text)


@step(
    condition={
        "order": any_of({"type": "B2C"}, {"total": lte(LIMIT)}),
        "risk": {"score": lte(70)},
        "approval": None,
    }
)
def approve_at_once(data):
    """The others need nobody."""
    data.approval = {"workflow": "automatic", "granted": True, "by": "the rules"}


@step(condition={"order": {"status": "valid"}, "approval": {"granted": False}})
def cancel_refused(data, task):
    """A person said no."""
    data.order.status = "cancelled"
    task.complete({"order": data.order.id, "status": "cancelled", "why": "not approved"})
