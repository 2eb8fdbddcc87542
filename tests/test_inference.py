"""Translating with finished runs: beams, lists of the best, ensembles, and what the attention looked at."""

import json
import os
import pathlib
import pty
import re

import numpy as np
import pytest

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config, DataConfig, ModelConfig, TrainConfig
from seq2seq_jax.data.examples import PairSplit
from seq2seq_jax.data.vocabulary import Vocabulary
from seq2seq_jax.errors import UserError
from seq2seq_jax.evaluate.metrics import PER_CORPUS, PER_EXAMPLE, translation_metrics
from seq2seq_jax.inference import trace
from seq2seq_jax.inference.attention_file import check_attention_file, write_attention
from seq2seq_jax.inference.evaluate import evaluate
from seq2seq_jax.inference.trained_run import TrainedRun
from seq2seq_jax.inference.translate import open_translators, read_sources, translations
from seq2seq_jax.train.evaluation import TranslatorEvaluator
from seq2seq_jax.train.loop import train
from tests.training_fixture import pair_config, text_config, write_pairs

WORDS = [a + b + c for a in "abc" for b in "abcd" for c in "ab"]
SOURCES = ["abЖ", "", "c", "dab"]  # no run has seen the third letter


@pytest.fixture(scope="module")
def workdirs(tmp_path_factory) -> dict[str, str]:
    """Two runs that have begun to learn to copy, one without attention that also has another alphabet."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "copy.tsv").write_text("".join(f"{word}\t{word}\n" for word in WORDS))
    (folder / "other.tsv").write_text("".join(f"{word}\t{word.upper()}\n" for word in WORDS))
    for name, data, attention, seed in (("a", "copy", "general", 0), ("b", "copy", "general", 1), ("c", "other", "none", 0)):
        config = Config(
            DataConfig(train=str(folder / f"{data}.tsv"), dev_fraction=0, test_fraction=0),
            ModelConfig(embedding_dim=4, hidden_dim=8, bidirectional=False, attention=attention),
            TrainConfig(steps=40, batch_size=8, learning_rate=1e-2, seed=seed, devices=1),
        )
        train(config, str(folder / name))
    return {name: str(folder / name) for name in "abc"}


def texts(found):
    return [[one.text for one in listed] for listed in found]


def test_a_beam_of_1_is_greedy_and_an_ensemble_of_one_run_with_itself_is_the_run(workdirs):
    run = TrainedRun(workdirs["a"])
    assert isinstance(run.evaluator, TranslatorEvaluator)
    greedily = run.evaluator.translate(run.params, SOURCES)
    for named in (workdirs["a"], pathlib.Path(workdirs["a"]), [workdirs["a"]]):  # red if a path is taken for a list of its letters
        assert [best.text for best, *_ in translations(open_translators(named), SOURCES)] == greedily
    assert len(set(greedily)) > 1
    alone = translations(open_translators([workdirs["a"]]), SOURCES, beam_size=3, n_best=3)
    twice = translations(open_translators([workdirs["a"]] * 2), SOURCES, beam_size=3, n_best=3)
    assert texts(twice) == texts(alone)
    both = translations(open_translators([workdirs["a"], workdirs["b"]]), SOURCES, beam_size=3, n_best=3)
    scores = [np.array([[one.score for one in listed] for listed in found if len(listed) == 3]) for found in (alone, twice, both)]
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-5)
    assert np.abs(scores[2] - scores[0]).max() > 1e-2


def test_runs_are_scored_together_as_they_translate_together(workdirs, tmp_path, capsys):
    """Red if a second run or the beam is passed over, an empty source is decoded by one way alone, or unknown letters go unsaid."""
    sources = [*WORDS[:20], "", "ЖaЖ"]
    (tmp_path / "held.tsv").write_text("".join(f"{source}\t{source}\n" for source in sources))
    file, metrics = str(tmp_path / "held.tsv"), (*PER_EXAMPLE, *PER_CORPUS)
    alone, twice = (evaluate([workdirs["a"]] * times, "dev", file) for times in (1, 2))
    assert twice["workdir"] == [workdirs["a"]] * 2
    assert evaluate(workdirs["a"], "dev", file) == alone  # red if a path is taken for a list of its letters
    assert {name: alone[name] for name in metrics} == {name: twice[name] for name in metrics}
    assert alone["unknown_units"] == 2
    assert f"evaluate: {file}: 1 of 22 sources have a unit that the vocabulary has not." in capsys.readouterr().err
    both = [workdirs["a"], workdirs["b"]]
    outputs = [best.text for best, *_ in translations(open_translators(both), sources, beam_size=3)]
    expected = translation_metrics(outputs, [[source] for source in sources], "char", metrics)
    assert evaluate(both, "dev", file, beam_size=3) == {"workdir": both, "split": None, "data": file, "unknown_units": 2, **expected}


def test_the_loss_of_pairs_has_scores_by_batch(workdirs):
    run = TrainedRun(workdirs["a"])
    config = config_lib.replace(run.config, {"train.metric": "loss_nats_per_token"})
    evaluator = TranslatorEvaluator(config, run.programs, run.vocabularies, run.directory.begun().batch_shapes)
    words = WORDS * 4  # ten batches and more
    found = evaluator.evaluate(run.params, PairSplit([*map(str, words)], [[word] for word in words]))
    assert found.scores is not None
    amounts, sizes = found.scores
    assert found.metrics["loss_nats_per_token"] == pytest.approx(amounts.sum() / sizes.sum(), rel=1e-9)
    assert (len(sizes), sizes.sum()) == (len(words) // 8, 4 * len(words))


def test_an_answer_is_one_line_whatever_is_decoded(workdirs, monkeypatch):
    """Bytes and subwords can spell a line end. Red if one of the ways to an output prints it."""
    monkeypatch.setattr(Vocabulary, "decode", lambda self, ids: "a\nb")
    run = TrainedRun(workdirs["a"])
    assert isinstance(run.evaluator, TranslatorEvaluator)
    assert run.evaluator.translate(run.params, ["ab"]) == [translations([run], ["ab"])[0][0].text] == ["a b"]


def test_the_best_come_first_by_score(workdirs):
    runs, sources = open_translators([workdirs["a"]]), list(filter(None, SOURCES))
    found, by_probability = (translations(runs, sources, 4, 4, length_penalty) for length_penalty in (1.0, 0.0))
    for listed, others in zip(found, by_probability, strict=True):
        assert len({one.text for one in listed}) == 4
        assert [one.score for one in listed] == sorted((one.score for one in listed), reverse=True)
        log_probabilities = {one.text: one.score for one in others}
        same = [one for one in listed if one.text in log_probabilities]
        assert same
        for one in same:
            length = len(one.text) + 1  # with EOS, which the limit cuts from none of these
            assert one.score == pytest.approx(log_probabilities[one.text] / ((5 + length) / 6), rel=1e-5)
    assert translations(runs, []) == []


def test_a_search_keeps_as_many_as_are_asked_for(workdirs):
    """Red if fewer outputs come than ``n_best`` because no width was given."""
    runs = open_translators([workdirs["a"]])
    assert translations(runs, ["ab"], n_best=3) == translations(runs, ["ab"], beam_size=3, n_best=3)
    assert len(translations(runs, ["ab"], n_best=3)[0]) == 3


def test_runs_together_write_as_much_as_the_one_that_may_write_most(workdirs):
    """Red if the shortest limit cuts off what they write together."""
    runs = open_translators([workdirs["a"], workdirs["b"]])
    runs[0].output_limit = 1
    assert max(len(best.text) for best, *_ in translations(runs, SOURCES)) > 1


def test_what_cannot_be_done_is_said(workdirs):
    with pytest.raises(UserError, match="its vocabularies are not those of"):
        translations(open_translators([workdirs["a"], workdirs["c"]]), SOURCES)
    left = pathlib.Path(workdirs["b"]) / "vocabulary/source.json.123.partial"
    left.write_text("{")  # by a start that was killed
    assert len(open_translators([workdirs["a"], workdirs["b"]])) == 2
    left.unlink()
    with pytest.raises(UserError, match="--attention"):
        translations(open_translators([workdirs["c"]]), SOURCES, attention=True)


def test_sources_are_lines_of_utf_8(tmp_path):
    """Red if a byte order mark is read as a letter, a line end of Unicode ends a source, or another encoding ends in a traceback."""

    def read(content: bytes) -> list[str]:
        (tmp_path / "a.txt").write_bytes(content)
        with open(tmp_path / "a.txt", "rb") as file:
            return read_sources(file)

    assert read("\ufeffa\r\nb\u2028\n\n".encode()) == ["a", "b\u2028", ""]
    with pytest.raises(UserError, match=r"^standard input:2: byte 0xff is not UTF-8"):
        read(b"a\n\xff\n")


def test_who_types_sources_is_told_how_to_end_them(tmp_path, capsys):
    """Red if a terminal waits without a word, or sources that come from elsewhere are met with one."""
    typing, terminal = pty.openpty()
    os.write(typing, b"cat\n\x04")  # Ctrl-D
    with open(terminal, "rb") as stream:
        assert read_sources(stream) == ["cat"]
    assert "Ctrl-D" in capsys.readouterr().err
    os.close(typing)
    (tmp_path / "a.txt").write_text("cat\n")
    with open(tmp_path / "a.txt", "rb") as stream:
        assert read_sources(stream) == ["cat"]
    assert capsys.readouterr().err == ""


def test_a_pair_of_dev_is_traced_whatever_it_holds(workdirs, capsys, monkeypatch):
    """Red if a tab, which aligned files may have, is taken for the one between source and target that is typed."""
    monkeypatch.setattr(TrainedRun, "split", lambda run, name: PairSplit(["a\tb", "c"], [["b\t", "a"], ["c"]]))
    trace.trace_run(workdirs["a"], None, 1, 0, "json", None)
    found = json.loads(capsys.readouterr().out)
    assert found["sequences"]["source"]["symbols"] == ["a", "<unk>", "b", "<eos>"]
    assert [row["symbol"] for row in found["outputs"]] == ["b", "<unk>", "<eos>"]
    trace.trace_run(workdirs["a"], None, 2, 0, "json", None)
    found = json.loads(capsys.readouterr().out)
    assert (found["sequences"]["source"]["symbols"], found["outputs"][0]["symbol"]) == (["c", "<eos>"], "c")
    with pytest.raises(UserError, match="--text: has more than one tab"):
        trace.trace_run(workdirs["a"], "a\tb\tc", 1, 0, "json", None)


def test_an_output_of_bytes_is_traced_as_it_is(tmp_path, capsys, monkeypatch):
    """Red if it is read as text first: bytes that spell none would become others."""
    write_pairs(tmp_path / "a.tsv", 40)
    train(pair_config(tmp_path / "a.tsv", data__target_unit="byte", train__steps=2), str(tmp_path / "run"))
    run = TrainedRun(str(tmp_path / "run"))
    broken = [run.vocabularies["target"].symbols.index(byte) for byte in ("0xa4", "0xff")]
    monkeypatch.setattr(type(run.evaluator), "output_ids", lambda evaluator, params, source: broken)
    capsys.readouterr()
    trace.trace_run(str(tmp_path / "run"), "ab", 1, 0, "json", None)
    assert [row["symbol"] for row in json.loads(capsys.readouterr().out)["outputs"]] == ["0xa4", "0xff", "<eos>"]


def test_the_own_output_that_is_traced_is_what_translate_gives(workdirs):
    run = TrainedRun(workdirs["a"])
    assert isinstance(run.evaluator, TranslatorEvaluator)
    for source in SOURCES:
        ids = run.evaluator.output_ids(run.params, source)
        assert run.vocabularies["target"].decode_line(ids) == run.evaluator.translate(run.params, [source])[0]


def test_the_line_of_dev_that_is_traced_is_the_one_in_the_file(tmp_path, capsys):
    """Red if a unit without a row is spelled as <unk> and that is read letter by letter."""
    (tmp_path / "a.txt").write_text("nine kin " * 40)
    (tmp_path / "dev.txt").write_text("\nniñe kin " + 60 * "n" + "\n \nkin\n")
    train(text_config(tmp_path / "a.txt", data__dev=str(tmp_path / "dev.txt"), train__steps=2), str(tmp_path / "run"))
    capsys.readouterr()
    trace.trace_run(str(tmp_path / "run"), None, 1, 0, "json", None)
    symbols = [row["symbol"] for row in json.loads(capsys.readouterr().out)["outputs"]]
    assert symbols == [*"ni", "<unk>", *"e kin ", *"n" * (trace.MOST_UNITS - 9)]
    trace.trace_run(str(tmp_path / "run"), None, 2, 0, "json", None)
    assert [row["symbol"] for row in json.loads(capsys.readouterr().out)["outputs"]] == [*"kin"]


def test_attention_is_written_and_drawn(workdirs, tmp_path):
    found = translations(open_translators([workdirs["a"], workdirs["b"]]), SOURCES, beam_size=2, attention=True)
    picture = write_attention(tmp_path / "attention.jsonl", [best.attended for (best,) in found])
    rows = [json.loads(line) for line in (tmp_path / "attention.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["source"] for row in rows] == [["a", "b", "<unk>", "<eos>"], [], ["c", "<eos>"], ["d", "a", "b", "<eos>"]]
    for row, (best,) in zip(rows, found, strict=True):
        assert "".join(row["output"]).removesuffix("<eos>") == best.text
        assert np.shape(row["weights"]) == ((len(row["output"]), len(row["source"])) if row["source"] else (0,))
        np.testing.assert_allclose(np.sum(row["weights"], axis=-1), 1 if row["source"] else 0, atol=1e-5)
        assert all(weight == round(weight, 6) for of_symbol in row["weights"] for weight in of_symbol)
    assert picture is not None
    drawn = picture.read_text(encoding="utf-8")
    assert picture.name == "attention.svg"
    assert all(f">{symbol.replace('<', '&lt;').replace('>', '&gt;')}</text>" in drawn for symbol in rows[0]["source"])
    assert translations(open_translators([workdirs["a"]]), SOURCES)[0][0].attended is None


def test_attention_is_written_where_it_is_named(workdirs, tmp_path, monkeypatch):
    """Red if a link or a device is replaced by a file, or what cannot be written is found out after all translations."""
    found = [best.attended for (best,) in translations(open_translators([workdirs["a"]]), ["abc"], attention=True)]
    for name, target in (("a.json", tmp_path / "target"), ("null.json", "/dev/null"), ("full.json", "/dev/full")):
        (tmp_path / name).symlink_to(target)
        check_attention_file(tmp_path / name)
    assert write_attention(tmp_path / "a.json", found) == tmp_path / "a.svg"
    assert (tmp_path / "a.json").is_symlink()
    assert json.loads((tmp_path / "target").read_text(encoding="utf-8"))["source"] == ["a", "b", "c", "<eos>"]
    assert write_attention(tmp_path / "null.json", found) is None
    assert (tmp_path / "null.json").is_symlink()
    with pytest.raises(UserError, match=r"^--attention=.*full\.json: cannot be written: No space left"):
        write_attention(tmp_path / "full.json", found)
    with open(tmp_path / "open.json", "w") as file:  # where standard output leads to a file that has the answers, say
        print("an answer", file=file, flush=True)
        assert write_attention(pathlib.Path(f"/dev/fd/{file.fileno()}"), found) is None
    assert (tmp_path / "open.json").read_text(encoding="utf-8") == "an answer\n" + (tmp_path / "target").read_text(encoding="utf-8")
    refusals = ((tmp_path, "new.json", "new.json"), (tmp_path / "target", "a.json", "a.json"), (tmp_path / "a.svg", "a.json", "a.svg"))
    for denied, name, refused in refusals:
        monkeypatch.setattr(os, "access", lambda place, mode, denied=denied: pathlib.Path(place).resolve() != denied)
        with pytest.raises(UserError, match=rf"^--attention=.*{refused}: cannot be written; expected"):
            check_attention_file(tmp_path / name)


def test_attention_has_the_text_of_subwords(workdirs):
    """Red if a reader sees the letters that stand for bytes."""
    (run,) = open_translators([workdirs["a"]])
    target = run.vocabularies["target"]
    target.unit, target.symbols[4:] = "bpe", ["Ġa", "Ã©", "Ċ", "æĹ"]
    found = translations([run], ["abc", "dab", "bd"], attention=True)
    read = {symbol for (best,) in found if best.attended is not None for symbol in best.attended.output}
    assert "<eos>" in read
    assert len(read) > 1
    assert read <= {" a", "é", "\n", "æĹ", "<eos>"}


def test_a_picture_takes_any_script():
    from seq2seq_jax.inference.attention_picture import attention_svg

    drawn = attention_svg(["語", "ก็", "$x$", " "], ["한"], np.full((1, 4), 0.25))
    assert all(symbol in drawn for symbol in ("語", "ก็", "$x$", "한"))


def test_names_in_a_picture_have_room_and_the_colours_of_all_pictures():
    """Red if long names take the place of the cells, or part of the picture is drawn in Matplotlib's own style."""
    from seq2seq_jax.inference.attention_picture import attention_svg

    drawn = [attention_svg(["a", name], ["b", name], np.full((2, 2), 0.5)) for name in ("c", "internationalisation")]
    sizes = [[float(points) for points in re.findall(r'(?:width|height)="([\d.]+)pt"', svg)] for svg in drawn]
    assert all(long > short + 100 for short, long in zip(*sizes, strict=True))
    texts = re.findall("<text[^>]*>", drawn[0])
    assert texts
    assert all("fill:" in text for text in texts)
