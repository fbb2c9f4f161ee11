"""A script that keeps a directory's copy in a bucket, for machines that come and go."""

# Twice, and deletions only the second time: whatever moment it is stopped at, the
# bucket has everything of at least one whole checkpoint.
SCRIPT = r"""#!/usr/bin/env bash
# Runs a command that writes into a directory of this machine's disk, and keeps a copy
# of the directory in a bucket: copied from there before the command begins, to there
# every SYNC_SECONDS (300), and when the command has ended, as it does after SIGTERM.
#
#   sync.sh DIRECTORY gs://BUCKET/FOLDER COMMAND…      (or s3://BUCKET/FOLDER)
#
# The exit status is the command's. One machine at a time: nothing here keeps a second
# one from the same folder. Leases and unfinished checkpoints stay on this machine.
set -uo pipefail
set -m # each job is a process group, so that a copy is stopped whole
directory=$1 bucket=$2
shift 2

copy() { # FROM TO [and delete what FROM has not]
  case $bucket in
    gs://*) gcloud storage rsync "$1" "$2" --recursive --continue-on-error \
      --exclude='(.*/)?lease/.*|.*[.]unfinished/.*' \
      ${3:+--delete-unmatched-destination-objects} ;;
    s3://*) aws s3 sync "$1" "$2" --only-show-errors \
      --exclude '*/lease/*' --exclude '*.unfinished/*' ${3:+--delete} ;;
  esac
}

mark() { # makes sure that the folder is there and may be written
  case $bucket in
    gs://*) gcloud storage cp - "$bucket/begun" ;;
    s3://*) aws s3 cp - "$bucket/begun" ;;
  esac
}

push() {
  copy "$directory" "$bucket" && copy "$directory" "$bucket" delete
}

# A directory with this file is ahead of the bucket: the machine was only started again.
if [ ! -e "$directory/begun" ]; then
  mark <<<"Begun: the study here has its copy in $bucket." || exit 1
  rm -rf "$directory.part"
  mkdir -p "$directory.part"
  copy "$bucket" "$directory.part" || exit 1
  rm -rf "$directory"
  mv "$directory.part" "$directory"
fi

"$@" &
command=$!
trap 'interrupted=yes; kill -TERM "$command" 2>/dev/null' TERM INT
while sleep "${SYNC_SECONDS:-300}"; do push; done &
pusher=$!

interrupted=yes
while [ -n "$interrupted" ]; do # a signal ends `wait`, not the command
  interrupted=
  wait "$command"
  status=$?
done
trap '' TERM INT
kill -TERM -- "-$pusher" 2>/dev/null
wait "$pusher" 2>/dev/null
push || echo "sync.sh: the last copy to $bucket failed; $directory is ahead of it." >&2
exit "$status"
"""
