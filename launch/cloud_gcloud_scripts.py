"""The scripts for Cloud TPU's virtual machines, with `@KEY@` where a task differs."""

BUILT = "scaling-unplugged:tpu"

CREATE = """#!/usr/bin/env bash
# Asks Cloud TPU for @TYPE@: @CHIPS@ of TPU @CHIP@ in @MACHINES@.
# @EACH@ runs @STARTUP@ when it starts, which makes the sweep.
#
# Run it in the project's directory, and again after the machines were taken away: it
# deletes what is left of them and asks anew; the sweep goes on from its last
# checkpoint. It does nothing while they wait, run or start.
#
# Cost: the machines are billed from ACTIVE until they are deleted, also when the sweep
# has finished, and so are the bucket and the share. Delete the machines with
#   @DELETE@
# @SPOT_NOTE@
#
# Written by launch/cloud.py from Google's documentation; never run on a cloud.
set -euo pipefail
PROJECT=@PROJECT@
ZONE=@ZONE@
NAME=@NAME@
here=$(cd "$(dirname "$0")" && pwd)

tpus() { # COMMAND NAME FLAG…
  gcloud compute tpus queued-resources "$@" --project="$PROJECT" --zone="$ZONE"
}
@SOURCE@

state=$(tpus describe "$NAME" --format='value(state.state)' 2>/dev/null || true)
case $state in
  "") ;;
  SUSPENDED | FAILED) tpus delete "$NAME" --force --quiet ;;
  *)
    echo "$NAME is $state; nothing to do."
    exit 0
    ;;
esac

tpus create "$NAME" --node-id="$NAME" \\
  --accelerator-type=@TYPE@ --runtime-version=@RUNTIME@ \\
  --metadata-from-file=startup-script="$here/@STARTUP@" \\
  --scopes=https://www.googleapis.com/auth/cloud-platform@SPOT@
"""

UPLOAD = """
# What is committed here is what runs there.
git archive --format=tar.gz --output="$here/source.tar.gz" HEAD
gcloud storage cp "$here/source.tar.gz" @BUCKET@/source.tar.gz --project="$PROJECT"
"""

STARTUP = """#!/usr/bin/env bash
# Start-up script of the machines of @NAME@: Cloud TPU runs it as root on each of them
# whenever it starts. It makes the service `study`, which runs the sweep
@HOW@
# The service starts the sweep again after exit status 75 (interrupted, or a process of
# another machine has gone) and after a crash, not after 0 (done), 1 (runs failed: see
# status.py) and 2 (refused). Its log: journalctl --unit study
#
# Written by launch/cloud.py; never run on a cloud.
set -euo pipefail
export HOME=/root PATH="$PATH:/snap/bin" # for gcloud
mkdir -p /opt/study
cd /opt/study

# In a container, since Ubuntu 22.04 has Python 3.10 and the program needs 3.11.
@IMAGE_STEPS@

@DATA_STEPS@

cat >run.sh <<'RUN'
#!/usr/bin/env bash
export HOME=/root PATH="$PATH:/snap/bin"
# --privileged: the chips. --net=host: the other machines.
exec @RUN@
RUN
chmod +x run.sh

cat >/etc/systemd/system/study.service <<'UNIT'
[Unit]
Description=A study of MuZero Unplugged
Requires=docker.service
After=docker.service network-online.target remote-fs.target
StartLimitIntervalSec=0

[Service]
ExecStartPre=-/usr/bin/docker rm --force study
ExecStart=/opt/study/run.sh
Restart=on-failure
RestartSec=15
RestartPreventExitStatus=1 2
# SIGTERM goes to the sweep alone, which saves; what is left is killed.
KillMode=mixed
TimeoutStopSec=90
UNIT
systemctl daemon-reload
systemctl restart study
"""

BUILD = f"""
gcloud storage cp @BUCKET@/source.tar.gz source.tar.gz
rm -rf source
mkdir source
tar -xzf source.tar.gz -C source
docker build --build-arg ACCELERATOR=tpu --tag {BUILT} source
"""

MOUNT = """
# The output of all machines, on a disk that they share and that outlives them.
apt-get update --quiet
apt-get install --quiet --yes --no-install-recommends nfs-common
mkdir -p /mnt/share
mountpoint --quiet /mnt/share || mount -t nfs -o hard @SHARE@ /mnt/share
mkdir -p @DATA@
"""

DISK = """
mkdir -p @DATA@
"""
