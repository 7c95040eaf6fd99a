from domain.outages import outage_of


def test_an_outage_says_when_to_come_back_and_nothing_of_its_cause() -> None:
    outage = outage_of(ConnectionRefusedError("10.0.0.7:5432"))
    assert outage is not None
    assert outage.retry_after_seconds > 0
    assert "10.0.0.7" not in outage.message


def test_other_faults_are_none() -> None:
    assert outage_of(ZeroDivisionError()) is None
