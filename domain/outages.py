"""What is told of faults that pass by themselves."""

from db.outages import is_outage
from domain.errors import Unavailable


def outage_of(fault: BaseException) -> Unavailable | None:
    """What a client is told instead of a fault, where the database is out of order; None for every other fault.

    Whoever answers with it reports the fault all the same. It does not say that nothing has changed: a commit may have
    reached the database before its answer was lost.
    """
    return Unavailable(message="The service's database is out of order for now.") if is_outage(fault) else None
