"""Six runs through Snakemake's Slurm executor on a real Slurm of one node, one of them killed.

Opt-in: `make test-slurm`, as root, with Debian's slurm-wlm and munge. The daemons and all they
write live in one temporary folder; everything is stopped at the end.
"""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from grids import House

# Where Slurm's programs look: Snakemake hands no SLURM_CONF on to its jobs.
USUAL = Path("/etc/slurm/slurm.conf")
SYSTEMS = ("clsnet", "unet-seg2", "unet-seg3", "mtl", "msl", "ms-mtl")
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld}
SlurmdPort={d}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
# What this small Slurm needs beside ci/profiles/slurm: it keeps no accounts.
MORE = """
slurm-status-command: squeue
slurm-no-account: true
slurm-init-seconds-before-status-checks: 5
seconds-between-status-checks: 5
"""


def main() -> None:
    for tool in ("munged", "slurmctld", "slurmd", "sbatch"):
        if not shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin"):
            sys.exit(f"{tool} is missing: apt-get install slurm-wlm munge, then again")
    if os.geteuid():
        sys.exit("a Slurm of one's own needs root: sudo make test-slurm")
    if USUAL.exists():
        sys.exit(f"this machine has a Slurm already ({USUAL}); run the test where there is none")
    os.environ["PATH"] += ":/usr/sbin"
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        daemons = []
        try:
            start(Path(folder), daemons)
            check(House(Path(folder) / "house"))
        except BaseException:
            logs = [*Path(folder).glob("*.log"), *Path(folder).glob("house/**/slurm_logs/**/*.log")]
            for log in logs:
                print(f"==> {log.name}", *log.read_text().splitlines()[-12:], sep="\n")
            raise
        finally:
            USUAL.unlink(missing_ok=True)
            for daemon in reversed(daemons):
                daemon.send_signal(signal.SIGTERM)
                try:
                    daemon.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    daemon.kill()


def start(folder: Path, daemons: list[subprocess.Popen]) -> None:
    """munge, the controller and one node, in the foreground of their own processes."""
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    folder.chmod(0o755)
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    conf = folder / "slurm.conf"
    host = socket.gethostname().split(".")[0]
    ports = {"ctld": free_port(), "d": free_port()}
    conf.write_text(CONF.format(folder=folder, host=host, **ports))
    USUAL.unlink(missing_ok=True)  # a link to a folder that is gone
    USUAL.parent.mkdir(exist_ok=True)
    USUAL.symlink_to(conf)
    own = [f"--{n}={folder}/munge.{e}" for n, e in (("key-file", "key"), ("socket", "socket"))]
    own += [f"--{n}-file={folder}/munge.{n}" for n in ("pid", "seed", "log")]
    for command in (
        ["munged", "--foreground", "--force", *own],
        ["slurmctld", "-D", "-c"],
        ["slurmd", "-D", "-N", host],
    ):
        daemons.append(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        )
        time.sleep(2)
    for _ in range(30):
        state = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True).stdout
        if state.strip() == "idle":
            print(f"Slurm {subprocess.getoutput('sbatch --version')}: one node, idle", flush=True)
            return
        time.sleep(1)
    raise RuntimeError(f"the node did not come up: {state!r}")


def check(house: House) -> None:
    with open(house.folder / "ci/profiles/slurm/config.yaml", "a") as profile:
        profile.write(MORE)
    begun = time.monotonic()
    engine = house.start(*SYSTEMS, on="slurm")
    try:
        killed = kill_one(house, engine)
        said = engine.communicate(timeout=1800)[0]
    finally:
        engine.kill()
    print(said)
    submitted = len(re.findall(r"submitted with SLURM jobid", said))
    made = [name for name in SYSTEMS if house.file(name).exists()]
    print(
        f"killed: process of {killed}; {submitted} Slurm jobs, {len(made)} of {len(SYSTEMS)} made"
    )
    assert engine.returncode == 0, f"exit status {engine.returncode}"
    assert made == list(SYSTEMS) and killed and submitted > len(SYSTEMS)
    assert not list(house.folder.glob("results/**/*.failed.json"))
    status, said = house.run(*SYSTEMS, on="slurm")
    assert status == 0 and "All 6 runs stand" in said
    print(
        f"OK in {time.monotonic() - begun:.0f} s: all made, the killed one again; nothing is left"
    )


def kill_one(house: House, engine: subprocess.Popen) -> str:
    """Kill -9 the process that makes the first run whose kernel is at work."""
    while engine.poll() is None:
        for lock in house.folder.glob("results/phantom/smoke/*/seed0.lock"):
            if (lock.with_suffix(".unfinished") / "epoch-001").exists():
                process = int(re.search(r"process (\d+)", lock.read_text())[1])
                os.kill(process, signal.SIGKILL)
                return lock.parent.name
        time.sleep(0.05)
    return ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
