"""What is shown of work that takes long, and that nothing is of work that does not."""

import pytest
import rooms

from mscn_flax import codec, progress
from mscn_flax.progress import shown_if_long


@pytest.mark.parametrize(("soon", "shown"), [(0.0, True), (1e9, False)])
def test_parts_are_counted_where_they_take_long(soon, shown, monkeypatch, capsys):
    monkeypatch.setattr(progress, "SOON_S", soon)
    with shown_if_long("coding a.png", "patch") as show:
        for done in (10, 20, 30):
            show(done, 30)
    said = capsys.readouterr().err
    assert ("coding a.png  patch 30/30" in said) == shown
    assert shown or not said


@pytest.mark.parametrize("work", ["encode", "decode"])
def test_the_codec_counts_every_part(work):
    shared, signal, told = rooms.model("image"), rooms.signal("image"), []
    data = codec.encode(shared, signal, show=(lambda *of: told.append(of)) if work == "encode" else None)
    if work == "decode":
        codec.decode(shared, data, show=lambda *of: told.append(of))
    assert told[-1] == (6, 6)
