"""The record of an evaluation that never happened: three models, three suites, four attacks. All is made up."""

import math

from alum.attacks.text.worded import WordedText

MODELS = ("standard", "alum", "alum_one_pass")
EPSILONS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
GROUPS = ("lexical_overlap", "subsequence", "constituent")

REVIEW = (
    "I rented this one on a whim and expected very little. The first half hour is slow, almost stubbornly so, and "
    "the lighting is dreadful. But the two leads are so warm, and so funny together, that I stopped minding. By "
    "the end I was moved, which I did not see coming at all, and my husband, who sleeps through everything, was "
    "wide awake. The music deserves a mention too: a handful of piano pieces, used sparingly, never to tell you "
    "what to feel. Some scenes in the middle could have been shorter and one subplot goes nowhere, but these are "
    "small complaints about a wonderful little film that I have been recommending to everybody since. Rent it, "
    "forgive it the first half hour, and let it win you over."
)
WORDS = WordedText.of(REVIEW).words

# Accuracy of each model: on clean text, and what is left of it under each attack.
_CLEAN = {
    "sst2": (0.905, 0.912, 0.918),
    "cad_imdb": (0.792, 0.815, 0.807),
    "hans": (0.583, 0.628, 0.611),
}
_KEPT = {"typing": (0.90, 0.93, 0.92), "deepwordbug": (0.26, 0.41, 0.38), "hotflip": (0.15, 0.37, 0.33)}
_PGD_HALVED_AT = (0.021, 0.045, 0.039)
_ROWS = {"sst2": 200, "cad_imdb": 200, "hans": 300}


def evaluation_results():
    """A dict as ``results.json`` holds it."""
    scores = with_clean([score for suite in _ROWS for score in _scores(suite)])
    return {
        "schema_version": 1,
        "created": "2026-11-20T14:03:27+00:00",
        "elapsed_seconds": 5127.4,
        "settings": {
            "model_name_or_path": [f"runs/{name}" for name in MODELS],
            "suites": ["sst2=data/glue_sst2", "cad_imdb=data/cad_imdb_revised", "hans"],
            "attacks": ["typing", "pgd", "deepwordbug", "hotflip"],
            "epsilons": list(EPSILONS),
            "max_eval_samples": 300,
            "seed": 0,
        },
        "environment": {
            "alum": "0.1.0",
            "torch": "2.13.0",
            "transformers": "5.23.0",
            "python": "3.11.7",
            "device": "cpu",
        },
        "models": [{"name": name, "path": f"runs/{name}", "num_parameters": 22713986} for name in MODELS],
        "suites": _suites(),
        "attacks": _attacks(),
        "scores": scores,
        "comparisons": list(_comparisons(scores)),
        "calibration": list(_calibration(scores)),
        "checks": list(_checks()),
        "examples": _examples(),
        "gains": _gains(),
    }


def with_clean(scores):
    """Scores under an attack with the clean ones of the same rows beside them, as if all had been attacked."""
    clean = {
        (score["model"], score["suite"], score["group"], f"robust_{score['metric']}"): score
        for score in scores
        if score["attack"] is None
    }
    for score in scores:
        found = clean.get((score["model"], score["suite"], score["group"], score["metric"]))
        score["clean"] = found and {name: found[name] for name in ("value", "low", "high")}
    return scores


def _gains():
    """Of the first model: two perturbations that are adversarial, one that is noise, and one lost in rounding."""
    gains = {
        "alum": (701.0, 2e-3),
        "alum_one_pass": (825.0, 2e-3),
        "alum_released": (0.94, 3e-6),
        "alum_paper": (16.2, 8e-10),
    }
    where = {"model": "standard", "suite": "sst2"}
    return [{**where, "method": name, "gain": gain, "divergence": found} for name, (gain, found) in gains.items()]


def example(**settings):
    """One attacked row, with some of its fields changed."""
    return {
        "model": "standard",
        "suite": "sst2",
        "attack": "deepwordbug",
        "row": 17,
        "label": "positive",
        "outcome": "succeeded",
        "original": ["a gentle, compassionate drama about grief and healing"],
        "perturbed": ["a getnle, compasionate drama about grief and healing"],
        "changes": [
            {"text": 0, "word": 1, "old": "gentle", "new": "getnle"},
            {"text": 0, "word": 2, "old": "compassionate", "new": "compasionate"},
        ],
        "before": "positive",
        "after": "negative",
        "before_probabilities": {"negative": 0.004, "positive": 0.996},
        "after_probabilities": {"negative": 0.812, "positive": 0.188},
        "num_queries": 31,
        "changed_content_share": 2 / 6,
        "similarity": 0.871,
        "perplexity_ratio": 41.3,
        **settings,
    }


def _interval(value, num_rows, lowest=0.0, highest=1.0):
    """The normal approximation, which is enough for numbers that are made up."""
    half = 1.96 * math.sqrt(max(value * (1 - value), 0.002) / num_rows)
    return {"value": value, "low": max(value - half, lowest), "high": min(value + half, highest), "num_rows": num_rows}


def _scores(suite):
    num_rows = _ROWS[suite]
    for index, model in enumerate(MODELS):
        clean = _CLEAN[suite][index]
        at = {"model": model, "suite": suite, "epsilon": None, "group": None}
        yield {**at, "attack": None, "metric": "accuracy", **_interval(clean, num_rows)}
        robust = {**at, "metric": "robust_accuracy"}
        yield {**robust, "attack": "typing", **_interval(clean * _KEPT["typing"][index], num_rows)}
        for epsilon in EPSILONS:
            kept = 1 / (1 + (epsilon / _PGD_HALVED_AT[index]) ** 2)
            yield {**robust, "attack": "pgd", "epsilon": epsilon, **_interval(clean * kept, num_rows)}
        for attack in ("deepwordbug", "hotflip"):
            kept = _KEPT[attack][index]
            attacked = {**at, "attack": attack}
            yield {**robust, "attack": attack, **_interval(clean * kept, num_rows)}
            yield {**attacked, "metric": "attack_success_rate", **_interval(1 - kept, round(clean * num_rows))}
            share = {"value": 0.11 + 0.03 * index, "low": 0.10 + 0.03 * index, "high": 0.13 + 0.03 * index}
            succeeded = round(clean * (1 - kept) * num_rows)
            yield {**attacked, "metric": "changed_word_share", **share, "num_rows": succeeded}
            content = {name: 1.6 * value for name, value in share.items()}
            yield {**attacked, "metric": "changed_content_share", **content, "num_rows": succeeded}
            if attack == "deepwordbug":
                similar = {"value": 0.87 - 0.01 * index, "low": 0.85, "high": 0.89}
                yield {**attacked, "metric": "similarity", **similar, "num_rows": succeeded}
                ratio = {"value": 38.4, "low": 29.9, "high": 51.0}
                yield {**attacked, "metric": "perplexity_ratio", **ratio, "num_rows": succeeded}
            queries = {"value": 38.2 + 7 * index, "low": 34.0 + 7 * index, "high": 42.9 + 7 * index}
            yield {**attacked, "metric": "mean_queries", **queries, "num_rows": round(clean * num_rows)}
        if suite == "hans":
            yield from _group_scores(at, index)


def _group_scores(at, index):
    for number, group in enumerate(GROUPS):
        right = 0.66 - 0.08 * number + 0.045 * index * (number != 2)
        here = {**at, "group": group}
        yield {**here, "attack": None, "metric": "accuracy", **_interval(right, 100)}
        for attack in ("typing", "deepwordbug", "hotflip"):
            robust = _interval(right * _KEPT[attack][index], 100)
            yield {**here, "attack": attack, "metric": "robust_accuracy", **robust}


def _comparisons(scores):
    main = [score for score in scores if score["group"] is None and score["metric"].endswith("accuracy")]
    by_place = {(s["model"], s["suite"], s["attack"], s["epsilon"]): s for s in main}
    for (model, *place), score in by_place.items():
        if model != MODELS[0]:
            difference = score["value"] - by_place[(MODELS[0], *place)]["value"]
            half = 0.035 + 0.02 * (score["attack"] is not None)
            z = 1.96 * difference / half
            yield {
                **{name: score[name] for name in ("suite", "attack", "epsilon", "metric", "model", "num_rows")},
                "baseline": MODELS[0],
                "difference": difference,
                "low": difference - half,
                "high": difference + half,
                "p_value": math.erfc(abs(z) / math.sqrt(2)),
                "p_adjusted": min(1.0, 3 * math.erfc(abs(z) / math.sqrt(2))),
                "test": "mcnemar",
            }


def _calibration(scores):
    """Of all models in bins of 20 rows; the first is too sure, and after its temperature half as far off."""
    for score in scores:
        if score["group"] is None and score["metric"].endswith("accuracy"):
            excess = (0.12, 0.02, 0.04)[MODELS.index(score["model"])]
            yield {
                **{name: score[name] for name in ("model", "suite", "attack", "epsilon", "num_rows")},
                "temperature": 1 + 5 * excess,
                "raw": _calibration_level(score, excess),
                "after_temperature": _calibration_level(score, excess / 2),
            }


def _calibration_level(score, excess):
    num_bins = score["num_rows"] // 20
    sure = [0.55 + 0.44 * (number + 1) / num_bins for number in range(num_bins)]
    bins = [{"num_rows": 20, "confidence": c, "accuracy": max(c - excess, 0.0) * score["value"]} for c in sure]
    error = sum(found["confidence"] - found["accuracy"] for found in bins) / num_bins
    wrong = 1 - score["value"]
    return {
        "negative_log_likelihood": {"value": 3 * wrong + excess, "low": 2 * wrong, "high": 4 * wrong + excess},
        "brier_score": {"value": 2 * wrong, "low": wrong, "high": 2 * wrong + 0.01},
        "expected_calibration_error": {"value": error, "low": error / 2, "high": error + 0.02},
        "bins": bins,
    }


def _checks():
    for suite in ("sst2", "cad_imdb", "hans"):
        for model in MODELS:
            masked = (model, suite) == ("alum_one_pass", "hans")
            parts = [
                {
                    "name": "stronger with more steps",
                    "passed": True,
                    "expected": "accuracy with 40 steps at most 2 points below that with 10",
                    "found": "41.5 % with 10 steps, 41.0 % with 40",
                    "figures": {"accuracy_10_steps": 0.415, "accuracy_40_steps": 0.41},
                },
                {
                    "name": "stronger than noise",
                    "passed": not masked,
                    "expected": "accuracy under the attack below that under noise of the same length",
                    "found": "58.0 % under the attack, 57.0 % under noise" if masked else "41.5 % and 79.5 %",
                    "figures": {
                        "robust_accuracy": 0.58 if masked else 0.415,
                        "accuracy_under_noise": 0.57 if masked else 0.795,
                    },
                },
                {
                    "name": "zero at a large radius",
                    "passed": None if suite == "cad_imdb" else True,
                    "expected": "accuracy near 0 % at radius 1",
                    "found": "not measured" if suite == "cad_imdb" else "0.0 % at radius 1",
                    "figures": {} if suite == "cad_imdb" else {"accuracy_at_1": 0.0},
                },
            ]
            yield {"model": model, "suite": suite, "name": "gradient_masking", "passed": not masked, "parts": parts}


def _suites():
    return [
        {
            "name": "sst2",
            "kind": "classification",
            "main_metric": "accuracy",
            "num_rows": 200,
            "num_rows_available": 872,
            "source": "GLUE, validation split",
            "licence": "unknown",
            "citation": "Socher et al. 2013, Recursive deep models for semantic compositionality over a sentiment "
            "treebank; Wang et al. 2019, GLUE",
            "label_names": ["negative", "positive"],
        },
        {
            "name": "cad_imdb",
            "kind": "classification",
            "main_metric": "accuracy",
            "num_rows": 200,
            "num_rows_available": 488,
            "source": "https://github.com/acmi-lab/counterfactually-augmented-data, revised, test split",
            "licence": "Apache 2.0",
            "citation": "Kaushik et al. 2020, Learning the difference that makes a difference with "
            "counterfactually-augmented data",
            "label_names": ["negative", "positive"],
        },
        {
            "name": "hans",
            "kind": "pair classification",
            "main_metric": "accuracy",
            "num_rows": 300,
            "num_rows_available": 30000,
            "source": "https://github.com/tommccoy1/hans, evaluation set",
            "licence": "MIT",
            "citation": "McCoy et al. 2019, Right for the wrong reasons, arXiv:1902.01007",
            "label_names": ["entailment", "non-entailment"],
        },
    ]


def _attacks():
    return [
        {
            "name": "typing",
            "family": "noise",
            "source": "keys beside the right one, letters swapped, left out or doubled",
            "differs": "",
            "settings": {"rate": 0.1, "seed": 0},
            "may_change_label": False,
        },
        {
            "name": "pgd",
            "family": "embedding",
            "source": "Madry et al. 2018, arXiv:1706.06083",
            "differs": "on word embeddings; radius in units of their mean length",
            "settings": {"num_steps": 10, "norm": "l2", "num_restarts": 1},
            "may_change_label": False,
        },
        {
            "name": "deepwordbug",
            "family": "text",
            "source": "Gao et al. 2018, arXiv:1801.04354",
            "differs": "greedy until the answer changes",
            "settings": {"max_edit_distance": 30},
            "may_change_label": False,
        },
        {
            "name": "hotflip",
            "family": "text",
            "source": "Ebrahimi et al. 2018, arXiv:1712.06751",
            "differs": "words alone",
            "settings": {"max_changed_word_share": 0.2},
            "may_change_label": False,
        },
    ]


def _examples():
    return [
        example(),
        example(
            model="alum",
            outcome="failed",
            after="positive",
            after_probabilities={"negative": 0.339, "positive": 0.661},
            num_queries=46,
        ),
        example(
            model="alum_one_pass",
            attack="hotflip",
            row=41,
            label="negative",
            original=["it's slow -- very, very slow."],
            perturbed=["it's lively -- very, very slow."],
            changes=[{"text": 0, "word": 1, "old": "slow", "new": "lively"}],
            before="negative",
            after="positive",
            before_probabilities={"negative": 0.993, "positive": 0.007},
            after_probabilities={"negative": 0.418, "positive": 0.582},
            num_queries=12,
        ),
        example(
            suite="cad_imdb",
            row=3,
            original=[REVIEW],
            perturbed=[REVIEW.replace("wonderful", "w0nderful").replace("moved", "mvoed")],
            changes=[
                {"text": 0, "word": WORDS.index("moved"), "old": "moved", "new": "mvoed"},
                {"text": 0, "word": WORDS.index("wonderful"), "old": "wonderful", "new": "w0nderful"},
            ],
            before_probabilities={"negative": 0.121, "positive": 0.879},
            after_probabilities={"negative": 0.703, "positive": 0.297},
            num_queries=214,
        ),
        *(
            example(
                model=model,
                suite="hans",
                attack=attack,
                row=9120 + number,
                label="non-entailment",
                original=["The senators near the doctor advised the actor.", "The doctor advised the actor."],
                perturbed=[
                    "The senators near the doctor advised the actor.",
                    f"The {new} advised the actor.",
                ],
                changes=[{"text": 1, "word": 1, "old": "doctor", "new": new}],
                before="non-entailment",
                after="entailment",
                before_probabilities={"entailment": 0.402, "non-entailment": 0.598},
                after_probabilities={"entailment": 0.655, "non-entailment": 0.345},
                num_queries=9 + number,
            )
            for number, (model, attack, new) in enumerate(
                (model, attack, new)
                for model in MODELS
                for attack, new in (("deepwordbug", "dotcor"), ("hotflip", "senators"))
            )
        ),
        example(
            model="alum",
            attack="hotflip",
            row=77,
            original=["שלום, a film that is both sweet and sour"],
            perturbed=["שלום, a film that is both sour and sour"],
            changes=[{"text": 0, "word": 6, "old": "sweet", "new": "sour"}],
            num_queries=19,
        ),
        *(
            example(model=model, row=row, num_queries=20 + row % 13)
            for model in MODELS
            for row in (103, 109, 121, 135, 148)
        ),
    ]


def results_of_many(num_models):
    """The same with more models, each like one of the three, but a little worse the later it stands."""
    results = evaluation_results()
    names = [f"{MODELS[index % 3]}-seed-{index}" for index in range(num_models)]
    worse = {name: 1 - 0.005 * index for index, name in enumerate(names)}

    def copies(part):
        return [
            {**entry, "model": name}
            for name in names
            for entry in results[part]
            if name.startswith(entry["model"] + "-s")
        ]

    for part in ("scores", "calibration", "checks", "gains", "examples"):
        results[part] = copies(part)
    for score in results["scores"]:
        for name in ("value", "low", "high"):
            score[name] *= worse[score["model"]]
    with_clean(results["scores"])
    results["comparisons"] = [{**entry, "baseline": names[0]} for entry in copies("comparisons")]
    results["models"] = [{"name": name, "path": f"runs/{name}", "num_parameters": 22713986} for name in names]
    return results
