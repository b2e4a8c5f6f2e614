"""What was judged: which faults hold, the state file, and what each scheduler is told."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.device_health.package import module

follower = module("follower")
health = module("health")
service = module("service")
state = module("state")
FINE = health.STEADY_SECONDS


def test_a_fault_holds_at_once_and_ends_when_the_device_was_fine_for_a_while() -> None:
    ledger = health.Ledger({})
    assert ledger.judge({"/dev/a": "", "/dev/b": "down"}, 0) == {"/dev/b": "down"}
    assert ledger.judge({"/dev/a": "", "/dev/b": ""}, 1) == {"/dev/b": "down"}
    # It goes again before it was fine for long enough.
    assert ledger.judge({"/dev/a": "", "/dev/b": "down again"}, FINE) == {"/dev/b": "down"}
    assert ledger.judge({"/dev/a": "", "/dev/b": ""}, FINE + 1) == {"/dev/b": "down"}
    assert ledger.judge({"/dev/a": "", "/dev/b": ""}, 2 * FINE + 0.9) == {"/dev/b": "down"}
    assert ledger.judge({"/dev/a": "", "/dev/b": ""}, 2 * FINE + 1) == {}


def test_a_device_of_which_nothing_is_known_stays_as_it_was() -> None:
    ledger = health.Ledger({"/dev/a": "down"})
    for now in (0, FINE, 9 * FINE):
        assert ledger.judge({"/dev/a": None, "/dev/b": None}, now) == {"/dev/a": "down"}
    assert ledger.judge({"/dev/a": ""}, 10 * FINE) == {"/dev/a": "down"}
    # What is not known is not fine.
    assert ledger.judge({"/dev/a": None}, 11 * FINE) == {"/dev/a": "down"}
    assert ledger.judge({"/dev/a": ""}, 12 * FINE) == {"/dev/a": "down"}
    assert ledger.judge({"/dev/a": ""}, 13 * FINE) == {}


def test_a_device_that_is_watched_no_more_has_no_fault() -> None:
    assert health.Ledger({"/dev/old": "down"}).judge({"/dev/a": ""}, 0) == {}


def test_the_reason_names_each_device_on_one_line() -> None:
    assert health.text({}) == ""
    text = health.text({"/dev/nvidia3": "Xid 79,\nlost", "/dev/infiniband/uverbs0": "link down"})
    assert text == "platformctl: device fault: infiniband/uverbs0: link down; nvidia3: Xid 79, lost"
    assert len(health.text({f"/dev/nvidia{number}": "Xid 79" for number in range(99)})) == 800


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ('said "no"', "said 'no'"),
        ("\t two\r\nlines\x85\u2028 ", "two lines"),
        ("\x1b[31mred\x00\x07", "?[31mred??"),
        ("\udce9", "?"),
        ("Temp\u00e9rature", "Temp\u00e9rature"),
    ],
)
def test_the_reason_is_one_that_comes_back_as_it_was_sent(reason: str, told: str) -> None:
    assert health.text({"/dev/a": reason}) == f"platformctl: device fault: a: {told}"


def test_a_reason_that_is_cut_ends_with_no_blank() -> None:
    start = len(health.text({"/dev/a": "b"})) - 1
    assert health.text({"/dev/a": f"{'b' * (799 - start)} c"})[-3:] == "bbb"


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """A host with a GPU of Slurm and one of Kubernetes."""
    for number, address in ((0, "0000:3b:00.0"), (1, "0000:5e:00.0")):
        folder = tmp_path / "proc/driver/nvidia/gpus" / address
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Device Minor: {number}\n")
        (tmp_path / "there").mkdir(exist_ok=True)
        (tmp_path / "there" / f"nvidia{number}").symlink_to("/dev/null")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kmsg").touch()
    rows = [
        {"files": [f"/dev/nvidia{number}"], "check": "xid", "command": [], "slurm": number == 0}
        for number in (0, 1)
    ]
    return {
        "node": "n1",
        "hardware": str(tmp_path),
        "harmless_xids": [62],
        "fatal_xids": [13],
        "devices": rows,
        "gpu_seconds": 300,
        "metrics_folder": str(tmp_path / "metrics"),
        "offered": {"slurm": {"gpu": 1}, "kubernetes": {"nvidia.com/gpu": 2}},
        "offered_gpus": [{"file": "/dev/nvidia1", "holders": 2}],
        "slurm": True,
        "kubernetes": True,
    }


def started(settings: dict[str, Any]) -> Any:
    root = Path(settings["hardware"])
    return service.Service(settings, root / "run", root / "there")


def log(settings: dict[str, Any], number: int, words: str) -> None:
    with (Path(settings["hardware"]) / "dev/kmsg").open("a") as file:
        file.write(f"4,{number},1,-;NVRM: Xid (PCI:{words}\n")


def written(settings: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(settings["hardware"]) / "run/state.json").read_text())
    return found


def test_each_scheduler_hears_of_what_concerns_it(settings: dict[str, Any]) -> None:
    one = started(settings)
    assert one.judge(0).reason == ""
    assert written(settings)["faults"] == {}
    log(settings, 0, "0000:5e:00): 79, gone")
    found = one.judge(1)
    assert (found.reason, one.of_slurm(found)) == ("platformctl: device fault: nvidia1: Xid 79, gone", "")
    log(settings, 1, "0000:3b:00): 48, ecc")
    found = one.judge(2)
    both = "platformctl: device fault: nvidia0: Xid 48, ecc; nvidia1: Xid 79, gone"
    assert found.reason == one.of_slurm(found) == both
    assert written(settings)["faults"] == {"/dev/nvidia0": "Xid 48, ecc", "/dev/nvidia1": "Xid 79, gone"}


def test_a_site_has_xids_of_its_own(settings: dict[str, Any]) -> None:
    one = started(settings)
    log(settings, 0, "0000:3b:00): 62, harmless here")
    assert one.judge(0).faults == {}
    log(settings, 1, "0000:3b:00): 13, fatal here")
    assert one.judge(1).faults == {"/dev/nvidia0": "Xid 13, fatal here"}


def test_a_restart_changes_nothing(settings: dict[str, Any]) -> None:
    log(settings, 0, "0000:3b:00): 79, gone")
    before = started(settings).judge(0)
    again = started(settings)
    assert again.judge(1000) == before
    # What was read before is not read as news: the repaired GPU stays repaired.
    state.request(Path(settings["hardware"]) / "run", "/dev/nvidia0")
    again.judge(1001)
    assert again.judge(1001 + FINE).faults == {}
    assert started(settings).judge(0).faults == {}


def test_a_restart_waits_for_the_first_word_of_a_command(settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "answer").touch()
    script = f"while test -e {tmp_path}/answer; do sleep 0.02; done; echo too hot; exit 1"
    row = {"files": ["/dev/nvidia0"], "check": "command", "command": ["sh", "-c", script], "slurm": True}
    settings["devices"] = [row]
    before = state.State({"/dev/nvidia0": "hot"}, health.text({"/dev/nvidia0": "hot"}))
    state.write(Path(settings["hardware"]) / "run", before)
    one = started(settings)
    for now in range(0, 60, 6):
        assert one.judge(now).faults == {"/dev/nvidia0": "hot"}
    (tmp_path / "answer").unlink()


def test_a_damaged_state_is_an_empty_one(tmp_path: Path) -> None:
    for text in ("", "[]", '{"unknown": 1}'):
        (tmp_path / "state.json").write_text(text)
        assert state.read(tmp_path) == state.State()


def test_a_follower_does_nothing_before_it_is_told_and_then_follows() -> None:
    heard: list[str] = []
    news = threading.Event()

    def bring(text: str) -> None:
        heard.append(text)
        news.set()

    one = follower.Follower("Slurm", bring)
    assert heard == []
    for text in ("", "broken", ""):
        news.clear()
        one.want(text)
        assert news.wait(10)
    assert heard == ["", "broken", ""]


def test_a_follower_goes_on_whatever_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    tried: list[str] = []
    news = threading.Event()

    def bring(text: str) -> None:
        tried.append(text)
        if len(tried) == 1:
            raise KeyError("status")
        news.set()

    follower.Follower("Slurm", bring).want("broken")
    assert news.wait(10)
    assert tried == ["broken", "broken"]
    assert capsys.readouterr().err == "Slurm: KeyError('status')\n"


def test_a_follower_tries_again_more_rarely_and_says_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    def bring(_text: str) -> None:
        raise follower.UnansweredError("no answer")

    one = follower.Follower("Slurm", bring)
    waits = [one.once() for _ in range(12)]
    assert waits[:3] == [1, 2, 3]
    assert waits[-1] == follower.SETTLED_SECONDS
    assert capsys.readouterr().err == "Slurm: no answer\n"
