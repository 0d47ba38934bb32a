"""Where within an epoch a resumed run goes on.

Lightning tells the moments at which a checkpoint can be saved apart by counts that are not enough:
it forgets gradients that wait for an optimizer step, takes an epoch that ``max_steps`` has cut
short for a whole one, and leaves out a validation that a kill has prevented.
"""

from typing import Any

from lightning import Trainer

COUNTS = ("ready", "started", "processed", "completed")


def go_to_last_step(fit_loop: dict[str, Any], accumulated: int, trainer: Trainer) -> None:
    """Let the progress in a checkpoint say what is to be done next, whenever it was saved.

    Batches since the last optimizer step are to be read again, then the rest of the epoch; a
    validation that is due comes first, from its beginning.

    Args:
        fit_loop: The progress; it is changed.
        accumulated: Batches of an optimizer step in the run that saved it.
        trainer: Resumes that run.
    """
    epochs, batches = fit_loop["epoch_progress"], fit_loop["epoch_loop.batch_progress"]
    validation = fit_loop["epoch_loop.val_loop.batch_progress"]
    now, validated = batches["current"], validation["current"]
    seen, epoch = now["processed"], epochs["current"]["ready"] - 1
    is_last = batches["is_last_batch"] and now["ready"] == seen
    pending = 0 if is_last else seen % accumulated
    before_end = epochs["current"]["processed"] <= epoch
    in_validation = validated["completed"] < validated["ready"]
    is_due = before_end and not pending and (now["completed"] < seen or in_validation)
    total, seen = batches["total"]["processed"] - pending, seen - pending
    is_over = is_last and not (is_due and validates_after(seen, total, epoch, trainer))
    place(batches, 0 if is_over else seen, total)
    batches["is_last_batch"] = is_last and not is_over
    done = epoch + is_over
    place(epochs, done, done)
    if not is_over:
        for counts in (epochs["current"], epochs["total"]):
            counts["ready"] = counts["started"] = epoch + 1
    place(validation, 0, 0)
    if is_due:  # as Lightning has it within a validation
        for counts in (validation["current"], validation["total"]):
            counts["ready"] = counts["started"] = 1


def place(progress: dict[str, Any], current: int, total: int) -> None:
    """Let a progress say that so much is complete and nothing under way."""
    progress["current"] |= dict.fromkeys(COUNTS, current)
    progress["total"] |= dict.fromkeys(COUNTS, total)


def validates_after(batches: int, total: int, epoch: int, trainer: Trainer) -> bool:
    """Whether a validation follows on the last one of so many batches of an epoch."""
    every, interval = trainer.check_val_every_n_epoch, trainer.val_check_interval
    if not trainer.enable_validation or getattr(trainer, "_val_check_time_interval", None):
        return False
    if every is None:
        return total % int(interval) == 0
    if isinstance(interval, float):
        interval = max(1, int(batches * interval))
    return (epoch + 1) % every == 0 and batches % interval == 0


def start_there(trainer: Trainer) -> None:
    """Let the loops of a resumed run, and the step that is logged, begin at their progress."""
    fit_loop, loop = trainer.fit_loop, trainer.fit_loop.epoch_loop
    if loop.batch_progress.current.ready == 0:
        loop.restarting = False
    is_automatic = trainer.lightning_module.automatic_optimization
    steps = trainer.global_step if is_automatic else loop.batch_progress.total.ready
    fetcher = fit_loop._data_fetcher
    is_counted_again = loop.restarting and fetcher and loop._should_check_val_fx(fetcher)
    loop._batches_that_stepped = steps - bool(is_counted_again)
