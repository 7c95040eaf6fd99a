"""The service without its ledger: `python -m bench.unposted serve`, to measure what entering it costs."""

from api.commands import main
from domain import ledger


async def leave_out(*_: object) -> None:
    """Enter nothing, and so refuse nothing."""


if __name__ == "__main__":
    ledger.post = leave_out
    main()
