"""What each platform's variables mean."""

from __future__ import annotations

import json
import unittest

from contract import ContractError, Topology
from contract.topology import torchrun_arguments


class Place(unittest.TestCase):
    def test_alone_without_variables(self) -> None:
        self.assertEqual(Topology.from_variables({}), Topology(rank=0, world_size=1, local_rank=0))

    def test_torchrun_says_which(self) -> None:
        variables = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
        self.assertEqual(Topology.from_variables(variables), Topology(rank=3, world_size=4, local_rank=1))

    def test_nonsense_is_refused(self) -> None:
        for variables in ({"RANK": "4", "WORLD_SIZE": "4"}, {"WORLD_SIZE": "many"}, {"RANK": "-1"}, {"WORLD_SIZE": "0"}):
            with self.subTest(variables), self.assertRaises(ContractError):
                Topology.from_variables(variables)


class Launch(unittest.TestCase):
    PYTORCHJOB = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "job-master-0", "MASTER_PORT": "23456"}

    def test_one_process_trains_itself(self) -> None:
        self.assertIsNone(torchrun_arguments({}, gpus=0))
        self.assertIsNone(torchrun_arguments({}, gpus=1))

    def test_several_gpus_take_a_process_each(self) -> None:
        self.assertEqual(torchrun_arguments({}, gpus=4), ["--standalone", "--nproc-per-node=4"])

    def test_a_process_of_torchrun_trains(self) -> None:
        self.assertIsNone(torchrun_arguments({"LOCAL_RANK": "0", "PET_NNODES": "2", "WORLD_SIZE": "2"}, gpus=4))

    def test_kubeflow_trainer_is_read_by_torchrun_itself(self) -> None:
        self.assertEqual(torchrun_arguments({"PET_NNODES": "2", "PET_NODE_RANK": "1"}, gpus=0), [])
        self.assertEqual(torchrun_arguments({"PET_NNODES": "1", "PET_NPROC_PER_NODE": "4"}, gpus=4), [])
        self.assertIsNone(torchrun_arguments({"PET_NNODES": "1", "PET_NPROC_PER_NODE": "1"}, gpus=1))

    def test_a_pytorchjob_is_a_process_a_node_or_one_a_gpu(self) -> None:
        self.assertIsNone(torchrun_arguments(self.PYTORCHJOB, gpus=1))
        self.assertEqual(
            torchrun_arguments(self.PYTORCHJOB, gpus=2),
            ["--nnodes=2", "--node-rank=1", "--nproc-per-node=2", "--master-addr=job-master-0", "--master-port=23456"],
        )
        with self.assertRaisesRegex(ContractError, "MASTER_ADDR"):
            torchrun_arguments({"WORLD_SIZE": "2", "RANK": "0"}, gpus=1)

    def test_vertex_names_its_pools(self) -> None:
        pools = {"workerpool0": ["first:2222"], "workerpool1": ["second:2222", "third:2222"]}
        for task, node in (("workerpool0", 0), ("workerpool1", 2)):
            spec = json.dumps({"cluster": pools, "task": {"type": task, "index": 1 if node else 0}})
            self.assertEqual(
                torchrun_arguments({"CLUSTER_SPEC": spec}, gpus=1),
                ["--nnodes=3", f"--node-rank={node}", "--nproc-per-node=1", "--master-addr=first", "--master-port=29500"],
            )
        alone = json.dumps({"cluster": {"workerpool0": ["first:2222"]}, "task": {"type": "workerpool0", "index": 0}})
        self.assertIsNone(torchrun_arguments({"CLUSTER_SPEC": alone}, gpus=1))
        with self.assertRaisesRegex(ContractError, "CLUSTER_SPEC"):
            torchrun_arguments({"CLUSTER_SPEC": "{}"}, gpus=1)


if __name__ == "__main__":
    unittest.main()
