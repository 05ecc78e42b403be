#!/bin/sh
# shards.sh ACTINH: the README's recipes for GNU parallel and for a Slurm array, run for real (a one-machine Slurm of its own,
# where slurmctld and slurmd are installed and we are root), against the run in one piece. Closes with "N passed, N failed,
# N skipped".
A=$(cd "$(dirname "$1")" && pwd)/$(basename "$1") passed=0 failed=0 skipped=0 D=$(mktemp -d) here=$(pwd)
trap 'kill $ctld $slurmd 2>/dev/null; wait; rm -rf "$D"' EXIT
ctld= slurmd=
equal() { if cmp -s "$2" "$3"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED  $1: other bytes"; fi; }
head -n 40 data/prompts.jsonl >$D/prompts.jsonl; cp -R data/dense $D/model; cp "$A" $D/actinh; cd $D || exit 1
./actinh sample model prompts.jsonl -n 4 --max-tokens 40 --quiet -o pool.jsonl
check() { # NAME: gathers shard-0 .. shard-3
    mkdir $1; ./actinh gather shard-0 shard-1 shard-2 shard-3 -o $1/pool.jsonl --quiet
    equal "$1: records" pool.jsonl $1/pool.jsonl; equal "$1: receipt" pool.jsonl.receipt $1/pool.jsonl.receipt; rm -f shard-*
}
if command -v parallel >/dev/null; then
    # one job fails at first, as jobs do; --retry-failed does only that one again
    printf '#!/bin/sh\n[ "$1" = 2/4 ] && [ ! -f tried ] && { touch tried; exit 75; }\nexec ./actinh sample model prompts.jsonl -n 4 --max-tokens 40 --threads 1 --quiet --shard $1 -o shard-${1%%/*}\n' >job
    chmod +x job
    parallel --joblog log ./job {}/4 ::: 0 1 2 3 2>/dev/null; [ $? -ne 0 ] || echo "FAILED  parallel: the failing job was not seen"
    parallel --joblog log --retry-failed 2>/dev/null
    check parallel
else skipped=$((skipped + 1)); fi
if command -v slurmctld >/dev/null && command -v slurmd >/dev/null && [ "$(id -u)" = 0 ]; then
    host=$(hostname -s); mkdir state spool
    cat >slurm.conf <<END
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SlurmUser=root
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool
SlurmctldPidFile=$D/ctld.pid
SlurmdPidFile=$D/slurmd.pid
NodeName=$host NodeAddr=127.0.0.1 CPUs=1
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
    export SLURM_CONF=$D/slurm.conf
    slurmctld -D -c >ctld.log 2>&1 & ctld=$!
    slurmd -D -N $host >slurmd.log 2>&1 & slurmd=$!
    sed 's/^            //' >job.sh <<'END'
            #!/bin/sh
            #SBATCH --array=0-3
            ./actinh sample model prompts.jsonl -n 4 --max-tokens 40 --quiet --shard $SLURM_ARRAY_TASK_ID/4 -o shard-$SLURM_ARRAY_TASK_ID
END
    i=0; until sinfo 2>/dev/null | grep -q idle; do i=$((i + 1)); [ $i -gt 60 ] && break; sleep 0.5; done
    if [ $i -le 60 ]; then
        timeout 120 sbatch --wait job.sh >sbatch.log 2>&1
        rm -f shard-2*; timeout 60 sbatch --wait --array=2 job.sh >>sbatch.log 2>&1      # resubmitted alone: the count in the environment is now 1
        check slurm
    else skipped=$((skipped + 1)); echo "slurm did not start: $(tail -n 2 ctld.log)"; fi
else skipped=$((skipped + 1)); fi
cd "$here" || exit 1
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
