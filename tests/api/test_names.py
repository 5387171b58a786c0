"""Names: which are legal, and how they become parts of a path."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats_aggregator_api import name_fault, path_part
from stats_aggregator_api.testing.examples import ODD_CATEGORIES

awkward = st.text(st.sampled_from('./\\%~ :*?"<>|-aA0é雪\n\0') | st.characters(exclude_categories=["Cs"]))
names = st.one_of(
    st.text(), awkward, st.sampled_from(ODD_CATEGORIES), awkward.map(lambda t: t * 40),
    awkward.map(lambda t: t + ".csv"), st.sampled_from(["CON", "con.x", "LPT9", "aux", "AUX.tar.gz"]),
)  # fmt: skip


@given(names)
def test_a_part_stays_in_its_directory_and_fits_a_file_system(name):
    part = path_part(name)
    assert part not in ("", ".", "..")
    assert os.path.basename(os.path.normpath(os.path.join("dir", part))) == part
    assert os.path.dirname(os.path.normpath(os.path.join("dir", part))) == "dir"
    assert len(f"{part}.jsonl".encode()) <= 255
    assert not set(part) & set('/\\:*"<>|\0\n')


@given(names, names)
def test_different_names_have_different_parts(one, other):
    assert (path_part(one) == path_part(other)) == (one == other)


@given(names, names, st.sampled_from([".csv", ".jsonl", ".CSV"]))
def test_the_file_of_one_category_is_never_the_directory_of_another(one, other, suffix):
    assert (path_part(one) + suffix).lower() != path_part(other).lower()


def test_usual_names_stay_as_they_are():
    for name in ("3DBall", "run-2026_01", "Walker Dynamic", "雪だるま", "a.b"):
        assert path_part(name) == name


def test_reserved_names_of_windows_are_escaped():
    for name in ("CON", "nul.txt", "com1", "trailing.", "trailing "):
        assert path_part(name) != name


def test_long_names_differ_even_where_their_beginnings_do_not():
    one, other = "x" * 500 + "1", "x" * 500 + "2"
    assert path_part(one) != path_part(other)
    assert len(path_part(one)) <= 180


# Overrides, isolates, marks of direction, spaces without width, a soft hyphen, tags, fillers of Hangul, a
# grapheme joiner, an empty cell of Braille: nothing is seen of them.
HIDDEN = [
    *map(
        chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200B, 0x200E, 0x200F, 0x061C, 0x00AD, 0x180E)
    ),
    *("\u180e", "\u2060", "\u2064", "\u206f", "\ufeff", "\ufff9", "\U000e0001", "\U000e0061", "\U0001d173"),
    *("\u034f", "\u115f", "\u1160", "\u2800", "\u3164", "\uffa0"),
]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "is empty"),
        ("a\nb", "has control characters"),
        ("\x9b31m", "has control characters"),
        ("\ud800", "has control characters"),
        (
            "reward\u202egnol",
            "'reward\\u202egnol' has format characters, which let one name pass for another",
        ),
        *((f"a{sign}b", "has format characters") for sign in HIDDEN),
        ("é" * 257, "is 514 bytes of UTF-8; at most 512 are allowed"),
    ],
)
def test_a_name_that_cannot_be_is_told_why(name, fault):
    assert fault in name_fault(name)


@pytest.mark.parametrize(
    "name",
    [
        "\N{FAMILY}",
        "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}",
        "\N{HEAVY BLACK HEART}\ufe0f",
        "\N{WAVING BLACK FLAG}\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # Scotland's
        "می\u200cروم",  # a Persian word is written with this non-joiner
        "שלום",
        "नमस्ते",
        "葛\U000e0100",
        "e\u0301",
        "한글",
        "\u1112\u1161\u11ab",  # the same in single letters
        "\uffbe\uffc2",
        "\u2801\u28ff",
    ],
)
def test_letters_and_emoji_are_let_through(name):
    assert name_fault(name) is None


@pytest.mark.parametrize("name", ["a", "é" * 256, *ODD_CATEGORIES])
def test_odd_but_legal_names_are_let_through(name):
    assert name_fault(name) is None
