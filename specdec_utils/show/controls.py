"""What the course's players share: a row of controls over numbered frames, and finished HTML as their static twin."""
import threading

import ipywidgets


class Html:
    """A finished piece of HTML: shown by `_repr_html_`; `repr` is its text, for where no HTML is shown."""

    def __init__(self, markup: str, text: str):
        self.markup, self.text = markup, text

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return self.text


class FrameStepper(ipywidgets.VBox):
    """Go through frames `first` to `last`, each drawn by the subclass's `frame_html(number) -> str`.

    `step_button`, `back_button`, `play_button` (which turns into Stop) and `reset_button` are buttons, `frame_field` is a
    number field labelled `label`; `body` shows the frame. `unit` names in the tooltips what one frame adds. `seconds` is
    the pace of Play. Opened unrun, it shows its last frame.
    """

    def __init__(self, first: int, last: int, unit: str, label: str = "Frame", seconds: float = 0.8):
        self._first, self._last, self._seconds = first, last, seconds
        self._turn, self._stop_event = threading.RLock(), None
        narrow = {"width": "6em"}
        self.back_button = ipywidgets.Button(description="Back", tooltip=f"One {unit} back", layout=narrow)
        self.step_button = ipywidgets.Button(description="Step", tooltip=f"Show the next {unit}", layout=narrow)
        self.play_button = ipywidgets.Button(description="Play", tooltip="Go on by itself, or stop", layout=narrow)
        self.reset_button = ipywidgets.Button(description="Reset", tooltip="Back to the first frame", layout=narrow)
        self.frame_field = ipywidgets.BoundedIntText(value=first, min=first, max=last, description=label,
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

    def frame_html(self, number: int) -> str:
        """Frame `number` as HTML."""
        raise NotImplementedError

    def _draw(self) -> None:
        with self._turn:
            number = self.frame_field.value
            self.body.value = self.frame_html(number)
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
        return self.frame_html(self._last)
