"""TaskFlow's boards as we use them: each trap that they have is one that we do not fall into."""

from __future__ import annotations

import shutil
import subprocess
import time
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

from slipway.drivers.board import Board, Job
from slipway.errors import BoardUnavailable, InvalidBoard
from slipway.model.request import Shutdown
from tests.boards import KINDS, Server, missing, running
from tests.waiting import until


def boards(server: Server, *names: str, ttl: int = 30) -> list[Board]:
    """Boards of one installation, as several processes have them."""
    installation = uuid.uuid4().hex
    return [Board(server.url, installation, name, ttl=ttl) for name in names]


def test_a_job_is_claimed_once_and_taken_off(board: Server) -> None:
    one, other = boards(board, "one", "other")
    job = Job("instance", "i-1", "node-1", Shutdown(force=True))
    one.post(job)
    (posted,) = other.posted()
    assert (posted.job, other.owner(posted)) == (job, None)
    assert other.claim(posted)
    (seen,) = one.posted()
    assert (one.claim(seen), one.owner(seen)) == (False, "other")
    one.consume(seen)
    assert len(one.posted()) == 1, "it was another one's"
    other.consume(posted)
    assert not one.posted()
    other.consume(posted)
    assert not other.claim(posted), "it is gone"


def test_what_is_left_to_others_is_claimed_by_them(board: Server) -> None:
    one, other = boards(board, "one", "other")
    one.post(Job("run", "r-1"))
    (posted,) = one.posted()
    assert one.claim(posted)
    one.abandon(posted)
    assert other.claim(other.posted()[0])


def test_the_oldest_comes_first(board: Server) -> None:
    """Redis' board gives the newest first."""
    (one,) = boards(board, "one")
    for number in range(12):
        one.post(Job("instance", str(number)))
    assert [posted.job.id for posted in one.posted()] == [str(number) for number in range(12)]


def test_a_claim_ends_by_itself_and_goes_on_while_it_is_renewed(board: Server) -> None:
    """TaskFlow's conductors ask for no end, and nothing of TaskFlow's renews."""
    one, other = boards(board, "one", "other", ttl=1)
    one.post(Job("instance", "i-1"))
    (posted,) = one.posted()
    assert one.claim(posted)
    for _ in range(8):
        time.sleep(0.3)
        assert one.renew(posted)
    assert not other.claim(other.posted()[0])
    until(lambda: other.claim(other.posted()[0]), "the claim ends")
    assert not one.renew(posted), "it would be another one's that is renewed"
    one.consume(posted)
    assert other.posted(), "it is another one's by now"


def test_installations_do_not_see_each_others_jobs(board: Server) -> None:
    (one,), (other,) = boards(board, "one"), boards(board, "other")
    one.post(Job("instance", "i-1"))
    assert not other.posted()


def test_what_nobody_of_ours_has_posted_is_let_alone(board: Server) -> None:
    (one,) = boards(board, "one")
    one._board().post("theirs", details={"what": "cake", "id": "1"})
    one._board().post("theirs", details=None)
    one.post(Job("instance", "i-1"))
    assert [posted.job.id for posted in one.posted()] == ["i-1"]


def test_a_board_that_was_emptied_between_two_looks_shows_what_is_new(mortal_board: Server) -> None:
    """Nothing of it is cached: the same place has another job by then."""
    (one,) = boards(mortal_board, "one")
    one.post(Job("instance", "i-1"))
    assert one.posted()
    mortal_board.kill()
    mortal_board.lose_all()
    mortal_board.start()
    (other,) = [Board(mortal_board.url, one.installation, "other", ttl=5)]
    other.post(Job("instance", "i-2"))
    with suppress(BoardUnavailable):
        one.posted()
    assert [posted.job.id for posted in one.posted()] == ["i-2"]


def test_a_board_that_was_started_anew_is_used_again(mortal_board: Server) -> None:
    (one,) = boards(mortal_board, "one")
    one.post(Job("instance", "i-1"))
    mortal_board.kill()
    with pytest.raises(BoardUnavailable):
        one.posted()
    mortal_board.lose_all()
    mortal_board.start()
    assert not one.posted()
    # The same place on the board: what was there before must not come back.
    one.post(Job("instance", "i-2"))
    assert [posted.job.id for posted in one.posted()] == ["i-2"]
    one.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "no job board is known by ''"),
        ("redis", "no job board is known by ''"),
        ("http://127.0.0.1:1", "no job board is known by 'http'"),
        ("redis://", "it names no server"),
        ("redis://:secret@/0", "it names no server"),
        ("redis://x:secret@127.0.0.1:99999", "no URL of a job board"),
        ("redis://127.0.0.1:0", "it names no server"),
        ("redis://127.0.0.1/jobs", "'jobs' is no number of a database"),
        ("etcd://127.0.0.1/0", "'0' is no number of a database"),
        ("rediss://127.0.0.1?cafile=x", "unknown 'cafile', it takes ca, cert, key"),
    ],
)
def test_what_is_no_board_is_said(url: str, words: str) -> None:
    with pytest.raises(InvalidBoard) as caught:
        Board(url, "tests", "tests", ttl=5)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://x:secret@127.0.0.1:1", "etcd://127.0.0.1:1", "rediss://127.0.0.1:1"])
def test_a_board_that_does_not_answer_is_said(url: str) -> None:
    with pytest.raises(BoardUnavailable) as caught:
        Board(url, "tests", "tests", ttl=5)
    assert "does not answer" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority `ca.pem`, another one `other.pem`, and `server.pem` with `server.key` for the loopback interface."""
    directory = tmp_path_factory.mktemp("tls")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)

    key = ("-newkey", "rsa:2048", "-nodes")
    for name in ("ca", "other"):
        openssl(
            "req", "-x509", *key, "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"
        )
    openssl("req", *key, "-subj", "/CN=board", "-keyout", "server.key", "-out", "server.csr")
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-extfile", "names", "-out", "server.pem")
    openssl("x509", "-req", "-in", "server.csr", *signed)
    return directory


@pytest.mark.parametrize("kind", KINDS)
def test_a_board_by_tls(kind: str, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its certificate must be of the authority that the URL names, and ours of one that it knows."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{certificates}/other.pem")
    if reason := missing(kind):
        pytest.skip(reason)
    ours = f"cert={certificates}/server.pem&key={certificates}/server.key"
    with running(kind, tmp_path / "board", tls=certificates) as server:
        board = Board(f"{server.url}?ca={certificates}/ca.pem&{ours}", "tests", "tests", ttl=5)
        board.post(Job("instance", "i-1"))
        assert [posted.job.id for posted in board.posted()] == ["i-1"]
        board.close()
        for wrong in (f"{server.url}?ca={certificates}/other.pem&{ours}", f"{server.url}?ca={certificates}/ca.pem"):
            with pytest.raises(BoardUnavailable):
                Board(wrong, "tests", "tests", ttl=5)


def test_a_board_that_lets_nobody_in_is_said_at_once(tmp_path: Path) -> None:
    redis = pytest.importorskip("redis")
    if reason := missing("redis"):
        pytest.skip(reason)
    with running("redis", tmp_path / "board") as server:
        redis.Redis(port=server.port).config_set("requirepass", "right-secret")
        began = time.monotonic()
        for url in (f"redis://:wrong-secret@127.0.0.1:{server.port}", f"redis://127.0.0.1:{server.port}"):
            with pytest.raises(
                BoardUnavailable, match=r"the board lets nobody in by this user and password: "
            ) as caught:
                Board(url, "tests", "tests", ttl=5)
            assert "secret" not in str(caught.value)
        # Its client would ask ten times, and longer each time.
        assert time.monotonic() - began < 3
        Board(f"redis://:right-secret@127.0.0.1:{server.port}", "tests", "tests", ttl=5).close()
