"""A Slurm of two nodes on one machine: munged, slurmctld and two slurmd, each node in a network namespace of its own.

Needs root and the Debian packages slurmctld, slurmd, munge and iproute2. Nothing outside the folder is changed but the
namespaces and a bridge, which are removed again.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NODES = {"lyap-n1": "10.199.77.2", "lyap-n2": "10.199.77.3"}
CONTROLLER, BRIDGE = "10.199.77.1", "lyap-br"
STATES = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")

CONFIG = """ClusterName=lyapsweep
SlurmctldHost=controller({controller})
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdTimeout=10
KillWait=10
MessageTimeout=60
{nodes}
PartitionName=all Nodes={names} Default=YES State=UP
"""


def missing() -> str | None:
    """What this machine lacks, for the reason of a skipped test; None if nothing."""
    lacking = [name for name in ("slurmctld", "slurmd", "munged", "ip", "nsenter") if shutil.which(name) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    return "network namespaces need root" if os.geteuid() else None


@dataclass(frozen=True)
class Slurm:
    """A running cluster whose files are in `folder`."""

    folder: Path

    def run(self, *command: str, cwd: Path | None = None, **environment: str) -> str:
        settings = os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf")} | environment
        return subprocess.run(command, cwd=cwd, env=settings, check=True, capture_output=True, text=True).stdout

    def job(self, number: str) -> dict[str, str]:
        """What `scontrol` says of a job."""
        words = self.run("scontrol", "show", "job", number, "--oneliner").split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, number: str, seconds: float) -> dict[str, str]:
        """The job when it has ended."""
        until = time.monotonic() + seconds
        while (job := self.job(number))["JobState"] not in STATES:
            assert time.monotonic() < until, job
            time.sleep(1)
        return job

    def start_node(self, name: str) -> None:
        script = f"mount --bind {self.folder}/hosts /etc/hosts; hostname {name}; exec slurmd -N {name}"
        self.run("nsenter", f"--net=/run/netns/{name}", "unshare", "--uts", "--mount", "sh", "-c", script)

    def kill_node(self, name: str) -> None:
        """What a power failure does: every process of the node is gone."""
        for pid in self.run("ip", "netns", "pids", name).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Slurm]:
    """A cluster of two nodes with two CPUs each, while the context lasts."""
    (folder / "state").mkdir(parents=True)
    slurm = Slurm(folder)
    nodes = "\n".join(f"NodeName={name} NodeAddr={address} CPUs=2" for name, address in NODES.items())
    names = ",".join(NODES)
    config = CONFIG.format(folder=folder, controller=CONTROLLER, nodes=nodes, names=names)
    (folder / "slurm.conf").write_text(config)
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
    hosts = {"localhost": "127.0.0.1", "controller": CONTROLLER, **NODES}
    (folder / "hosts").write_text("".join(f"{address} {name}\n" for name, address in hosts.items()))
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    try:
        network(slurm)
        files = (
            ("key-file", "key"),
            ("socket", "socket"),
            ("pid-file", "pid"),
            ("log-file", "log"),
            ("seed-file", "seed"),
        )
        slurm.run("munged", "--force", *(f"--{option}={folder}/munge.{end}" for option, end in files))
        slurm.run("unshare", "--uts", "sh", "-c", "hostname controller; exec slurmctld -c")
        for name in NODES:
            slurm.start_node(name)
        until = time.monotonic() + 120
        while slurm.run("sinfo", "--noheader", "--format=%T").split() != ["idle"]:
            assert time.monotonic() < until, (folder / "slurmctld.log").read_text()[-2000:]
            time.sleep(1)
        yield slurm
    finally:
        take_down(slurm)


def network(slurm: Slurm) -> None:
    ip = "ip"
    slurm.run(ip, "link", "add", BRIDGE, "type", "bridge")
    slurm.run(ip, "address", "add", f"{CONTROLLER}/24", "dev", BRIDGE)
    slurm.run(ip, "link", "set", BRIDGE, "up")
    for name, address in NODES.items():
        slurm.run(ip, "netns", "add", name)
        slurm.run(ip, "link", "add", f"{name}-v", "type", "veth", "peer", "name", "eth0", "netns", name)
        slurm.run(ip, "link", "set", f"{name}-v", "master", BRIDGE, "up")
        slurm.run(ip, "-n", name, "address", "add", f"{address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            slurm.run(ip, "-n", name, "link", "set", device, "up")
        slurm.run(ip, "-n", name, "route", "add", "default", "via", CONTROLLER)


def take_down(slurm: Slurm) -> None:
    for name in NODES:
        with contextlib.suppress(subprocess.CalledProcessError):
            slurm.kill_node(name)
    for file in ("slurmctld.pid", "munge.pid"):
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((slurm.folder / file).read_text()), signal.SIGKILL)
    for command in (*(("netns", "delete", name) for name in NODES), ("link", "delete", BRIDGE)):
        with contextlib.suppress(subprocess.CalledProcessError):
            slurm.run("ip", *command)
