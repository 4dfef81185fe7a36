from __future__ import annotations

from pathlib import Path

import pytest

from kitestring.errors import ConfigError
from kitestring.retrieval.evaluation import Question, QuestionSet, evaluate, question_set, refusals
from tests.unit.retrieval.help_center import help_center

HELP_DESK = Path(__file__).parents[3] / "kitestring" / "testing" / "help_desk" / "questions.yaml"


def test_scores_count_records_by_their_ranks(tmp_path: Path) -> None:
    center = help_center(tmp_path)
    questions = [
        Question("how long is an account locked?", records=frozenset(["articles_1"])),
        Question("who may start an export?", titles=frozenset(["Exports", "Nowhere"])),
        Question("thermal printers", frozenset(["articles_9"])),
        Question("how do I bake bread?"),
    ]
    (score,) = evaluate(center, QuestionSet(questions, "articles"))
    assert score.name == "meaning"
    assert score.recall_at_5 == pytest.approx((1 + 0.5 + 0) / 3)
    assert score.mrr == pytest.approx((1 + 1 + 0) / 3)
    assert 0.5 < score.ndcg < score.mrr
    assert score.missed == ["thermal printers"]
    counts = refusals(center, QuestionSet(questions, "articles"))
    assert (counts.without_answer, counts.without_answer_refused, counts.with_answer) == (1, 1, 3)
    with pytest.raises(ConfigError, match="no question names"):
        evaluate(center, QuestionSet(questions[3:]))


def test_the_demo_has_forty_questions_eight_of_them_without_an_answer() -> None:
    saved = question_set(HELP_DESK)
    assert (saved.stream, len(saved.questions)) == ("articles", 40)
    assert sum(not question.expected for question in saved.questions) == 8


@pytest.mark.parametrize("text", ["", "questions: []", "questions: [x]", "questions: [{question: a, titles: b}]", "{"])
def test_a_file_that_has_no_questions_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "questions.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        question_set(path)
