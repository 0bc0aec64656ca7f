import pytest

from specdec_utils.text.prompts import read_prompts


def test_one_prompt_a_line(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("Tom ran.\n\n  \nÉva sang.\n", encoding="utf-8")
    assert read_prompts(file) == ["Tom ran.", "Éva sang."]


def test_what_cannot_be_used_is_one_sentence(tmp_path):
    empty, odd = tmp_path / "empty.txt", tmp_path / "odd.bin"
    empty.write_text("\n  \n")
    odd.write_bytes(b"\xff\xfe\xff")
    for path, message in ((tmp_path / "missing", "There is no file .*missing: name a text file"), (tmp_path, "cannot be read as text"),
                          (odd, "cannot be read as text: name a file of UTF-8 text"), (empty, "holds no prompt: write one prompt a line")):
        with pytest.raises(ValueError, match=message):
            read_prompts(path)
