"""What makes a lead worth a telephone call."""

import re

WANTED = {"logistics", "retail", "energy"}


def points(company, message):
    """Up to 100 points for a company and the text that came with its lead."""
    staff = company.get("employees") or 0
    size = 40 if staff >= 1000 else 20 if staff >= 50 else 0
    industry = 30 if company.get("industry") in WANTED else 0
    return size + industry + (30 if re.search(r"\b(offer|demo|price)\b", message or "", re.IGNORECASE) else 0)


def heat(score):
    """``hot``, ``warm`` or ``cold``."""
    return "hot" if score >= 70 else "warm" if score >= 30 else "cold"
