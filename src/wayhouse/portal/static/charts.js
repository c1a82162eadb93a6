// Lines in a small SVG: the last values, the newest at the right.

export class Spark {
  /** `svg` holds a polyline and, for a filled chart, a polygon; `most` is how many values it shows. */
  constructor(svg, most) {
    this.most = most;
    this.values = [];
    this.line = svg.querySelector("polyline");
    this.area = svg.querySelector("polygon");
    [, , this.width, this.height] = svg.getAttribute("viewBox").split(" ").map(Number);
  }

  /** Add a value; the chart reaches to the largest one shown, but at least to `top`. */
  push(value, top) {
    this.values.push(value);
    if (this.values.length > this.most) this.values.shift();
    const reach = Math.max(top, ...this.values) * 1.08;
    const step = this.width / (this.most - 1);
    const first = this.width - step * (this.values.length - 1);
    const points = this.values.map((one, at) => `${(first + at * step).toFixed(1)},${(this.height - (one / reach) * this.height).toFixed(1)}`);
    this.line.setAttribute("points", points.join(" "));
    this.area?.setAttribute("points", `${first.toFixed(1)},${this.height} ${points.join(" ")} ${this.width},${this.height}`);
  }
}
