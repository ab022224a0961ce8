import numpy as np

from alum.attacks.text.protocol import AnswerLost, Misclassified, OutsideTolerance

OUTPUTS = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.4, 0.4, 0.2]])


def test_the_loss_is_what_is_not_the_label():
    np.testing.assert_allclose(Misclassified(1).loss(OUTPUTS), [0.7, 0.2, 0.6])


def test_the_goal_is_another_class_on_top():
    assert Misclassified(1).reached(OUTPUTS).tolist() == [True, False, True]
    assert Misclassified(0).reached(OUTPUTS).tolist() == [False, True, False]


def test_the_loss_of_a_victim_that_is_very_sure_still_shows():
    outputs = np.array([[1e-30, 1.0], [2e-30, 1.0]])
    np.testing.assert_allclose(Misclassified(1).loss(outputs), [1e-30, 2e-30])


def test_a_number_is_lost_outside_its_tolerance():
    goal, outputs = OutsideTolerance(2.0, tolerance=0.5), np.array([[2.5], [2.75], [1.0], [2.0]])
    np.testing.assert_allclose(goal.loss(outputs), [0.5, 0.75, 1.0, 0.0])
    assert goal.reached(outputs).tolist() == [False, True, True, False]


def test_an_answer_is_lost_when_it_matches_no_more():
    outputs = np.array([[0.1, 1.0, 1.0], [3.0, 0.0, 0.8], [2.0, 1.0, 1.0]])
    np.testing.assert_allclose(AnswerLost().loss(outputs), [0.1, 3.0, 2.0])
    assert AnswerLost().reached(outputs).tolist() == [False, True, False]
