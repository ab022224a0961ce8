"""Steps of a Trainer at which the adversary is measured and logged."""

from transformers.trainer_utils import IntervalStrategy

from alum.models.compilation import is_compiled
from alum.training.mixins.base import TrainerWithAlum


class GainLogMixin(TrainerWithAlum):
    """Measures the adversary at logging steps, and always at the first attacked step and the last."""

    def _measures_gain(self) -> bool:
        """At all micro-batches of the last step that is attacked before a log."""
        if not self._may_log_gain():
            return False
        step = self.state.global_step + 1
        steps_until_next_attack = range(step, step + self.args.adv_every_steps)
        return not self._gain_is_logged() or any(map(self._logs_step, steps_until_next_attack))

    def _measures_strength(self) -> bool:
        """At the first attacked step and the last, since it costs more than the gain, but never compiled."""
        if self.args.torch_compile or is_compiled(self.model):
            return False
        is_last_attacked = self.state.global_step + self.args.adv_every_steps >= self.state.max_steps
        return self._may_log_gain() and (not self._gain_is_logged() or is_last_attacked)

    def _logs_step(self, step: int) -> bool:
        if self.args.logging_strategy == IntervalStrategy.NO:
            return False
        if step == self.state.max_steps and self._may_log_gain():
            return True
        if self.args.logging_strategy == IntervalStrategy.EPOCH:
            steps_per_epoch = max(self.state.max_steps // max(self.state.num_train_epochs, 1), 1)
            return step % steps_per_epoch == 0
        return step % self.state.logging_steps == 0 or (step == 1 and self.args.logging_first_step)

    _gain_was_logged = False
    _num_logs_read = 0

    def _shows_gain(self, step: int) -> bool:
        """Whether a log at ``step`` is due for the gain, which is shown of the first attacked step and of the last."""
        is_first = self._running_log.has_gain and not self._gain_is_logged()
        return self._may_log_gain() and (is_first or step == self.state.max_steps)

    def _may_log_gain(self) -> bool:
        is_wanted = self.args.adv_gain_draws > 0 and self.args.logging_strategy != IntervalStrategy.NO
        return is_wanted and self.method.alpha > 0

    def _gain_is_logged(self) -> bool:
        """Whether a log of this training has figures of δ, be it before the checkpoint that is gone on from."""
        new_logs = self.state.log_history[self._num_logs_read :]
        self._num_logs_read += len(new_logs)
        self._gain_was_logged = self._gain_was_logged or any("divergence" in logs for logs in new_logs)
        return self._gain_was_logged
