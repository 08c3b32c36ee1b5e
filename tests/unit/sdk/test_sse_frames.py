"""Server-sent events as the standard has them, however the bytes are cut."""

import pytest

from kwe.client.sse import Frame, FrameParser

STREAM = (
    b"retry: 250\nid: 4\n\n"
    b"id: 5\nevent: a\ndata: {}\n\n"
    b": still here\n\n"
    b"id: 6\r\nevent: b\r\ndata: [1,\r\ndata: 2]\r\n\r\n"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_frames_do_not_depend_on_how_the_bytes_arrive(size: int) -> None:
    parser = FrameParser()
    chunks = [STREAM[i : i + size] for i in range(0, len(STREAM), size)]
    frames = [frame for chunk in chunks for frame in parser.feed(chunk)]
    assert frames == [Frame("a", b"{}"), Frame("b", b"[1,\n2]")]
    assert (parser.last_id, parser.retry_seconds) == ("6", 0.25)


def test_a_primer_moves_the_id_without_being_an_event() -> None:
    parser = FrameParser()
    assert list(parser.feed(b"retry: 2000\nid: 41\n\n")) == []
    assert parser.last_id == "41"


def test_half_a_frame_of_a_lost_connection_is_forgotten() -> None:
    parser = FrameParser()
    assert list(parser.feed(b"event: a\ndata: {")) == []
    parser.reset()
    assert list(parser.feed(b"data: 1\n\n")) == [Frame("", b"1")]
