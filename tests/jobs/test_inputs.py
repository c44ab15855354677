"""The area of recordings that jobs may name: nothing above it, beside it, behind a link, or of another owner."""

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pydantic import ValidationError

from jobs.errors import NotFound
from jobs.inputs import stored_recording
from jobs.settings import Settings
from jobs.specs import STTSpec
from jobs.urls import FetchError


@pytest.fixture
def area(tmp_path):
    folder = tmp_path / "area" / "ann"
    (folder / "calls").mkdir(parents=True)
    (folder / "calls" / "a.wav").write_bytes(b"RIFF a")
    (tmp_path / "area" / "bob").mkdir()
    (tmp_path / "area" / "bob" / "b.wav").write_bytes(b"RIFF b")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link.wav").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    return tmp_path / "area"


def read(path, inputs, owner="ann", **settings):
    with stored_recording(path, owner, Settings(inputs=str(inputs), **settings)) as found:
        return found.read_bytes()


def test_a_recording_of_a_folder(area):
    assert read("calls/a.wav", f"{area}/{{owner}}") == b"RIFF a"
    assert read("ann/calls/a.wav", area) == b"RIFF a"


@pytest.mark.parametrize("path", ["calls", "calls/b.wav", "link.wav", "up/secret", "b.wav"])
def test_what_is_no_recording_of_the_owner_is_not_there(area, path):
    with pytest.raises(NotFound, match="there is no recording"):
        read(path, f"{area}/{{owner}}")


@pytest.mark.parametrize(
    "path",
    ["../bob/b.wav", "/etc/passwd", "a/../../b", "a//b", "./a", "..\\b", "%2e%2e/b", "a%2f..%2fb", "C:/a", "a\0b", ""],
)
def test_a_path_that_leads_elsewhere_is_refused_by_its_spec(path):
    with pytest.raises(ValidationError):
        STTSpec(store=path)


def test_an_object_store_and_its_limit():
    with fsspec.open("memory://calls/x/a.wav", "wb") as file:
        file.write(b"RIFF" * 10)
    assert read("x/a.wav", "memory://calls") == b"RIFF" * 10
    with pytest.raises(NotFound):
        read("x/b.wav", "memory://calls")
    with pytest.raises(FetchError, match="more than 20 bytes"):
        read("x/a.wav", "memory://calls", max_upload_bytes=20)


def test_a_large_file_of_a_folder_is_refused(area):
    with pytest.raises(FetchError, match="more than 2 bytes"):
        read("ann/calls/a.wav", area, max_upload_bytes=2)


def test_without_an_area_nothing_is_read():
    with pytest.raises(FetchError, match="VOXQUEUE_INPUTS"):
        read("a.wav", "")


class Broken(MemoryFileSystem):
    protocol = "broken"

    def _open(self, path, *args, **options):
        raise PermissionError(f"{path}?signature=secret")


def test_what_the_store_says_of_itself_is_not_told():
    fsspec.register_implementation("broken", Broken, clobber=True)
    with pytest.raises(FetchError) as caught:
        read("a.wav", "broken://hidden-prefix")
    assert caught.value.detail == "store: a.wav cannot be read (PermissionError)"
