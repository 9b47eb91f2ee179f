"""Time of a training step by part: samples, network, optimiser, and the wait for samples.

    python scripts/profile_training.py [--stage coarse|fine] [--patch 112] [--steps 8] [--workers 2] [--clock]

Trains on a simulated case as a user's own scan (image and labels), then on the same as a simulated one (scanned anew
for every sample), and prints a table. Times are processor seconds, which other programs hardly lengthen. A step waits
only if a worker takes longer for its part of the samples than the network for all of them. `--clock` also trains with
real workers, and gives the share of the time in which the network waited for them; this figure is valid only on an idle
computer with a core for each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from teethseg.io.case_folder import write_case_folder
from teethseg.simulation.cases import simulate_case, write_case
from teethseg.simulation.sources import shape_source
from teethseg.training.fit import StageModule, training_samples
from teethseg.training.losses import coarse_loss, fine_loss
from teethseg.training.optimisation import optimiser_and_schedule
from teethseg.training.options import FitOptions

LOSS = {"coarse": coarse_loss, "fine": fine_loss}


class Trainer:
    """The network of a stage, its loss and its optimiser."""

    def __init__(self, options: FitOptions):
        self.network = StageModule(options.stage, options.steps).network.train()
        self.optimiser = optimiser_and_schedule(self.network, options)["optimizer"]
        self.loss = LOSS[options.stage]

    def gradients(self, batch: dict) -> None:
        sum(self.loss(self.network(batch["image"]), batch["target"]).values()).backward()

    def step(self) -> None:
        self.optimiser.step()
        self.optimiser.zero_grad()


def seconds_of(samples, trainer: Trainer, options: FitOptions) -> tuple[float, float, float]:
    """Processor seconds a step for samples, network and optimiser, all in this process."""
    spent = [0.0, 0.0, 0.0]

    def timed(place: int, work, *arguments):
        start = time.process_time()
        result = work(*arguments)
        spent[place] += time.process_time() - start
        return result

    for step in range(options.steps):
        for number in range(options.batch):
            sample = timed(0, samples.__getitem__, step * options.batch + number)
            timed(1, trainer.gradients, torch.utils.data.default_collate([sample]))
        timed(2, trainer.step)
    return tuple(value / options.steps for value in spent)


def waiting(samples, trainer: Trainer, options: FitOptions) -> float:
    """Share of a run, by the clock, in which the network waits for samples of workers; without their start."""
    coming = iter(DataLoader(samples, num_workers=options.workers, prefetch_factor=3))
    trainer.gradients(next(coming))
    waited, start = 0.0, time.perf_counter()
    for done, _ in enumerate(range(options.steps * options.batch - 1), start=2):
        begun = time.perf_counter()
        batch = next(coming)
        waited += time.perf_counter() - begun
        trainer.gradients(batch)
        if done % options.batch == 0:
            trainer.step()
    return waited / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stage", choices=("coarse", "fine"), default="fine")
    parser.add_argument("--patch", type=int, default=112)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--spacing", type=float, default=0.8, help="of the simulated scan, mm")
    parser.add_argument("--threads", type=int, default=1, help="of the network")
    parser.add_argument("--clock", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    options = FitOptions(arguments.stage, steps=arguments.steps, patch=arguments.patch, workers=arguments.workers)
    print(
        f"Stage {arguments.stage}, batch {options.batch}, patches up to {arguments.patch}, float32, "
        f"{arguments.threads} threads\n"
    )
    print(
        "| cases | samples, s a step | network, s | optimiser, s | samples by a worker / rest | waits, by the clock |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    case = simulate_case(1, shape_source(), spacing=arguments.spacing)
    with tempfile.TemporaryDirectory() as place:
        folders = {"own scans": Path(place, "own"), "simulated": Path(place, "simulated")}
        write_case_folder(folders["own scans"] / "case", case.scan, case.labels, "own")
        write_case(folders["simulated"] / "case", case, "simulated")
        for name, folder in folders.items():
            count = options.steps * options.batch
            samples = training_samples(options, folder, count, options.seed, Path(place, "cache"))
            trainer = Trainer(options)
            trainer.gradients(torch.utils.data.default_collate([samples[0]]))  # prepares the case, warms up
            data, network, optimiser = seconds_of(samples, trainer, options)
            share = data / arguments.workers / (network + optimiser)
            cells = [f"{data:.2f}", f"{network:.2f}", f"{optimiser:.2f}", f"{100 * share:.1f} %"]
            waits = f"{100 * waiting(samples, trainer, options):.1f} %" if arguments.clock else "-"
            print(f"| {name} | {' | '.join(cells)} | {waits} |", flush=True)


if __name__ == "__main__":
    main()
