"""The engine at work: Snakemake, papermill and kernels on the phantom, some tiny runs."""

import json

import pytest
from grids import House

pytestmark = pytest.mark.engine


def test_two_processes_share_a_run(tmp_path):
    house = House(tmp_path)
    status, said = house.run("msl+intra", together=2, cores=2)
    assert status == 0, said
    record = house.record("msl+intra")
    assert record["machine"]["processes"] == 2
    assert len(record["history"]) == record["parameters"]["epochs"]
    assert "L_T2T3" in record["history"][0]["train"]
    assert not list(tmp_path.glob("results/**/*.unfinished"))


def test_runs_are_made_once_and_one_that_fails_stops_no_other(tmp_path):
    house = House(tmp_path)
    failing = '    def forward(self, x):\n        raise RuntimeError("/data/set/x.png: no such")\n'
    house.edit("lib/networks/clsnet.py", "    def forward(", failing + "\n    def forward_before(")

    status, said = house.run("clsnet", "unet-seg3")
    assert status != 0
    assert "1 of 2 runs were made, 1 failed" in said
    assert "clsnet/seed0: FAILED: RuntimeError" in said
    failure = json.loads(house.file("clsnet", "failed.json").read_text())
    assert failure["error"] == "RuntimeError" and failure["cell"] == "cell-08"
    assert failure["message"] == "x.png: no such"  # no path of this machine
    notebook = tmp_path / "book/runs/phantom/smoke/clsnet/seed0.failed.ipynb"
    assert "RuntimeError" in notebook.read_text()
    made = house.file("unet-seg3").read_bytes()
    assert house.record("unet-seg3")["seconds"]["train"] > 0

    # The failure is repaired, and a comment and a docstring of a finished run's code are edited.
    house.edit("lib/networks/clsnet.py", failing + "\n    def forward_before(", "    def forward(")
    house.edit("lib/networks/unet.py", '"""', '# a comment\n"""Another sentence. ')
    status, said = house.run("clsnet", "unet-seg3", command="plan")
    assert status == 0 and "1 runs stand, 1 are to be made" in said and "it failed" in said
    status, said = house.run("clsnet", "unet-seg3")
    assert status == 0, said
    assert "1 of 1 runs were made, 0 failed" in said
    assert not house.file("clsnet", "failed.json").exists() and not notebook.exists()
    assert house.file("unet-seg3").read_bytes() == made

    status, said = house.run("clsnet", "unet-seg3")
    assert status == 0 and "All 2 runs stand" in said
