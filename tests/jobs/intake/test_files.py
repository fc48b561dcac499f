"""Files are found, hashed, and refused by name when they cannot be read to the end."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from jobs.errors import BadInput, Transient
from jobs.intake.files import Found, RawFile, check_file, find_files
from jobs.intake.mapping import Read
from jobs.lake.s3 import S3Store
from jobs.settings import Settings
from tests.faults.proxy import Fault, Proxy, proxy

CSV = b"id,name\n1,x\n"


def check(path: Path, settings: Settings, **read: object) -> RawFile:
    return check_file(Found(str(path), True), Read(**read), settings)  # type: ignore[arg-type]


def test_paths_folders_and_globs_find_each_file_once(tmp_path: Path, lake_settings: Settings) -> None:
    for name in ("a 1.csv", "b[2].csv", "c.txt", "_SUCCESS", ".hidden.csv", "deep/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(CSV)

    def names(*patterns: str) -> list[str]:
        found = find_files([str(tmp_path / p) for p in patterns], lake_settings)
        return [f.uri[len(str(tmp_path)) + 1 :] for f in found]

    assert names("") == ["a 1.csv", "b[2].csv", "c.txt", "deep/d.csv"]
    assert names("*.csv") == ["a 1.csv", "b[2].csv"]
    assert names("**/*.csv") == ["a 1.csv", "b[2].csv", "deep/d.csv"]
    assert names("[ab]*.csv", "a 1.csv", "b[2].csv") == ["a 1.csv", "b[2].csv"]
    assert names("?.txt", "deep/*") == ["c.txt", "deep/d.csv"]


def test_a_name_that_matches_nothing_is_told(tmp_path: Path, lake_settings: Settings) -> None:
    with pytest.raises(BadInput, match=r"events-\*\.csv'.*no such file"):
        find_files([str(tmp_path / "events-*.csv")], lake_settings)


def test_the_header_survives_byte_order_mark_spaces_and_quotes(
    tmp_path: Path, lake_settings: Settings
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes('\ufeff"id", name ,"a,b",\n1,2,3,4\n'.encode())
    assert check(path, lake_settings).columns == ("id", "name", "a,b", "_column_4")


BROKEN = "id,title,price\n" + "".join(f'{n},"tea\nfor two",3\n' for n in range(3))


def test_fields_with_line_breaks_are_refused_until_the_mapping_says_what_they_are(
    tmp_path: Path, lake_settings: Settings
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(BROKEN)
    with pytest.raises(
        BadInput, match=r"near line 2, and in 3 lines .* multiline = true .* multiline = false"
    ):
        check(path, lake_settings)
    for said in (True, False):
        assert check(path, lake_settings, multiline=said).columns == ("id", "title", "price")
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(BROKEN.replace("\n", "\r\n").encode("utf-8-sig")))
    with pytest.raises(BadInput, match="near line 2, and in 3 lines"):
        check(tmp_path / "x.csv.gz", lake_settings)


@pytest.mark.parametrize(
    "text",
    [
        "id,title\n" + '1,5" pipe\n' * 9 + '1,""quoted"" tea\n' * 9 + '1,"say ""hi"""\n' * 9,
        "id,title\n" + '1,"a, ""b"", c"\n"2","5"" pipe"\n' * 9,
        # Two are damage.
        "id,title\n" + '1,"tea\n' * 2 + "2,tea\n" * 9,
        # So are a few among many.
        "id,title\n" + '1,"tea\n' * 4 + "2,tea\n" * 4_000,
    ],
)
def test_quotes_of_other_kinds_are_no_line_breaks(tmp_path: Path, lake_settings: Settings, text: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    assert check(path, lake_settings).columns == ("id", "title")


def test_a_delimiter_of_several_characters_parts_the_header(tmp_path: Path, lake_settings: Settings) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b'id||"a||b"||c|d\n1||2||3\n')
    assert check(path, lake_settings, delimiter="||").columns == ("id", "a||b", "c|d")


def test_the_same_content_has_the_same_hash_and_its_size_is_unpacked(
    tmp_path: Path, lake_settings: Settings
) -> None:
    for name in ("x.csv", "y.csv"):
        (tmp_path / name).write_bytes(CSV)
    packed = tmp_path / "z.csv.gz"
    # Two members, as `cat a.gz b.gz` makes them.
    packed.write_bytes(gzip.compress(CSV) + gzip.compress(b"2,y\n"))
    first, second = (check(tmp_path / n, lake_settings) for n in ("x.csv", "y.csv"))
    assert first.sha256 == second.sha256
    assert check(packed, lake_settings).size == len(CSV) + 4


TORN = gzip.compress(CSV * 1000)[:-20]
DAMAGED = bytearray(gzip.compress(CSV * 1000))
DAMAGED[-6] ^= 0xFF


@pytest.mark.parametrize(
    ("name", "data", "read", "told"),
    [
        ("x.csv", b"", {}, "empty"),
        ("x.csv.gz", gzip.compress(b""), {}, "empty"),
        ("x.csv.gz", b"", {}, "empty"),
        ("x.csv.gz", TORN, {}, "torn or damaged"),
        ("x.csv.gz", bytes(DAMAGED), {}, "gzip"),
        ("x.csv.gz", CSV, {}, "not a gzip file"),
        ("x.csv", gzip.compress(CSV), {}, "name it x.csv.gz"),
        ("x.csv", b"\x7fELF\x00\x01\x02", {}, "binary"),
        ("x.csv", b"PK\x03\x04\x14\x00\x00\x00", {}, "a zip archive, or a spreadsheet: unpack it"),
        ("x.csv", b"id\n1\nr\xe9sum\xe9\n", {}, "near line 3: not utf-8; set encoding"),
        ("x.csv", b"id,Id\n1,2\n", {}, "column 'id' stands twice"),
        ("x.csv", b"PAR1....", {}, 'format = "parquet"'),
        ("x.jsonl", b'[{"a": 1}]', {"format": "jsonl"}, 'format = "json"'),
        ("x.jsonl", b"a,b\n1,2\n", {"format": "jsonl"}, "not JSON Lines"),
        ("x.json", b"hello", {"format": "json"}, "not JSON"),
        ("x.parquet", b"PAR1 and no more", {"format": "parquet"}, "not a readable Parquet"),
    ],
    # Names of their own: a packed file holds the time, and workers must agree on what a test is called.
    ids=range(16),
)
def test_what_cannot_be_read_is_refused_by_name(
    tmp_path: Path, lake_settings: Settings, name: str, data: bytes, read: dict[str, str], told: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(BadInput) as caught:
        check(path, lake_settings, **read)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)


def test_other_encodings_are_read_when_the_mapping_says_so(tmp_path: Path, lake_settings: Settings) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("名称,价\n茶,1\n".encode("gb18030"))
    assert check(path, lake_settings, encoding="gb18030").columns == ("名称", "价")


def test_parquet_tells_its_columns(tmp_path: Path, lake_settings: Settings) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": [1], "name": ["x"]}), path)
    assert check(path, lake_settings, format="parquet").columns == ("id", "name")


@pytest.mark.s3
class TestOnAStore:
    """A store that fails is tried again; a right that is missing, or a file, is told."""

    @pytest.fixture(scope="class")
    def wire(self, s3_endpoint: str) -> Iterator[Proxy]:
        with proxy(s3_endpoint) as found:
            yield found

    @pytest.fixture
    def there(self, s3_settings: Settings, wire: Proxy) -> Settings:
        S3Store(s3_settings).write("raw/a.csv", CSV)
        return s3_settings.model_copy(update={"s3_endpoint": wire.endpoint})

    @pytest.mark.parametrize("kind", ["cut_download", "reset"])
    def test_a_fault_of_the_network_is_worth_another_try(
        self, kind: str, there: Settings, wire: Proxy
    ) -> None:
        uri = f"{there.lake}/raw/a.csv"
        wire.inject(Fault(kind, method="GET"))
        with pytest.raises(Transient, match=rf"{uri}: the store did not answer: .*"):
            check_file(Found(uri, True), Read(), there)
        wire.inject(Fault("reset"))
        with pytest.raises(Transient, match=rf"'{uri}': the store did not answer: .*"):
            find_files([uri], there)
        assert wire.heal() > 0
        assert check_file(find_files([uri], there)[0], Read(), there).columns == ("id", "name")

    def test_a_wrong_key_is_a_wrong_setting(self, there: Settings) -> None:
        uri = f"{there.lake}/raw/a.csv"
        wrong = there.model_copy(update={"s3_secret_key": SecretStr("hunter2")})
        for call in (
            lambda: find_files([uri], wrong),
            lambda: check_file(Found(uri, True), Read(), wrong),
        ):
            with pytest.raises(BadInput, match=r"the store refused: .*'s3_…' in the settings") as told:
                call()
            assert "hunter2" not in str(told.value)

    def test_a_file_that_is_gone_is_named(self, there: Settings) -> None:
        with pytest.raises(BadInput, match=r"raw/b\.csv"):
            check_file(Found(f"{there.lake}/raw/b.csv", True), Read(), there)
