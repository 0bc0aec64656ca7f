// p, q and what comes of them, as `PQTable` computes them: exactly, with fractions. Named after their fellows in Python.
class Fraction {
  constructor(top, bottom = 1n) {
    let [a, b] = [top < 0n ? -top : top, bottom];
    while (b) [a, b] = [b, a % b];
    [this.top, this.bottom] = [top / (a || 1n), bottom / (a || 1n)];
  }
  static of(number) { // a float counts as the decimal it prints as
    const [digits, exponent = "0"] = String(number).split("e"), [whole, rest = ""] = digits.split(".");
    const power = Number(exponent) - rest.length, size = 10n ** BigInt(Math.abs(power));
    return power < 0 ? new Fraction(BigInt(whole + rest), size) : new Fraction(BigInt(whole + rest) * size);
  }
  plus(other) { return new Fraction(this.top * other.bottom + other.top * this.bottom, this.bottom * other.bottom); }
  minus(other) { return this.plus(new Fraction(-other.top, other.bottom)); }
  times(other) { return new Fraction(this.top * other.top, this.bottom * other.bottom); }
  over(other) { return new Fraction(this.top * other.bottom, this.bottom * other.top); }
  less(other) { return this.minus(other).top < 0n; }
  static exactly(float) { return new Fraction(BigInt(float * 2 ** 200), 2n ** 200n); }
  get float() { return Number(this.top) / Number(this.bottom); }
}
const ZERO = new Fraction(0n), ONE = new Fraction(1n);
const least = (a, b) => a.less(b) ? a : b, most = (a, b) => a.less(b) ? b : a;
const sum = masses => masses.reduce((a, b) => a.plus(b), ZERO);
const normalised = (weights, fallback) => {
  const total = sum(weights);
  return !none(total) ? weights.map(weight => weight.over(total)) : fallback;
};
const without = (law, x) => law.map((mass, i) => i === x ? ZERO : mass);
const excess = (p, q) => normalised(p.map((mass, i) => most(mass.minus(q[i]), ZERO)), p);

// The rules: (p, q, candidates) -> [probability to accept each, what to draw from in the end].
function with_replacement(p, q, candidates) {
  const accept = candidates.map(x => {
    const chance = least(ONE, p[x].over(q[x]));
    p = excess(p, q);
    return chance;
  });
  return [accept, p];
}
function without_replacement(p, q, candidates) {
  const accept = candidates.map(x => {
    const chance = least(ONE, p[x].over(q[x])), rest = without(q, x);
    p = excess(p, q);
    q = normalised(rest, rest);
    return chance;
  });
  return [accept, p];
}
function deterministic(p, q, candidates) {
  const accept = candidates.map(x => {
    const chance = p[x];
    p = normalised(without(p, x), p);
    return chance;
  });
  return [accept, p];
}
function typical_lossy(p, q, candidates) {
  const entropy = -p.reduce((total, mass) => total + (mass.top ? mass.float * Math.log(mass.float) : 0), 0);
  const threshold = Fraction.exactly(Math.min(0.09, Math.sqrt(0.09) * Math.exp(-entropy)));
  return [candidates.map(x => threshold.less(p[x]) ? ONE : ZERO), p];
}
function resample_from_p(p, q, candidates) {
  return [candidates.map(x => with_replacement(p, q, [x])[0][0]), p];
}

// The laws of drafting: every list of k candidates with its probability.
function lists(q, k, distinct) {
  let grown = [[[], ONE]];
  for (let i = 0; i < k; i++)
    grown = grown.flatMap(([list, chance]) => {
      const left = distinct ? ONE.minus(sum(list.map(x => q[x]))) : ONE;
      return q.map((mass, x) => [[...list, x], mass, distinct && list.includes(x)])
        .filter(([, mass, taken]) => mass.top && !taken).map(([more, mass]) => [more, chance.times(mass).over(left)]);
    });
  return grown;
}
const independent = (q, k) => lists(q, k, false);
const distinct = (q, k) => lists(q, Math.min(k, q.filter(mass => mass.top).length), true);
const chosen = (q, k) => [[q.map((_, x) => x).sort((a, b) => q[b].minus(q[a]).float).slice(0, k), ONE]];
const RULES = {with_replacement, without_replacement, deterministic, typical_lossy, resample_from_p}, LAWS = {independent, distinct, chosen};

function output_law(rule, p, q, draws) {
  let accepted = p.map(() => ZERO), drawn = accepted;
  for (let [candidates, chance] of draws) {
    const [accept, residual] = rule(p, q, candidates);
    candidates.forEach((x, i) => {
      accepted = accepted.map((mass, y) => y === x ? mass.plus(chance.times(accept[i])) : mass);
      chance = chance.times(ONE.minus(accept[i]));
    });
    drawn = drawn.map((mass, y) => mass.plus(chance.times(residual[y])));
  }
  return [accepted, drawn];
}

const three = mass => fixed(mass.float, 3);
const none = mass => Math.abs(mass.float) < 1e-12;
const signed = bias => none(bias) ? "0" : (bias.top > 0n ? "+" : "") + three(bias);

// What `PQTable.values` returns. state: the weights of p, those of q, the way of drafting, the number of drafts.
function pq_values(state, {words, choices, bar, signs, looks}) {
  const n = words.length, draw = state[2 * n], drafts = state[2 * n + 1], [rule, law, lossy] = choices[draw];
  const weights = {p: state.slice(0, n), q: state.slice(n, 2 * n)};
  for (const [name, given] of Object.entries(weights))
    if (!given.some(Boolean)) return {error: [{sentence: `All weights of ${name} are 0: give at least one token a weight above 0.`}], table: []};
  const [p, q] = Object.values(weights).map(given => normalised(given.map(Fraction.of), null));
  const [accepted, drawn] = output_law(RULES[rule], p, q, LAWS[law](q, drafts));
  const first = p.map(() => ZERO), kept = p.map(() => ZERO);
  for (const [[x], chance] of LAWS[law](q, 1)) {
    first[x] = first[x].plus(chance);
    kept[x] = kept[x].plus(chance.times(RULES[rule](p, q, [x])[0][0]));
  }
  const written = accepted.map((mass, i) => mass.plus(drawn[i])), bias = written.map((mass, i) => mass.minus(p[i]));
  const scale = [...p, ...first, ...written].reduce(most), pixels = mass => Number(fixed(bar * mass.over(scale).float, 0));
  const blocks = parts => parts.map(([kind, mass]) => [kind, pixels(mass)]).filter(([, width]) => width)
    .map(([kind, width]) => ({width, color: looks[kind][0], line: looks[kind][1], sign: width >= 14 ? signs[kind] : ""}));

  const distance = sum(bias.map(mass => most(mass, ZERO.minus(mass)))).over(new Fraction(2n)), support = q.filter(mass => mass.top).length;
  const few = law === "distinct" && support < drafts ? ` (q has only ${support} to draw)` : "";
  const verdict = none(distance) ? "✓ written = p" + (lossy ? " for these numbers, though the rule is not lossless" : ", exactly")
    : `✗ written differs from p by a total variation of ${three(distance)}`;
  const total = sum(drawn), several = drafts > 1 ? `, of ${drafts} drafts ${three(sum(accepted))}` : "";
  const shares = none(total) ? [] : words.map((word, i) => `${word} ${three(drawn[i].over(total))}`);
  return {error: [], table: [{
    title: `${draw}, ${drafts} draft${drafts === 1 ? "" : "s"}${few}: ${verdict}`,
    summary: `acceptance of the first draft ${three(sum(kept))}${several} | Σ min(p, q) = 1 − TV(p, q) = ${three(sum(p.map((mass, i) => least(mass, q[i]))))}`,
    rows: words.map((word, i) => ({
      word, p: three(p[i]), q: three(q[i]), bias: signed(bias[i]),
      first: blocks([["accepted", kept[i]], ["rejected", first[i].minus(kept[i])]]), kept: three(kept[i]), rejected: three(first[i].minus(kept[i])),
      written: blocks([["accepted", accepted[i]], ["replaced", drawn[i]]]), accepted: three(accepted[i]), drawn: three(drawn[i]),
      mark: Math.max(0, pixels(p[i]) - 5)})),
    residual: none(total) ? "no step ends without an accepted draft"
      : `after ${drafts === 1 ? "the rejection" : "the last rejection"} (${three(total)} of all cases) drawn from: ${shares.join(" · ")}`}]};
}
