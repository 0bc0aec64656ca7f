// What lets a stored output work without a kernel: frames to step through, or fields that compute. Each output carries its own
// copy, finds its place by its key, and makes its controls itself, so that nothing dead is left where scripts are off.
const STYLE = `.specdec-twin{--specdec-ink:currentcolor;--specdec-paper:transparent;--specdec-head:#8c8c8c26;--specdec-line:#8c8c8c66;
--specdec-lit:#e69f0033;position:relative}
.specdec-bar{display:flex;flex-wrap:wrap;gap:6px;align-items:center;margin:4px 0}
.specdec-bar button,.specdec-bar input,.specdec-bar select{font:inherit;color:inherit;background:transparent;border:1px solid currentcolor;
border-radius:4px;padding:2px 10px;min-height:28px;max-width:100%;box-sizing:border-box}
.specdec-bar input{width:6.5em}.specdec-row{flex-basis:100%}.specdec-bar option{color:#1a1a1a;background:#fff}.specdec-bar button{cursor:pointer}
.specdec-bar [aria-disabled=true]{opacity:.45;cursor:default}
.specdec-twin :focus-visible{outline:3px solid #0072b2;outline-offset:2px}
.specdec-frame{overflow-x:auto;padding:3px}.specdec-frame>*{overflow-x:visible!important;padding:0!important}
.specdec-said{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}`;

function put(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function make(tag, attributes, ...inside) {
  const made = put(document.createElement(tag), attributes);
  made.append(...inside);
  return made;
}

function button(name, tip, act) {
  const made = make("button", {type: "button", title: tip}, name);
  made.addEventListener("click", () => made.getAttribute("aria-disabled") === "true" || act());
  return made;
}

function choice(options) {
  return make("select", {}, ...options.map((option, i) => make("option", {value: i}, option)));
}

// Every place with this key that does not work yet becomes a panel: controls above, the frame that `draw` is given below, and its
// headline told to screen readers. `build(draw, root, frame)` returns the controls, and what to do first.
function live(key, name, build) {
  for (const root of document.querySelectorAll(`[data-specdec="${key}"]:not([data-live])`)) {
    const frame = root.firstElementChild, said = make("div", {class: "specdec-said", role: "status"});
    const {controls, begin} = build(markup => {
      frame.innerHTML = markup;
      said.textContent = frame.querySelector("b").textContent;
    }, root, frame);
    put(root, {"data-live": "", "data-lm-suppress-shortcuts": "", role: "group", "aria-label": name}); // JupyterLab leaves our keys alone
    put(frame, {class: "specdec-frame", tabindex: 0, role: "group", "aria-label": `${name}, shown`}); // the keyboard scrolls it
    root.prepend(make("style", {}, STYLE), make("div", {class: "specdec-bar"}, ...controls), said);
    begin();
  }
}

// Step through frames. Each is an edit of the one before it: [place, pieces dropped, pieces put there], pieces by their numbers.
function steps({key, name, first, label, unit, names, parts, edits}) {
  const pieces = [];
  const frames = edits.map(changes => {
    for (const [at, drop, add] of changes) pieces.splice(at, drop, ...add);
    return pieces.map(i => parts[i]).join("");
  });
  const last = first + frames.length - 1;
  live(key, name, (draw, root, frame) => {
    let now, timer = 0;
    const back = button("Back", `One ${unit} back`, () => move(now - 1));
    const step = button("Step", `Show the next ${unit}`, () => move(now + 1));
    const play = button("Play", "Go on by itself, or stop", () => timer ? move(now) : go());
    const reset = button("Reset", "Back to the first frame", () => move(first));
    const field = names.length ? choice(names) : make("input", {type: "number", min: first, max: last, step: 1});
    const number = () => names.length ? first + field.selectedIndex : Math.round(field.valueAsNumber);

    function show(wanted) {
      now = Math.min(Math.max(wanted, first), last);
      if (names.length) field.selectedIndex = now - first; else field.value = now;
      draw(frames[now - first]);
      if (now === last) stop();
      for (const one of [back, reset]) one.setAttribute("aria-disabled", now === first);
      for (const one of [step, play]) one.setAttribute("aria-disabled", now === last);
      play.textContent = timer ? "Stop" : "Play";
    }
    function stop() { clearInterval(timer); timer = 0; }
    function move(to) { stop(); show(to); }
    function go() { timer = setInterval(() => show(now + 1), 800); show(now); }

    field.addEventListener("change", () => move(Number.isNaN(number()) ? now : number()));
    root.addEventListener("keydown", event => {
      const to = {ArrowLeft: now - 1, ArrowRight: now + 1, Home: first, End: last}[event.key];
      if (to === undefined || event.ctrlKey || event.altKey || event.metaKey || [field, frame].includes(event.target)) return;
      event.preventDefault();
      move(to);
    });
    const controls = [back, step, play, reset, make("label", {}, `${label} `, field), names.length ? "" : `of ${last}`];
    return {controls, begin: () => show(first)};
  });
}

// `template` with {name} replaced by the escaped value, and {#name}…{/name} by its inside once for each entry of that list.
function fill(template, values) {
  const escaped = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"};
  return template.replace(/\{#(\w+)\}([^]*?)\{\/\1\}|\{(\w+)\}/g, (_, list, inside, one) => list
    ? values[list].map(entry => fill(inside, {...values, ...entry})).join("") : String(values[one]).replace(/[&<>"']/g, c => escaped[c]));
}

// A number with so many digits, rounded as Python rounds: a tie goes to the even digit.
function fixed(number, digits) {
  const long = Math.abs(number).toFixed(60), cut = long.indexOf(".") + (digits ? 1 + digits : 0), down = long.slice(0, cut);
  const even = /^\.?50*$/.test(long.slice(cut)) && "02468".includes(down.at(-1));
  return even ? (number < 0 ? "-" : "") + down : number.toFixed(digits);
}

// Fields, and under them `template` filled with what `compute(state, given)` makes of their values.
function explore({key, name, fields, template, given}, compute) {
  live(key, name, draw => {
    const made = fields.map(({options, min, max, step}) => options ? choice(options) : make("input", {type: "number", min, max, step}));
    let state;
    const show = values => {
      state = values;
      made.forEach((field, i) => fields[i].options ? field.selectedIndex = fields[i].options.indexOf(state[i]) : field.value = state[i]);
      draw(fill(template, compute(state, given)));
    };
    const read = (field, i) => {
      if (fields[i].options) return fields[i].options[field.selectedIndex];
      const {min, max, step} = fields[i], number = field.valueAsNumber;
      return Number.isNaN(number) ? state[i] : Math.min(Math.max(step === 1 ? Math.round(number) : number, min), max);
    };
    made.forEach(field => field.addEventListener("change", () => show(made.map(read))));
    const labelled = made.flatMap((field, i) => [fields[i].row ? make("span", {class: "specdec-row"}) : "",
      make("label", {}, `${fields[i].label} `, field)]);
    const first = fields.map(field => field.value), reset = button("Reset", "Back to the first state", () => show(first));
    return {controls: [...labelled, reset], begin: () => show(first)};
  });
}
