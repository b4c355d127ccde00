"""Falling back: a supplier's invoice is read by the best reader there is, else by a simpler one, else by a person."""

import re

from aloma_py import CallError, step

TOTAL = re.compile(r"total\D*([\d.]+)", re.IGNORECASE)
SUPPLIER = re.compile(r"from\s+(.+)", re.IGNORECASE)


@step(condition={"invoice": {"scan": str, "read": None}})
async def read_with_model(data, connectors, log):
    """The good and expensive way."""
    try:
        answer = await connectors.documents.read(scan=data.invoice.scan)
    except CallError as error:
        log.warning("the model could not read it:", error)
        data.invoice.model_failed = str(error)
    else:
        data.invoice.read = {"by": "model", "supplier": answer.supplier, "total": answer.total}


@step(condition={"invoice": {"scan": str, "model_failed": str, "read": None}})
async def read_with_ocr(data, connectors, log):
    """Plain text recognition, and two regular expressions."""
    try:
        text = (await connectors.ocr.recognise(scan=data.invoice.scan)).text
        total, supplier = TOTAL.search(text), SUPPLIER.search(text)
    except CallError as error:
        log.warning("no text was recognised:", error)
        total = supplier = None
    if total and supplier:
        data.invoice.read = {"by": "ocr", "supplier": supplier[1].strip(), "total": float(total[1])}
    else:
        data.invoice.ocr_failed = True


@step(condition={"invoice": {"ocr_failed": True, "read": None}})
def ask_a_person(data, user):
    """The task waits until somebody has typed it in; the answer arrives as data."""
    user.conversation(kind="form", title="Please read this invoice", data={"scan": data.invoice.scan})


@step(condition={"invoice": {"read": {"by": str, "supplier": str, "total": float}}})
def book_invoice(data, task, log):
    """Whoever read it. ``float`` in a condition is any number."""
    read = data.invoice.read
    log.info(f"{read.supplier}: {read.total}, read by {read.by}")
    task.complete({"supplier": read.supplier, "total": read.total, "by": read.by})
