from onepeace_pl.modalities.text.cleaning import CLEANINGS, clean_caption, lower_case


def test_captions() -> None:
    assert clean_caption("  !A Dog\tBarks   LOUDLY \n") == "!a dog barks loudly"
    assert clean_caption("#~A cat!") == "a cat!"
    assert clean_caption("one two three", max_words=2) == "one two"


def test_the_other_habits_leave_blanks_and_marks() -> None:
    assert lower_case(" ?A  b") == " ?a  b"
    assert CLEANINGS["none"](" ?A  b") == " ?A  b"
