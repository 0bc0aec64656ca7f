"""What the course's players share: a row of controls over numbered frames, and finished HTML as their static twin."""
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ipywidgets


class Html:
    """A finished piece of HTML: shown by `_repr_html_`; `repr` is its text, for where no HTML is shown."""

    def __init__(self, markup: str, text: str):
        self.markup, self.text = markup, text

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Frames:
    """Numbered frames, `first` to `last`, each drawn when it is asked for: draw(number) -> HTML with a headline in `<b>`.

    `unit` says what one frame adds, `label` what its number is called; `names` holds a name a frame where a number says too little.
    """

    draw: Callable[[int], str]
    last: int
    unit: str
    first: int = 1
    label: str = "Frame"
    names: Sequence[str] = ()


class FrameStepper(ipywidgets.VBox):
    """Go through `frames` by hand or by itself.

    `step_button`, `back_button`, `play_button` (which turns into Stop) and `reset_button` are buttons, `frame_field` a
    number field; `body` shows the frame. `seconds` is the pace of Play. Opened unrun, it shows its last frame.
    """

    def __init__(self, frames: Frames, seconds: float = 0.8):
        self._frames, self._seconds = frames, seconds
        self._first, self._last = first, last = frames.first, frames.last
        self._turn, self._stop_event = threading.RLock(), None
        narrow = {"width": "6em"}
        self.back_button = ipywidgets.Button(description="Back", tooltip=f"One {frames.unit} back", layout=narrow)
        self.step_button = ipywidgets.Button(description="Step", tooltip=f"Show the next {frames.unit}", layout=narrow)
        self.play_button = ipywidgets.Button(description="Play", tooltip="Go on by itself, or stop", layout=narrow)
        self.reset_button = ipywidgets.Button(description="Reset", tooltip="Back to the first frame", layout=narrow)
        self.frame_field = ipywidgets.BoundedIntText(value=first, min=first, max=last, description=frames.label,
                                                     layout={"width": "12em"})
        self.body = ipywidgets.HTML()
        self.body.add_class("specdec-body")
        controls = ipywidgets.HBox([self.back_button, self.step_button, self.play_button, self.reset_button, self.frame_field])
        super().__init__([controls, self.body])
        self.step_button.on_click(lambda _: self._move(+1))
        self.back_button.on_click(lambda _: self._move(-1))
        self.reset_button.on_click(lambda _: self._move(first - last))
        self.play_button.on_click(lambda _: self._toggle())
        self.frame_field.observe(lambda _: self._draw(), names="value")
        self._draw()

    def _draw(self) -> None:
        with self._turn:
            number = self.frame_field.value
            self.body.value = self._frames.draw(number)
            if number == self._last and self._stop_event is not None:
                self._stop_event.set()
                self._stop_event = None
            self.back_button.disabled = self.reset_button.disabled = number == self._first
            self.step_button.disabled = self.play_button.disabled = number == self._last
            self.play_button.description = "Play" if self._stop_event is None else "Stop"

    def _move(self, by: int) -> None:
        with self._turn:
            self.stop()
            self.frame_field.value = min(max(self.frame_field.value + by, self._first), self._last)

    def _toggle(self) -> None:
        with self._turn:
            if self._stop_event is not None:
                self.stop()
            elif self.frame_field.value < self._last:
                self._stop_event = threading.Event()
                threading.Thread(target=self._advance, args=(self._stop_event,), daemon=True).start()
                self._draw()

    def _advance(self, stop: threading.Event) -> None:
        while not stop.wait(self._seconds):
            with self._turn:
                if not stop.is_set():
                    self.frame_field.value += 1

    def stop(self) -> None:
        """Stop playing, if it plays."""
        with self._turn:
            if self._stop_event is not None:
                self._stop_event.set()
                self._stop_event = None
                self._draw()

    def _repr_html_(self) -> str:
        return self._frames.draw(self._last)
