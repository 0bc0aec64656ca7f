// The cost model of one choice, as `CostCard` computes it. Named after their fellows in Python.
function expected_tokens(alpha, gamma) {
  let total = 0;
  for (let i = 0; i <= gamma; i++) total += alpha ** i;
  return total;
}

// What `CostCard.values` returns. state: alpha, c, gamma, slope of v.
function cost_values([alpha, c, gamma, slope], {measured, most, looks, box: [width, height, left, right, top_, bottom]}) {
  const v = n => 1 + slope * (n - 1), two = number => fixed(number, 2);
  const curve = Array.from({length: most + 1}, (_, n) => expected_tokens(alpha, n) / (n * c + v(n + 1)));
  const speedup = curve[gamma], best = curve.indexOf(Math.max(...curve)), tokens = expected_tokens(alpha, gamma), cost = gamma * c + v(gamma + 1);

  const kind = Math.abs(speedup - 1) < 0.005 ? "even" : speedup > 1 ? "pays" : "loses";
  const words = {pays: "✓ pays", even: "= changes nothing", loses: "✗ does not pay"}[kind];
  const verdict = `${words}: ${two(speedup)} × the speed of the verifier alone at γ = ${gamma}`;
  const advice = best ? `best γ: ${best}${best === most ? " (the longest shown)" : ""}, ${two(curve[best])} ×`
    : "best γ: 0, do not draft with this drafter";
  const comparisons = (measured ? [measured] : []).map(([at, speed]) => {
    const off = speed / curve[at] - 1, percent = fixed(100 * Math.abs(off), 0);
    const where = percent === "0" ? "on the curve" : `${percent} % ${off > 0 ? "above" : "below"} the curve`;
    return `measured: ${two(speed)} × at γ = ${at}, ${where}`;
  });

  const top = 1.12 * Math.max(...curve, 1, ...(measured ? [measured[1]] : []));
  const x = n => fixed(left + 10 + n * (width - left - right - 20) / most, 1);
  const y = speed => fixed(height - bottom - speed * (height - top_ - bottom) / top, 1);
  const below = (place, pixels) => fixed(Number(place) + pixels, 1);
  const step = [0.25, 0.5, 1, 2, 5, 10, 1e9].find(size => top / size <= 7);
  const levels = Array.from({length: Math.floor(top / step) + 1}, (_, i) => i * step);
  return {
    verdict, sum: `E = ${two(tokens)} tokens a step | cost γc + v(γ+1) = ${gamma} · ${two(c)} + ${two(cost - gamma * c)} = ${two(cost)} `
      + `verifier steps | E / cost = ${two(speedup)}`,
    label: [`Speedup over γ from 0 to ${most}. ${verdict}; ${advice}.`, ...comparisons.map(one => `${one}.`)].join(" "),
    rest: [advice, ...comparisons].join(" | "), color: looks[kind][0], line: looks[kind][1],
    grid: levels.map(level => ({y: y(level), below: below(y(level), 4), speedup: level})),
    curve: curve.map((speed, n) => ({x: x(n), y: y(speed)})), one: y(1), floor: y(0), x: x(gamma), y: y(speedup),
    best_x: x(best), best_y: below(y(curve[best]), -9), measured: (measured ? [measured] : []).map(([at, speed]) => ({x: x(at), y: below(y(speed), -7)}))};
}
