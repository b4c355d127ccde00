"""In bulk: a long list is worked off in batches; every company is a task of its own, a batch of them at a time."""

from aloma_py import step

BATCH = 3


@step(condition={"companies": [{"name": str}], "batch": None})
def plan_batches(data):
    """Begin at the beginning."""
    data.batch = {"next": 0, "count": 0}


@step(condition={"companies": list, "batch": {"next": int}})
def research_batch(data, task, step, log):
    """Make a subtask for each of the next companies. ``wait_for`` holds this task until they have all ended; what
    they found is in the data, at ``into``, before this step is tried again."""
    first = data.batch.next
    batch = data.companies[first : first + BATCH]
    for n, company in enumerate(batch, first):
        task.subtask(
            f"research {company.name}",
            {"research": {"company": company.name}},
            into=f"companies.{n}.research",
            wait_for=True,
        )
    data.batch.count += 1
    log.info(f"batch {data.batch.count}: {len(batch)} companies")
    if first + BATCH < len(data.companies):
        data.batch.next = first + BATCH
        step.redo()
    else:
        data.batch.next = None


@step(condition={"research": {"company": str}}, concurrency=2)
async def research_company(data, task, connectors):
    """What one subtask does; two of them at once, however large the batch is."""
    profile = await connectors.companies.profile(name=data.research.company)
    task.complete({"employees": profile.employees})


@step(condition={"companies": list, "batch": {"next": None, "count": int}})
def sum_up(data, task):
    """Every batch is through. A company whose task failed has ``error`` beside its ``state``."""
    found = [company for company in data.companies if "error" not in company.research]
    rows = [{"company": company.name, "employees": company.research.result.employees} for company in found]
    task.visualize(type="table", name="companies", data=rows)
    task.complete({"found": len(found), "failed": len(data.companies) - len(found)})
