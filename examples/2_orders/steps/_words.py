"""What several files share. The underscore keeps it from being read as a file of steps."""


def euros(amount: float) -> str:
    """``1234.5`` as ``1,234.50 EUR``."""
    return f"{amount:,.2f} EUR"


def total_of(items: list) -> float:
    """The sum over an order's lines, ``{price, quantity}`` each."""
    return round(sum(item.price * item.quantity for item in items), 2)
