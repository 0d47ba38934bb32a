"""The table of commands, of which nothing is imported before it is asked for."""

from typing import NamedTuple


class Entry(NamedTuple):
    """A command of the table.

    Args:
        target: Module and name of the function or class that runs; of Lightning's commands nothing.
        summary: One line of help.
        positional: Whether arguments without a default are given by position.
    """

    target: str
    summary: str
    positional: bool = False


GROUPS = {
    "data": "Record data, or convert it",
    "demo": "Run a whole path: data, every stage of training, tables",
    "analyse": "Repeat an analysis of the paper, or draw curves and gains",
    "convert": "Convert published models",
}

COMMANDS = {
    "fit": Entry("", "Train a stage: tokenizer, world model by likelihood, world model by RL"),
    "validate": Entry("", "Validate a checkpoint of a stage"),
    "test": Entry("", "Test a checkpoint of a stage"),
    "predict": Entry("", "Write what a checkpoint of a stage predicts"),
    "evaluate": Entry("evaluation.evaluate:evaluate", "Score checkpoints and baselines in a table"),
    "action-following": Entry(
        "evaluation.following:action_following", "Score the same starts with other actions"
    ),
    "best-of": Entry("evaluation.best_of:best_of", "Score the best of several samples"),
    "web-agent": Entry("web.agent.command:web_agent", "Let agents that plan work on web pages"),
    "plan": Entry("applications.planning.command:plan", "Reach goals by plans in world models"),
    "policies": Entry(
        "applications.policies.command:policies", "Judge policies in world models and for real"
    ),
    "label": Entry(
        "applications.policies.labelling.command:label", "Judge clips of rollouts by hand", True
    ),
    "play": Entry(
        "applications.play.command:play", "Step a world model by hand, on a local page", True
    ),
    "report": Entry(
        "applications.report.command:report", "Write one HTML page of a run folder", True
    ),
    "export": Entry("applications.export:export", "Write a checkpoint as the published ones are"),
    "push": Entry("applications.hub:push", "Put an exported model on a hub", True),
    "pull": Entry("applications.hub:pull", "Get an exported model from a hub", True),
    "init": Entry("video.preset:init", "Write the configs of a preset for your own video", True),
    "check": Entry("command_line.check:check", "Take one batch through each stage", True),
    "data pusht": Entry("video.sources.pusht:PushTRecorder", "Record the PushT simulator", True),
    "data metaworld": Entry(
        "video.sources.metaworld:MetaWorldRecorder", "Record the tasks of Meta-World", True
    ),
    "data counterfactual": Entry(
        "video.sources.counterfactual:CounterfactualRecorder",
        "Record how clips go on with other actions", True,
    ),
    "data rlds": Entry(
        "video.sources.rlds:RLDSConverter", "Convert Open X-Embodiment TFRecords", True
    ),
    "data npz": Entry("video.sources.npz:NPZConverter", "Convert the original's episodes", True),
    "data dino": Entry("video.sources.dino_wm:DinoConverter", "Convert data of DINO-WM", True),
    "data lerobot": Entry(
        "video.sources.lerobot:LeRobotConverter", "Convert LeRobot data sets", True
    ),
    "data huggingface": Entry(
        "video.sources.huggingface:HuggingFaceConverter",
        "Convert data sets of Hugging Face on this disk", True,
    ),
    "data to-lerobot": Entry(
        "video.sources.lerobot_export:to_lerobot", "Write a recording as a LeRobot data set", True
    ),
    "data hdf5": Entry(
        "video.sources.hdf5:HDF5Converter", "Convert HDF5 of robomimic or LIBERO", True
    ),
    "data zarr": Entry("video.sources.zarr:ZarrConverter", "Convert zarr of episodes", True),
    "data videos": Entry(
        "video.sources.videos:VideosConverter", "Convert MP4 files with actions in CSV", True
    ),
    "data tokens": Entry("video.data.tokens:tokens", "Write the tokens of a video recording"),
    "data textworld": Entry(
        "text_game.sources.textworld:TextWorldRecorder", "Make and record text games", True
    ),
    "data bytesized32": Entry(
        "text_game.sources.bytesized32:bytesized32", "Convert ByteSized32-State-Prediction", True
    ),
    "data bytesized32-cot": Entry(
        "text_game.sources.bytesized32_cot:bytesized32_cot",
        "Convert the published reasoning about ByteSized32", True,
    ),
    "data web": Entry("web.sources.recorder:WebRecorder", "Record web pages in a browser", True),
    "data packaged-pages": Entry(
        "web.recorded_pages:unpack_recorded_pages", "Unpack the web pages of the package"
    ),
    "data webarena": Entry(
        "web.sources.webarena:webarena", "Convert published transitions of WebArena", True
    ),
    "data rejection": Entry(
        "language.rejection:rejection", "Sample answers of a model, keep the right ones"
    ),
    "data bpe": Entry("language.bpe:learn_bpe", "Learn a tokenizer from shards of text"),
    "demo pusht": Entry("demos.presets:PushTDemo", "Robot video, one frame at a time"),
    "demo metaworld": Entry(
        "demos.presets:MetaWorldDemo", "Robot video of Meta-World, seven frames at a time"
    ),
    "demo pusht_multi_step": Entry(
        "demos.presets:PushTMultiStepDemo", "Robot video of PushT, seven frames at a time"
    ),
    "demo textworld": Entry("demos.presets:TextWorldDemo", "Text games that are made on the spot"),
    "demo bytesized32": Entry(
        "demos.presets:ByteSized32Demo", "Text games of ByteSized32", True
    ),
    "demo web": Entry("demos.presets:WebDemo", "Web pages, and agents that plan on them"),
    "demo shop": Entry("demos.presets:ShopDemo", "Pages of a shop that runs here"),
    "analyse metrics": Entry(
        "demos.analysis:MetricAnalysis", "Which metric gains by which reward"
    ),
    "analyse group-size": Entry(
        "demos.analysis:GroupSizeAnalysis", "How much larger groups help"
    ),
    "analyse joint": Entry(
        "demos.analysis:JointAnalysis", "One model of several data sets, tuned on each"
    ),
    "analyse curves": Entry("evaluation.curves:curves", "Draw the learning curves of runs"),
    "analyse gains": Entry("evaluation.gains:gains", "Draw what models gain on another one"),
    "convert smollm2": Entry("language.smollm2:smollm2", "Write SmolLM2 for transformers"),
    "convert rt1": Entry("video.published.command:rt1", "Convert published RT-1 models", True),
}  # fmt: skip
