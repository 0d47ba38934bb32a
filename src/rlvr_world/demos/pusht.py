"""One step of PushT: record, tokenise, maximise likelihood, reinforce, evaluate."""

from rlvr_world.demos.video import VideoDemo


class PushTDemo(VideoDemo):
    """The whole path on PushT, one frame at a time. Arguments: see ``VideoDemo``."""

    def run_all(self) -> None:
        frames = self.record()
        codec = self.tokenize(frames)
        tokens = ("--data.root", str(self.tokens), *codec)
        self.fit("Stage 2: maximum likelihood", "mle", self.config("world_model"), *tokens)
        mle = ("--model.weights", str(self.checkpoint("mle")))
        self.fit("Stage 3: RLVR", "rlvr", self.config("rlvr"), *frames, *codec, *mle)
        title = "Control: maximum likelihood for as long as RLVR took"
        options = (*tokens, *mle, *self.equal_time("rlvr"))
        self.fit(title, "mle_equal_time", self.config("world_model"), *options)
        self.evaluate({"mle": "last", "mle_equal_time": "best", "rlvr": "best"})
