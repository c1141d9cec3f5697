// Magnification over ring position, as SVG. The axis is logarithmic: equal heights are equal factors.

const [WIDTH, HEIGHT] = [358, 148];
const [LEFT, RIGHT, TOP, BOTTOM] = [40, 14, 8, 24]; // of the paper, around the plot
const LABELS = [1, 1.1, 1.2, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100];

function element(name, attributes, words = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = words;
  return made;
}

/** Some of the labels below `most`, few enough to be read. */
function ticks(most) {
  const inside = LABELS.filter((label) => label <= most * 1.001);
  const apart = Math.log(most) / 5;
  const chosen = [];
  for (const label of inside) {
    if (!chosen.length || Math.log(label / chosen.at(-1)) >= apart) chosen.push(label);
  }
  return chosen;
}

/** Draw the curve; span: positions of the first and the last frame of the plan, which are the paper's sides. */
export function draw(svg, curve, span) {
  const known = curve.map((point) => point.magnification).filter((value) => value !== null);
  const most = Math.max(1.25, ...known) * 1.04;
  const least = Math.min(1, ...known);
  const x = (position) => LEFT + ((position - span[0]) / (span[1] - span[0])) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - (Math.log(value / least) / Math.log(most / least)) * (HEIGHT - TOP - BOTTOM);
  const parts = ticks(most).flatMap((label) => [
    element("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(label), y2: y(label) }),
    element("text", { x: LEFT - 8, y: y(label) + 4, "text-anchor": "end" }, `${label}×`),
  ]);
  const round = (position) => String(Number(position.toPrecision(4)));
  parts.push(
    element("text", { x: LEFT, y: HEIGHT - 6 }, `wide ${round(span[0])}`),
    element("text", { x: WIDTH - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, `tele ${round(span[1])}`),
  );
  let pen = "M";
  let path = "";
  const dots = [];
  for (const { position, magnification } of curve) {
    if (magnification === null) {
      pen = "M";
      continue;
    }
    path += `${pen}${x(position).toFixed(1)} ${y(magnification).toFixed(1)}`;
    pen = "L";
    dots.push(element("circle", { class: "frame", cx: x(position), cy: y(magnification), r: 1.8 }));
  }
  if (dots.length) {
    dots.at(-1).setAttribute("class", "latest");
    dots.at(-1).setAttribute("r", 4.5);
    parts.push(element("path", { class: "line", d: path }));
  }
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  const last = known.at(-1);
  svg.setAttribute("aria-label", last
    ? `Magnification over the ring's position: ${curve.length} frames, now ${last.toFixed(2)} times the first.`
    : "Magnification over the ring's position: no frames yet.");
  svg.replaceChildren(...parts, ...dots);
  return last;
}
