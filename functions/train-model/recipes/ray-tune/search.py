"""The search: Ray Tune draws the trials and runs as many at once as the cluster has room for."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.search.sample import Domain

from .trial import Program, Result, ensured

NUMBER = "trial"
"""A trial's number, among its parameters: the same seed draws the same parameters for it each time."""

STARTED_AGAIN = 3
"""How often a trial is started again whose worker went away or whose program was ended from outside. One that fails by itself
has failed."""


def search(program: Program, space: Mapping[str, Domain], options: Namespace, place: Path) -> list[Result]:
    """The results of all trials that came to an end, in their order. Ray Tune's own files go below `place`."""
    # A program's relative paths mean what they mean for the job itself.
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    ray.init(log_to_driver=False)

    def run(config: dict[str, Any]) -> None:
        parameters = {name: value for name, value in config.items() if name != NUMBER}
        result = ensured(program, config[NUMBER], parameters)
        tune.report({program.metric: result.metrics.get(program.metric, float("nan")), "result": result})

    tuner = tune.Tuner(
        tune.with_resources(run, {"cpu": options.trial_cpus, "gpu": options.trial_gpus}),
        param_space={NUMBER: tune.grid_search(list(range(options.trials))), **space},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=options.concurrent,
            search_alg=BasicVariantGenerator(random_state=options.seed),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="search",
            storage_path=str(place),
            failure_config=tune.FailureConfig(max_failures=STARTED_AGAIN),
            callbacks=[Announced(options.trials)],
            verbose=0,
        ),
    )
    outcomes = tuner.fit()
    reported = (outcomes[at].metrics or {} for at in range(len(outcomes)))
    results: list[Result] = [metrics["result"] for metrics in reported if "result" in metrics]
    return sorted(results, key=lambda result: result.trial)


class Announced(tune.Callback):
    """Says a line for each trial that ends."""

    def __init__(self, trials: int) -> None:
        """`trials` is how many there are in all."""
        self._trials = trials

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:
        """Called by Ray Tune."""
        ended: Result | None = result.get("result")
        if ended is None:
            return
        drawn = " ".join(f"{name}={value}" for name, value in ended.parameters.items())
        outcome = ended.error or ", ".join(f"{name} {value:.4g}" for name, value in ended.metrics.items())
        print(f"trial {ended.trial + 1}/{self._trials}: {drawn}: {outcome} ({ended.seconds:.1f} s)", flush=True)
