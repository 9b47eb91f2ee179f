"""Options of a run, losses, schedules, frozen layers, exact resume; folds that do not leak; comparison of weights."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, replace

import lightning
import numpy as np
import pytest
import torch

from full_disk import full_disk
from labelled_cases import labelled_scan
from teethseg.cascade.networks.cascade_net import COARSE, FINE, CascadeNet
from teethseg.cascade.networks.ensemble import Ensemble
from teethseg.cascade.weights import load_weights, save_weights
from teethseg.cli.app import run
from teethseg.errors import InputError, TeethSegError, UsageError, WeightsError
from teethseg.evaluation.comparison import SCORES, ScoredCase, compare_scores
from teethseg.io.case_folder import write_case_folder
from teethseg.io.case_sources import usable_cases
from teethseg.training import fit as fit_module
from teethseg.training.case_scores import CaseScores, score_case
from teethseg.training.cases import CaseStore
from teethseg.training.data import CoarseSamples, FineSamples
from teethseg.training.fit import StageModule, find_learning_rate, fit, load_checkpoint
from teethseg.training.fold_report import Group, write_report
from teethseg.training.folds import FoldPlan, check_leaks, draw_folds, load_or_draw_plan, record_look
from teethseg.training.losses import categorical_dice, coarse_loss, foreground_dice_loss
from teethseg.training.optimisation import layer_groups, optimiser_and_schedule
from teethseg.training.options import FitOptions, read_values, save_options, with_values
from teethseg.training.plots import best_step, history, line_plot
from teethseg.training.sampling import Sampling, augmentations, random_tooth_voxel
from teethseg.training.targets import IGNORE, coarse_targets

QUICK = {"batch": 1, "patch": 32, "epoch": 1, "checks": 1, "workers": 0, "accelerator": "cpu", "seed": 3}


def write_cases(folder, count: int, patients=None, edge: int = 40):
    for number in range(count):
        patient = patients[number] if patients else f"patient-{number}"
        write_case_folder(folder / f"case-{number}", *labelled_scan(number, edge=edge), patient)
    return folder


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitting")
    write_cases(folder / "train", 2)
    write_case_folder(folder / "check" / "case-9", *labelled_scan(9), "patient-9")
    return folder


def test_options_are_one_file_and_mistakes_in_it_are_named(tmp_path):
    options = FitOptions("coarse", steps=10, schedule="one-cycle", patch=64)
    save_options(tmp_path, options, begun=False, cases="somewhere")
    again = with_values(FitOptions("fine"), read_values(tmp_path / "parameters.yaml"))
    assert again == options
    save_options(tmp_path, replace(options, steps=20, workers=3), begun=True)
    with pytest.raises(UsageError, match="begun with patch 64, not 48"):
        save_options(tmp_path, replace(options, patch=48), begun=True)
    assert with_values(options, {"learning_rate": "1e-3", "freeze": "5"}).learning_rate == 1e-3
    for values, words in [
        ({"no_such": 1}, "no option no_such"),
        ({"loss": "best"}, "cascade, dice, categorical-dice"),
        ({"steps": "many"}, "give a number"),
        ({"patch": 50}, "take 48"),
        ({"batch": 0}, "1 or more"),
    ]:
        with pytest.raises(UsageError, match=words):
            with_values(options, values)
    (tmp_path / "bad.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(InputError, match=r"bad\.yaml"):
        read_values(tmp_path / "bad.yaml")


def test_what_is_given_on_the_command_line_counts_before_the_file(tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr("teethseg.training.fit.fit", lambda **options: seen.update(options) or tmp_path)
    file = tmp_path / "given.yaml"
    file.write_text("stage: fine\nsteps: 7\npatch: 64\nschedule: plateau\n", encoding="utf-8")
    command = [
        "train",
        "coarse",
        str(tmp_path),
        str(tmp_path),
        "--run",
        str(tmp_path / "run"),
        "--parameters",
        str(file),
    ]
    assert run([*command, "--patch", "96", "--set", "loss=dice"]) == 0
    found = {name: seen[name] for name in ("stage", "steps", "patch", "schedule", "loss", "batch")}
    assert found == {"stage": "coarse", "steps": 7, "patch": 96, "schedule": "plateau", "loss": "dice", "batch": 2}


def test_samples_lie_where_their_shares_say(cases, tmp_path):
    """Every tooth has the same chance, however large it is; borders are padded; small scans are taken whole."""
    scan, labels = labelled_scan(5)
    array = labels.array.copy()
    array[array == 36] = 0
    corner = np.argwhere(labels.array == 36)[0]
    array[tuple(slice(at, at + 3) for at in corner)] = 36  # a tooth of 27 voxels among teeth of 500
    write_case_folder(tmp_path / "cases" / "a", scan, labels.with_array(array), "a")
    case = CaseStore(0.8, None).get(usable_cases(tmp_path / "cases")[0])
    case = replace(case, places=np.argwhere(case.labels > 0).astype(np.int16))
    case = replace(case, places=np.column_stack([case.labels[tuple(case.places.T)], case.places]))
    rng = np.random.default_rng(0)
    chosen = [case.labels[tuple(random_tooth_voxel(case, rng))] for _ in range(400)]
    assert all(70 < chosen.count(fdi) < 130 for fdi in (11, 21, 36, 46))
    shares = Sampling(around=0.5, centred=0.2, without=0.1)
    kinds = [shares.kind(drawn) for drawn in (0.0, 0.49, 0.51, 0.69, 0.71, 0.79, 0.81, 0.99)]
    assert kinds == ["around", "around", "centred", "centred", "without", "without", "anywhere", "anywhere"]
    with pytest.raises(UsageError, match="no more than 1"):
        Sampling(around=0.8, centred=0.3)
    with pytest.raises(UsageError, match="no augmentation twist"):
        Sampling(augment=augmentations("turn,twist"))

    def drawn(**options):
        return FineSamples(tmp_path / "cases", 3, 1, 64, sampling=Sampling(augment=frozenset(), **options)).drawn

    small = CoarseSamples(tmp_path / "cases", 1, 1, 64, sampling=Sampling(whole=True, augment=frozenset()))
    image, found, whole = small.drawn(0)
    assert image.shape == tuple(-(-n // 16) * 16 for n in whole.labels.shape)
    assert np.count_nonzero(found) == pytest.approx(np.count_nonzero(whole.labels), rel=0.05)
    still = [drawn(around=0.0, centred=1.0)(index)[1] for index in range(3)]
    assert all(found[n // 2 - 5 : n // 2 + 5, m // 2 - 5 : m // 2 + 5, k // 2 - 5 : k // 2 + 5].any()
               for found in still for n, m, k in [found.shape])  # fmt: skip
    empty = [drawn(around=0.0, without=1.0)(index)[1] for index in range(3)]
    assert sum((found > 0).mean() for found in empty) < sum((found > 0).mean() for found in still)


def test_turns_of_twenty_degrees_come_one_after_the_other(tmp_path):
    write_cases(tmp_path / "cases", 1)
    sampling = Sampling(around=0.0, centred=0.0, whole=True, augment=frozenset(), turns=3)
    samples = CoarseSamples(tmp_path / "cases", 6, 1, 96, sampling=sampling)
    first = [samples.drawn(index)[1] for index in range(3)]
    again = [samples.drawn(index)[1] for index in range(3, 6)]
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one, other)

    def angle(labels):
        """Angle of the line from 46 to 36, seen from above, in degrees."""
        places = [np.argwhere(labels == fdi).mean(axis=0) for fdi in (46, 36)]
        _, y, x = places[1] - places[0]
        return np.rad2deg(np.arctan2(y, x))

    steps = np.diff([angle(labels) for labels in first])
    assert np.allclose(np.abs(steps), 20, atol=8) and np.sign(steps).std() == 0


def test_categorical_dice_is_the_mean_over_the_classes_present():
    target = torch.zeros(1, 4, 4, 4, dtype=torch.int64)
    target[:, :2] = 2
    right = 20.0 * torch.nn.functional.one_hot(target, 5).movedim(-1, 1)
    assert categorical_dice(right, target) == pytest.approx(0, abs=1e-3)
    wrong = right.flip(2)  # the two classes exchanged
    assert categorical_dice(wrong, target) == pytest.approx(1, abs=1e-3)
    half = torch.where(target[:, None] == 2, right.roll(1, dims=1), right)  # one class correct, the other missed
    expected = 1 - (2 * 32 / (32 + 32) + 0) / 2  # classes 1, 3, 4 are absent and do not count
    assert categorical_dice(half, target) == pytest.approx(expected, abs=1e-3)
    unknown = target.clone()
    unknown[:, :2] = IGNORE
    assert categorical_dice(half, unknown) == pytest.approx(0, abs=1e-3)
    assert categorical_dice(half, torch.full_like(target, IGNORE)) == 0
    assert foreground_dice_loss(right, target) < 0.01 < foreground_dice_loss(wrong, target)


def test_each_loss_falls_by_what_is_right():
    labels = labelled_scan(0)[1].array[:32, :32, :32]
    target = {k: torch.from_numpy(np.ascontiguousarray(v))[None] for k, v in coarse_targets(labels).items()}
    right = {
        "jaw": 20.0 * torch.nn.functional.one_hot(target["jaw"], 3).movedim(-1, 1),
        "position": 20.0 * torch.nn.functional.one_hot(target["position"].clamp(min=0), 8).movedim(-1, 1),
    }
    for loss in ("cascade", "dice", "categorical-dice"):
        good = sum(coarse_loss(right, target, loss).values())
        bad = sum(coarse_loss({k: v.roll(1, dims=1) for k, v in right.items()}, target, loss).values())
        assert good < bad - 0.5, loss


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle", "plateau", "constant"])
def test_layers_learn_at_their_own_rates(schedule):
    network = CascadeNet(COARSE)
    parts = layer_groups(network)
    assert sorted(id(one) for part in parts for one in part) == sorted(id(one) for one in network.parameters())
    options = FitOptions("coarse", steps=50, schedule=schedule, layer_decay=0.5, learning_rate=0.1)
    made = optimiser_and_schedule(network, options)
    optimiser, schedule_ = made["optimizer"], made["lr_scheduler"]["scheduler"]
    heads, first = optimiser.param_groups[0], optimiser.param_groups[-1]
    assert any(one is network.backbone.encoder[0][0].weight for one in first["params"])
    highest = [heads["lr"]]
    for _ in range(50):
        assert first["lr"] == pytest.approx(heads["lr"] * 0.5 ** (len(parts) - 1), rel=0.02, abs=2e-6)
        optimiser.step()
        schedule_.step(1.0) if schedule == "plateau" else schedule_.step()
        highest.append(heads["lr"])
    assert max(highest) == pytest.approx(0.1, rel=0.05)
    assert highest[-1] < 0.06 or schedule == "constant"


@pytest.mark.slow
def test_a_run_that_was_interrupted_ends_as_one_that_was_not(tmp_path, cases):
    """Also: a seed is reproducible, a frozen encoder does not change, and kept checkpoints stay."""
    arguments = ("coarse", cases / "train", cases / "check")
    options = {**QUICK, "freeze": 1, "keep_every": 1, "cache": tmp_path / "cache"}
    fit(*arguments, tmp_path / "whole", 3, **options)

    def interrupt(done, total, metrics):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(SystemExit):
        fit(*arguments, tmp_path / "twice", 3, **options, tell=interrupt)
    fit(*arguments, tmp_path / "twice", 3, **options)

    def state(run, name):
        saved = torch.load(run / name, map_location="cpu", weights_only=True)
        return saved.get("current_model_state", saved["state_dict"])

    one, other = state(tmp_path / "whole", "last.ckpt"), state(tmp_path / "twice", "last.ckpt")
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    kept = sorted((tmp_path / "whole").glob("step=*.ckpt"))
    assert len(kept) == 3
    encoder = [key for key in one if "encoder" in key]
    head = next(key for key in one if "full_head" in key)
    first, last = state(tmp_path / "whole", kept[0].name), state(tmp_path / "whole", kept[-1].name)
    lightning.seed_everything(QUICK["seed"], verbose=False)
    untrained = StageModule("coarse", 3).state_dict()
    own = {key: next(name for name in first if name.endswith(key)) for key in untrained if "encoder" in key}
    assert all(torch.equal(untrained[key], first[name]) for key, name in own.items())  # frozen in the first step
    assert not torch.equal(first[head], last[head])
    assert any(not torch.equal(first[key], last[key]) for key in encoder)
    logged = history(tmp_path / "twice")
    assert [step for step, _ in logged["val_loss"]] == [1, 2, 3] and best_step(logged) in (1, 2, 3)
    assert "<svg" in (tmp_path / "whole" / "curves.html").read_text(encoding="utf-8")
    assert read_values(tmp_path / "whole" / "parameters.yaml")["freeze"] == 1


@pytest.mark.slow
def test_the_rate_finder_draws_losses_and_leaves_nothing_else(tmp_path, cases):
    options = FitOptions("coarse", **{name: value for name, value in QUICK.items() if name != "accelerator"})
    found = find_learning_rate(options, cases / "train", tmp_path, accelerator="cpu", cache=tmp_path / "cache", tries=8)
    assert found is None or 1e-7 <= found <= 0.3
    text = (tmp_path / "learning-rate.svg").read_text(encoding="utf-8")
    assert "polyline" in text and "learning rate" in text
    assert {path.name for path in tmp_path.iterdir()} == {"learning-rate.svg", "cache"}


def test_folds_are_by_patient_and_kept(tmp_path):
    folder = write_cases(tmp_path / "cases", 6, ["a", "a", "b", "c", "d", "e"])
    found = usable_cases(folder)
    plan = draw_folds(found, 2, 0.2, 1)
    everyone = sorted(patient for group in (*plan.folds, plan.test) for patient in group)
    assert everyone == ["a", "b", "c", "d", "e"] and len(plan.test) == 1
    for number in range(2):
        training, validation = plan.of_fold(number, found)
        assert not {one.patient for one in training} & {one.patient for one in validation}
        assert not {one.patient for one in (*training, *validation)} & set(plan.test)
    run_folder = tmp_path / "run"
    assert load_or_draw_plan(run_folder, found, 2, 0.2, 1) == load_or_draw_plan(run_folder, found, 2, 0.2, 99)
    with pytest.raises(UsageError, match="other patients"):
        load_or_draw_plan(run_folder, found[:-1], 2, 0.2, 1)
    with pytest.raises(UsageError, match="fewer folds"):
        draw_folds(found, 6, 0.2, 1)


def test_an_injected_leak_is_caught(tmp_path):
    folder = write_cases(tmp_path / "cases", 4)
    found = usable_cases(folder)
    store = CaseStore(1.5, tmp_path / "cache")
    plan = FoldPlan((("patient-0", "patient-1"), ("patient-2",)), ("patient-3",))
    check_leaks(plan, found, store)
    with pytest.raises(UsageError, match="patient-0 is in two folds"):
        check_leaks(FoldPlan((*plan.folds, ("patient-0",)), plan.test), found, store)
    write_case_folder(folder / "again", *labelled_scan(2), "somebody-else")  # the scan of patient-2 under another key
    leaking = FoldPlan((("patient-0", "patient-1", "somebody-else"), ("patient-2",)), ("patient-3",))
    with pytest.raises(UsageError, match="same scan"):
        check_leaks(leaking, usable_cases(folder), store)


def test_looks_at_the_test_set_are_counted_and_reported(tmp_path):
    assert len(record_look(tmp_path)) == 1
    looks = record_look(tmp_path)
    assert len(looks) == 2
    table = np.eye(8, dtype=int)
    group = Group("fold 1", (CaseScores("c<1>", "p", 0.9, 0.8, 1.0, table),), tmp_path)
    write_report(tmp_path, [group], [], looks)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "looked at 2 times" in page and "http" not in page.replace("http://www.w3.org", "")
    assert json.loads((tmp_path / "folds-results.json").read_text(encoding="utf-8"))["fold 1"]["dice"] == 0.9


def test_a_network_is_judged_on_whole_cases(tmp_path):
    """A network whose output equals the labels gets a perfect score; unlabelled voxels do not count."""
    folder = write_cases(tmp_path / "cases", 1)
    (source,) = usable_cases(folder)
    store = CaseStore(COARSE.spacing, tmp_path / "cache")
    truth = store.get(source)

    class Knows(torch.nn.Module):
        architecture = COARSE

        def forward(self, image):
            labels = np.pad(
                truth.labels, [(0, b - a) for a, b in zip(truth.labels.shape, image.shape[2:], strict=True)]
            )
            target = coarse_targets(np.ascontiguousarray(labels))
            jaw = torch.nn.functional.one_hot(torch.from_numpy(target["jaw"]), 3).movedim(-1, 0)
            position = torch.nn.functional.one_hot(torch.from_numpy(target["position"]).clamp(min=0), 8).movedim(-1, 0)
            return {"jaw": 10.0 * jaw[None], "position": 10.0 * position[None]}

    judged, found, case = score_case(Knows(), "coarse", source, store, "cpu")
    assert (judged.dice, judged.precision, judged.recall, judged.position_accuracy) == (1, 1, 1, 1)
    assert found.shape == case.labels.shape
    assert np.diag(judged.confusion).tolist() == [2, 0, 0, 0, 0, 2, 0, 0]  # 11, 21; 36, 46


@pytest.mark.slow
def test_folds_run_to_a_report_and_the_test_set_is_counted(tmp_path, capsys):
    folder = write_cases(tmp_path / "cases", 3, edge=24)
    for number, (name, content) in enumerate([("image.nrrd", b"NRRD0004\nnonsense"), ("case.json", b"{}")]):
        write_case_folder(folder / f"broken-{number}", *labelled_scan(5), "p-broken")
        (folder / f"broken-{number}" / name).write_bytes(content)
    values = {name: value for name, value in QUICK.items() if name != "accelerator"} | {"steps": 1}
    sets = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
    place = tmp_path / "run"
    command = ["folds", "run", "coarse", str(folder), "--run", str(place), "--folds", "2", "--test-share", "0.34"]
    assert run([*command, *sets, "--device", "cpu"]) == 0
    told = capsys.readouterr().err
    assert all(f"broken-{number} was left out: " in told for number in (0, 1))
    page = (place / "report.html").read_text(encoding="utf-8")
    assert "fold 1" in page and "fold 2" in page and "data:image/png;base64" in page and "<svg" in page
    plan = json.loads((place / "folds.json").read_text(encoding="utf-8"))
    results = json.loads((place / "folds-results.json").read_text(encoding="utf-8"))
    assert len(plan["test"]) == 1 and len(results["fold 1"]["cases"]) == 1
    capsys.readouterr()
    for looks in (1, 2):
        assert run(["folds", "test", str(folder), "--run", str(place), "--device", "cpu"]) == 0
        assert ("looked at before" in capsys.readouterr().err) == (looks == 2)
    assert "looked at 2 times" in (place / "report.html").read_text(encoding="utf-8")


def test_an_ensemble_is_the_mean_of_its_networks_and_survives_its_file(tmp_path):
    torch.manual_seed(0)
    coarse = [CascadeNet(COARSE).eval() for _ in range(2)]
    fine = CascadeNet(FINE).eval()
    file = tmp_path / "both.safetensors"
    save_weights(file, Ensemble(coarse), fine, {"training": "two folds"})
    loaded = load_weights(file)
    assert loaded.card["members"] == {"coarse": 2, "fine": 1}
    image = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        halves = [{k: v.half().float() for k, v in one.state_dict().items()} for one in coarse]
        for one, half in zip(coarse, halves, strict=True):
            one.load_state_dict(half)
        expected = (coarse[0](image)["jaw"] + coarse[1](image)["jaw"]) / 2
        assert torch.allclose(loaded.coarse(image)["jaw"], expected, atol=1e-5)
    with pytest.raises(ValueError, match="one architecture"):
        Ensemble([coarse[0], fine])
    card = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    card.pop("card_sha256")
    file.with_suffix(".json").write_text(json.dumps({**card, "members": {"coarse": 3}}), encoding="utf-8")
    with pytest.raises(WeightsError, match="another network"):
        load_weights(file)


def scored(differences: dict[str, list[float]]) -> list[ScoredCase]:
    return [
        ScoredCase(f"{patient}-{n}", patient, dict.fromkeys(SCORES, 0.5), dict.fromkeys(SCORES, 0.5 + difference))
        for patient, values in differences.items()
        for n, difference in enumerate(values)
    ]


def test_the_comparison_draws_patients_and_not_scans():
    rng = np.random.default_rng(0)
    clear = compare_scores(scored({f"p{n}": [0.05 + rng.normal(0, 0.01)] for n in range(12)}), 500, 1)[0]
    assert 0.03 < clear.low < clear.difference < clear.high < 0.07
    assert clear.sentence("A", "B").startswith("Dice of the tooth mask: B is better than A by 0.0")
    unsure = compare_scores(scored({f"p{n}": [0.05 * (-1) ** n] for n in range(12)}), 500, 1)[0]
    assert "no difference can be told" in unsure.sentence("A", "B")
    # Fifty scans of one patient count as one: the interval is that of the patients.
    many = compare_scores(scored({"a": [0.1] * 50, "b": [-0.1], "c": [-0.1]}), 500, 1)[0]
    few = compare_scores(scored({"a": [0.1], "b": [-0.1], "c": [-0.1]}), 500, 1)[0]
    assert (many.difference, many.low, many.high) == pytest.approx((few.difference, few.low, few.high))
    assert "of one patient nothing follows" in compare_scores(scored({"a": [0.1]}), 100, 1)[0].sentence("A", "B")
    assert compare_scores(scored({"a": [0.1], "b": [0.2]}), 100, 7) == compare_scores(
        scored({"a": [0.1], "b": [0.2]}), 100, 7
    )


@pytest.mark.slow
def test_weights_are_compared_on_labelled_scans(tmp_path, capsys):
    torch.manual_seed(0)
    save_weights(tmp_path / "own.safetensors", CascadeNet(COARSE), CascadeNet(FINE), {"training": "none"})
    folder = write_cases(tmp_path / "cases", 1, edge=24)
    (folder / "broken").mkdir()
    (folder / "broken" / "image.nrrd").write_bytes(b"NRRD0004\n")
    (folder / "broken" / "labels.nrrd").write_bytes(b"NRRD0004\n")
    (folder / "broken" / "case.json").write_text('{"patient": "b"}', encoding="utf-8")
    command = ["model", "compare", "shipped", str(tmp_path / "own.safetensors"), "--data", str(folder)]
    assert run([*command, "--json", str(tmp_path / "out.json"), "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert "own" in printed.out and "one patient" in printed.out and "broken was left out" in printed.err
    content = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert {one["score"] for one in content["results"]} == set(SCORES) and len(content["cases"]) == 1
    assert run(["model", "compare", "shipped", "shipped", "--data", str(folder)]) == 2


def test_plots_are_whole_whatever_they_are_given():
    assert "no values" in line_plot({"a": []}, "t", "x")
    svg = line_plot({"a<b": [(1, 2.0), (2, float("nan")), (3, 1.0)]}, "t & u", "x", mark=3)
    assert "a&lt;b" in svg and "t &amp; u" in svg and "nan" not in svg
    assert asdict(FitOptions("fine"))["stage"] == "fine" and load_checkpoint


def test_what_a_run_cannot_begin_with_is_named(tmp_path, cases, capsys):
    (tmp_path / "file").write_text("no checkpoint", encoding="utf-8")
    command = ["train", "coarse", str(cases / "train"), str(cases / "check"), "--patch", "48", "--steps", "1"]
    run_folder = ["--run", str(tmp_path / "run")]
    for options, status, words in [
        ([*run_folder, "--start", str(tmp_path / "file")], 3, "file is no checkpoint of 'teethseg train'"),
        ([*run_folder, "--start", str(tmp_path / "none.ckpt")], 3, "none.ckpt cannot be read"),
        (["--run", str(tmp_path / "file")], 2, "file cannot be made"),
        *([([*run_folder, "--device", "cuda"], 2, "no usable cuda device")] * (not torch.cuda.is_available())),
    ]:
        assert run([*command, *options]) == status
        assert words in capsys.readouterr().err


def test_a_line_that_was_cut_off_does_not_stop_a_run_that_goes_on(tmp_path):
    for number, text in enumerate(
        ["steps_done,step,val_loss\n1,0,0.5\n2,1,\n,", "steps_done,step,val_loss\n3,2,0.25\n4,3,1e-"]
    ):
        log = tmp_path / "log" / f"version_{number}" / "metrics.csv"
        log.parent.mkdir(parents=True)
        log.write_text(text, encoding="utf-8")
    assert history(tmp_path) == {"val_loss": [(1.0, 0.5), (3.0, 0.25)]}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, cases, monkeypatch):
    """Also if temporary files lie on another disk: the writer makes none there."""
    arguments = ("coarse", cases / "train", cases / "check", tmp_path / "run", 3)
    options = {**QUICK, "cache": tmp_path / "cache"}
    monkeypatch.setattr(tempfile, "mkstemp", lambda *_, **__: pytest.fail("this may lie on another disk"))
    disk = ExitStack()

    def fill(done, total, metrics):
        if done == 2:
            disk.enter_context(full_disk(100_000))

    with disk, pytest.raises(TeethSegError, match="free some space"):
        fit(*arguments, **options, tell=fill)
    last = tmp_path / "run" / "last.ckpt"
    assert torch.load(last, map_location="cpu", weights_only=True)["global_step"] == 1
    assert not list((tmp_path / "run").glob(".teethseg*"))
    fit(*arguments, **options)
    assert torch.load(last, map_location="cpu", weights_only=True)["global_step"] == 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills by a signal")
def test_a_worker_that_is_killed_costs_no_checkpoint(tmp_path, cases, monkeypatch):
    drawn = CoarseSamples.drawn

    def dies(samples, index):
        if samples.epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return drawn(samples, index)

    monkeypatch.setattr(CoarseSamples, "drawn", dies)
    options = {**QUICK, "workers": 1, "cache": tmp_path / "cache"}
    with pytest.raises(TeethSegError, match="fewer --workers; the same command goes on"):
        fit("coarse", cases / "train", cases / "check", tmp_path / "run", 3, **options)
    assert torch.load(tmp_path / "run" / "last.ckpt", map_location="cpu", weights_only=True)["global_step"] == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
def test_a_worker_that_finds_the_disk_full_says_so_in_one_line(tmp_path, cases, capfd):
    values = {**QUICK, "workers": 1, "steps": 1}
    sets = [part for name, value in values.items() if name != "accelerator" for part in ("--set", f"{name}={value}")]
    command = ["train", "coarse", str(cases / "train"), str(cases / "check"), "--run", str(tmp_path / "run"), *sets]
    with full_disk(20_000):
        assert run([*command, "--device", "cpu"]) == 1
    told = capfd.readouterr().err.splitlines()
    assert "Prepared cases cannot be written to" in told[-1] and "free some space" in told[-1]
    assert not [line for line in told if "Traceback" in line]
    assert not list((tmp_path / "run" / "cache").glob("*/about.json"))


@pytest.mark.slow
def test_a_run_ends_early_when_nothing_gets_better_and_tensorboard_shows_it(tmp_path, cases, monkeypatch, caplog):
    pytest.importorskip("tensorboardX")
    looks = iter(range(100))

    def rising(output, target, loss):
        """The stage's loss; in validation it is worse every time."""
        worse = {} if torch.is_grad_enabled() else {"rising": torch.tensor(float(next(looks)))}
        return {**coarse_loss(output, target, loss), **{name: 100 * value for name, value in worse.items()}}

    monkeypatch.setitem(fit_module._LOSSES, "coarse", rising)  # noqa: SLF001
    given = ("coarse", cases / "train", cases / "check", tmp_path / "run", 9)
    best = fit(*given, **QUICK, patience=2, tensorboard=1)
    assert "Ended after step 3 of 9: no better state in 2 validations" in caplog.text
    assert torch.load(best, map_location="cpu", weights_only=True)["global_step"] == 1  # the first one was the best
    (events,) = (tmp_path / "run" / "log" / "tensorboard").glob("version_*/events*")
    content = events.read_bytes()
    assert content.count(b"val_loss") == 3 and b"train_loss" in content and b"val_dice" in content


def test_tensorboard_that_is_not_installed_is_reported_plainly(tmp_path, cases, monkeypatch, capsys):
    def absent(*_, **__):
        raise ModuleNotFoundError("Neither `tensorboard` nor `tensorboardX` is available.")

    monkeypatch.setattr(fit_module, "TensorBoardLogger", absent)
    command = ["train", "coarse", str(cases / "train"), str(cases / "check"), "--run", str(tmp_path / "run")]
    assert run([*command, "--steps", "1", "--tensorboard", "--workers", "0", "--device", "cpu"]) == 1
    told = capsys.readouterr().err
    assert "pip install 'teethseg[tensorboard]'" in told and "Traceback" not in told
