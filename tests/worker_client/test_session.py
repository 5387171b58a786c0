"""The protocol's state, without a socket: frames go in, frames are read off."""

from __future__ import annotations

from stats_aggregator_client.session import State
from stats_aggregator_client.wire import (
    Ack,
    Batch,
    Bye,
    Hello,
    Nack,
    Reject,
    RejectCode,
    Write,
    decode,
)
from tests.worker_client.bench import DAY, A, B, Bench, S


def test_hello_goes_first_and_nothing_before_welcome() -> None:
    bench = Bench()
    bench.add(1.0)
    assert bench.sends() == []
    bench.session.begin(0)
    (hello,) = bench.sends()
    assert isinstance(hello, Hello)
    assert bench.sends() == []
    bench.welcome()
    (batch,) = bench.sends()
    assert isinstance(batch, Batch)
    assert batch.seq == 1


def test_a_new_socket_resends_what_the_daemon_has_not() -> None:
    bench = Bench()
    bench.open()
    for value in range(3):
        bench.add(float(value))
        bench.buffer.write(value)
    first = bench.sends()
    assert [message.seq for message in first] == [1, 2, 3, 4, 5, 6]
    bench.session.lose(0)
    bench.session.begin(0)
    (hello,) = bench.sends()
    assert (hello.first_unacked, hello.server) == (1, A)
    bench.welcome(durable=2)
    assert bench.sends() == first[2:]
    bench.ack(6)
    assert bench.counts.acked == 3


def test_a_nack_of_zero_asks_for_hello_and_of_n_for_n() -> None:
    bench = Bench()
    bench.open()
    bench.add(1.0)
    bench.buffer.write(1)
    sent = bench.sends()
    bench.hears(Nack(bench.session.id, 2))
    assert bench.sends() == sent[1:]
    bench.hears(Nack(bench.session.id, 0))
    bench.hears(Nack(bench.session.id, 0))
    bench.now += S
    assert [type(message) for message in bench.sends()] == [Hello]
    bench.welcome(durable=0)
    assert bench.sends() == sent


def test_a_nack_that_nothing_can_fill_asks_for_hello_and_does_not_spin() -> None:
    bench = Bench()
    bench.open()
    bench.add(1.0)
    bench.sends()
    bench.ack(1)
    bench.add(2.0)
    bench.sends()
    hellos = 0
    for _ in range(1000):
        bench.hears(Nack(bench.session.id, 1))  # acknowledged long ago
        hellos += sum(isinstance(message, Hello) for message in bench.sends())
        bench.now += S // 1000
        bench.welcome(durable=1)
    assert 1 <= hellos <= 11


def test_credit_of_zero_permits_resends_only() -> None:
    bench = Bench()
    bench.open()
    bench.add(1.0)
    sent = bench.sends()
    bench.ack(0, credit=0)
    bench.add(2.0)
    assert bench.sends() == []
    bench.hears(Nack(bench.session.id, 1))
    assert bench.sends() == sent
    bench.ack(1, credit=0)
    assert bench.sends() == []
    bench.ack(1, credit=10_000)
    (batch,) = bench.sends()
    assert batch.seq == 2


def test_one_message_may_be_in_flight_whatever_its_size() -> None:
    bench = Bench()
    bench.open(credit=1)
    bench.buffer.add_property("hyperparameters", "x" * 500_000)
    bench.buffer.add_property("hyperparameters", "y")
    assert len(bench.sends()) == 1
    bench.ack(1, credit=1)
    assert len(bench.sends()) == 1


def test_unacknowledged_bytes_stay_within_half_of_the_memory() -> None:
    bench = Bench(max_unacked_bytes=100_000)
    bench.open(credit=1 << 40)
    for value in range(100):
        bench.add(*[float(value)] * 1000)
    bench.sends()
    assert bench.session.flight.unacked_bytes <= 100_000


def test_a_reject_marks_its_message_and_the_acknowledgement_ends_it() -> None:
    bench = Bench()
    bench.open()
    bench.add(1.0, 2.0)
    bench.sends()
    bench.hears(Reject(bench.session.id, 1, RejectCode.NAME, "no"))
    assert (bench.counts.rejected, bench.counts.acked) == (0, 0)
    bench.ack(1)
    assert (bench.counts.rejected, bench.counts.acked) == (2, 0)


def test_another_server_begins_a_session_in_which_the_unacknowledged_are_uncertain() -> None:
    bench = Bench()
    bench.open()
    bench.add(1.0)
    bench.sends()
    bench.ack(1)
    bench.add(2.0, 3.0)
    bench.buffer.write(1)
    bench.sends()
    bench.add(4.0)
    before = bench.session.id
    bench.session.lose(0)
    bench.open(server=B)
    (hello,) = bench.sends()
    assert isinstance(hello, Hello)
    assert (hello.first_unacked, hello.server) == (1, B)
    assert hello.session != before
    bench.welcome(server=B)
    (batch,) = bench.sends()
    assert isinstance(batch, Batch)
    assert (batch.seq, batch.uncertain, len(batch.values)) == (1, 2, 8)
    assert bench.counts.uncertain == 2


def test_another_server_before_anything_was_sent_is_just_taken() -> None:
    bench = Bench()
    bench.open()
    before = bench.session.id
    bench.session.lose(0)
    bench.open(server=B)
    assert bench.session.id == before
    assert bench.session.state is State.OPEN


def test_uncertain_values_are_confessed_even_if_no_more_come() -> None:
    bench = Bench()
    bench.open()
    bench.add(1.0, 2.0)
    bench.sends()
    bench.session.lose(0)
    bench.open(server=B)
    bench.sends()
    bench.welcome(server=B)
    (batch,) = bench.sends()
    assert isinstance(batch, Batch)
    assert (batch.uncertain, batch.series, batch.values) == (2, b"", b"")


def test_messages_for_the_session_before_are_not_ours() -> None:
    bench = Bench()
    bench.open()
    bench.add(1.0)
    bench.sends()
    bench.hears(Ack(B, 1, 1 << 20, 0, ()))
    assert bench.counts.acked == 0


def test_an_acknowledgement_of_what_was_never_sent_acknowledges_what_was() -> None:
    bench = Bench()
    bench.open()
    bench.add(1.0)
    bench.sends()
    bench.ack(1000)
    assert bench.counts.acked == 1
    bench.add(2.0)
    (batch,) = bench.sends()
    assert batch.seq == 2


def test_bye_is_said_only_where_it_is_heard() -> None:
    bench = Bench()
    assert bench.session.bye() is None
    bench.open()
    assert decode(bench.session.bye() or b"") == Bye(bench.session.id)


def test_a_write_before_the_first_value_travels_alone() -> None:
    bench = Bench()
    bench.open()
    bench.buffer.write(5)
    (write,) = bench.sends()
    assert write == Write(bench.session.id, 1, "c", 5)


def test_until_welcome_nothing_else_answers_hello() -> None:
    bench = Bench()
    bench.open()
    bench.add(1.0)
    bench.sends()
    bench.session.lose(bench.now)
    bench.session.begin(bench.now)
    assert [type(message) for message in bench.sends()] == [Hello]
    # What the daemon said before on this connection; the WELCOME that should follow is lost.
    bench.hears(Nack(bench.session.id, 0))
    bench.hears(Reject(bench.session.id, 1, RejectCode.NAME, "no"))
    bench.now += 11 * S
    assert bench.session.overdue(bench.now) == "nothing was heard for 10 s"


def test_who_was_stopped_for_a_week_begins_a_new_session_also_on_the_old_connection() -> None:
    bench = Bench()
    bench.open()
    bench.add(1.0)
    bench.sends()
    bench.ack(1)
    bench.add(2.0, 3.0)
    bench.sends()
    before = bench.session.id
    bench.now += 8 * DAY
    bench.hears(Nack(before, 0))
    bench.now += S
    (hello,) = bench.sends()
    assert isinstance(hello, Hello)
    assert hello.session != before
    assert (hello.first_unacked, bench.counts.uncertain) == (1, 2)
